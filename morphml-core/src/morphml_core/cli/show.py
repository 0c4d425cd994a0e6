"""`morphml show`: where an experiment stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from morphml_core.cli import common
from morphml_core.report.format import duration, metrics, number


@click.command(short_help="Show where an experiment stands.")
@common.configuration
@common.overrides
@common.as_json
def command(config: str, overrides: Sequence[str], as_json: bool) -> None:
    """Show where an experiment stands: its status, its trials by state, the best trial and the front."""
    with common.recorded(config, overrides) as experiment:
        summary = experiment.summary()
        if as_json:
            common.print_json(summary)
            return
        names = tuple(objective.name for objective in experiment.problem.objectives)
        for line in lines(summary, names, experiment.state.elapsed()):
            click.echo(line)


def lines(summary: Mapping[str, Any], objectives: tuple[str, ...], elapsed: float) -> list[str]:
    """The summary as text."""
    counts = ", ".join(f"{number(count)} {name}" for name, count in summary["trials"].items() if count)
    status = summary["status"] + (f": {summary['reason']}" if summary.get("reason") else "")
    rows = [("experiment", summary["experiment"]), ("status", status), ("trials", counts or "none yet")]
    rows.append(("optimizer", summary["optimizer"]))
    rows += [("search time", duration(elapsed))] if elapsed else []
    best = summary["best"]
    rows.append(("best", f"trial {best['number']}: {metrics(best['metrics'], objectives)}" if best else "none yet"))
    found = common.pairs(rows)
    front = summary["front"]
    if len(objectives) > 1 and front:
        head = ["trial", *objectives]
        cells = [
            [str(trial["number"]), *(number(trial["metrics"].get(name, "")) for name in objectives)] for trial in front
        ]
        found += ["", "Pareto front", *("  " + line for line in common.grid(head, cells, [True] * len(head)))]
    return found
