"""`morphml chaos`: kill everything, and see whether the search keeps its promises."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from morphml_core.cli import common
from morphml_core.errors import MorphMLError
from morphml_distributed.cli import options


class BrokenPromiseError(MorphMLError):
    """The record after the chaos is not what it must be."""

    exit_code = 1


def _kinds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    from morphml_distributed.chaos.plan import KINDS

    chosen = list(KINDS) if value is None else [kind.strip() for kind in value.split(",")]
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown:
        raise click.BadParameter(f"there is no fault '{unknown[0]}'; there are {', '.join(KINDS)}")
    return chosen


@click.command(short_help="Kill everything, and see whether a search survives.")
@click.option("--seed", default=0, show_default=True, help="Decides the faults and their moments.")
@click.option(
    "--length",
    default="2m",
    show_default=True,
    callback=options.duration,
    help="How long there are faults: 90s, 2m, 1h.",
)
@click.option("--workers", default=3, show_default=True, type=click.IntRange(1, 64), help="How many workers.")
@click.option("--faults", "kinds", callback=_kinds, help="Only these kinds, with commas between (default: all).")
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Where the logs and the record are kept (default: nowhere)."
)
@common.as_json
def command(seed: int, length: float, workers: int, kinds: Sequence[str], folder: str | None, as_json: bool) -> None:
    """Run a search on a master and workers of this machine, and disturb it on purpose.

    Workers and the master are killed and stopped, the database is locked, networks are cut, the clock is stepped. Then the
    record must have every trial exactly once, equal to that of a search that nothing disturbed. Ends with 0 where it has, with 1
    where it has not.
    """
    from morphml_distributed.chaos.run import Chaos, Wanted

    with tempfile.TemporaryDirectory(prefix="morphml-chaos-") as temporary:
        place = Path(folder or temporary).absolute()
        if folder and place.exists() and any(place.iterdir()):
            raise MorphMLError(f"the folder {folder} is not empty; name one that is not there yet")
        place.mkdir(parents=True, exist_ok=True)
        found = Chaos(Wanted(seed, length, workers, kinds, place), lambda line: click.echo(line, err=as_json)).run()
    if as_json:
        common.print_json(found)
    else:
        _say(found)
    if found["broken"]:
        raise BrokenPromiseError("; ".join(found["broken"]))


def _say(found: dict[str, Any]) -> None:
    faults = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found["faults"].items()) or "none"
    click.echo(f"{sum(found['faults'].values())} faults in {found['seconds']:.0f} s: {faults}.")
    click.echo(f"{found['trials']} trials; {found['lost_attempts']} attempts were lost and run again.")
    recoveries = found["master_recovery_seconds"]
    if recoveries:
        click.echo(f"The master worked again {recoveries[len(recoveries) // 2]:.1f} s after a restart (median; at most {recoveries[-1]:.1f} s).")  # fmt: skip
    if not found["broken"]:
        click.echo("Every trial has exactly one result, equal to that of the undisturbed search.")
