"""`morphml export`: a trained network, in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from morphml_core.cli import common
from morphml_core.problem import Trial
from morphml_core.report.format import metrics

_FIRST = ("test_accuracy", "parameters")


@click.command(short_help="Write a trained network to a folder.")
@common.configuration
@common.overrides
@click.option("--trial", "which", default="best", show_default=True, metavar="best|N", help="Which trial.")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to write; it is made where it is missing.",
)
@common.as_json
def command(config: str, overrides: Sequence[str], which: str, folder: Path, as_json: bool) -> None:
    """Write the trained network of a trial: weights, plain PyTorch source, and a model card."""
    with common.recorded(config, overrides) as experiment:
        trial = common.chosen(experiment, which)
        written = experiment.export(trial, folder)
        if as_json:
            common.print_json({"trial": trial.number, "folder": str(folder), **written})
            return
        for line in lines(trial, folder, written):
            click.echo(line)


def lines(trial: Trial, folder: Path, written: Mapping[str, Any]) -> list[str]:
    """What was written, as text."""
    measured = dict(written.get("metrics", {}))
    if "parameters" in trial.metrics:
        measured.setdefault("parameters", trial.metrics["parameters"])
    said = metrics(measured, _FIRST)
    found = [f"Exported trial {trial.number} to {folder}" + (f": {said}" if said else "")]
    files = [str(name) for name in written.get("files", ())]
    found += [f"  {', '.join(files)}"] if files else []
    return found + [f"  note: {note}" for note in written.get("notes", ())]
