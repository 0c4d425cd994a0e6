"""`morphml best`: the best trial."""

from __future__ import annotations

from collections.abc import Sequence

import click

from morphml_core.cli import common


@click.command(short_help="Show the best trial.")
@common.configuration
@common.overrides
@common.as_json
def command(config: str, overrides: Sequence[str], as_json: bool) -> None:
    """Show the best trial: its metrics and its decisions.  Ends with 1 where no trial has succeeded yet."""
    with common.recorded(config, overrides) as experiment:
        trial = common.chosen(experiment)
        if as_json:
            common.print_json(common.describe(experiment.problem, trial))
        else:
            click.echo("\n".join(common.trial_lines(experiment.problem, trial)))
