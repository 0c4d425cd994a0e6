"""`morphml report`: the HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from morphml_core.cli import common


@click.command(short_help="Write the HTML report.")
@common.configuration
@common.overrides
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="The file to write (default: report.html in the output folder).",
)
@common.as_json
def command(config: str, overrides: Sequence[str], target: Path | None, as_json: bool) -> None:
    """Write one self-contained HTML page about the search.  It may run while the search does."""
    with common.recorded(config, overrides) as experiment:
        path = experiment.report(target or experiment.output / "report.html")
        if as_json:
            common.print_json({"report": str(path)})
        else:
            click.echo(f"Wrote {path}")
