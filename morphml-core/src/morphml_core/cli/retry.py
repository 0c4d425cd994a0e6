"""`morphml retry`: failed trials go back into the queue."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from morphml_core.cli import common


@click.command(short_help="Put failed trials back into the queue.")
@common.configuration
@common.overrides
@click.option(
    "--trial",
    "numbers",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Only this trial.  May be given again.",
)
@common.as_json
def command(config: str, overrides: Sequence[str], numbers: Sequence[int], as_json: bool) -> None:
    """Put failed trials back into the queue, all of them or those named; `morphml run` then evaluates them again."""
    with common.recorded(config, overrides, read_only=False) as experiment:
        queued = experiment.retry(list(numbers) or None)
    if as_json:
        common.print_json({"retried": list(queued)})
    elif not queued:
        click.echo("There is no failed trial to retry.")
    else:
        which = ", ".join(map(str, queued))
        click.echo(
            f"Back in the queue: trial{'s' if len(queued) > 1 else ''} {which}. `morphml run {shlex.quote(config)}` evaluates them again."
        )
