"""`morphml validate`: check a configuration without searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from morphml_core.cli import common
from morphml_core.errors import Complaint, ConfigurationError, MorphMLError
from morphml_core.report.format import duration, number

if TYPE_CHECKING:
    from morphml_core.config import Resolved
    from morphml_core.plugins.component import Part
    from morphml_core.plugins.loader import Loader


@click.command(short_help="Check a configuration.")
@common.configuration
@common.overrides
@common.as_json
def command(config: str, overrides: Sequence[str], as_json: bool) -> None:
    """Check a configuration: everything that is wrong with it, or what it stands for.

    Ends with 2 where something is wrong.  Loads the components and the data, but evaluates nothing.
    """
    try:
        with common.quiet_stdout():
            resolved = _resolved(config, overrides)
    except MorphMLError as error:
        if not as_json:
            raise
        common.print_json({"valid": False, "complaints": _complaints(error)})
        raise click.exceptions.Exit(2) from None
    if as_json:
        sections = resolved.configuration.to_json()
        common.print_json({"valid": True, "configuration": sections, "components": dict(_origins(resolved))})
    else:
        click.echo("\n".join(common.pairs(_lines(resolved))))
        click.echo(f"{config} is fine")


def _resolved(config: str, overrides: Sequence[str]) -> Resolved:
    from morphml_core.config import resolve_file
    from morphml_core.session import check

    resolved = resolve_file(config, overrides)
    check(resolved)
    return resolved


def _complaints(error: MorphMLError) -> list[dict[str, str]]:
    found = error.complaints if isinstance(error, ConfigurationError) else [Complaint("", str(error))]
    return [{"where": complaint.where, "message": complaint.message} for complaint in found]


def _origins(resolved: Resolved) -> list[tuple[str, str]]:
    """What each section resolved to: the component, and where it is."""
    from morphml_core.plugins.loader import Loader

    loader = Loader()
    return [(section, _origin(part, loader)) for section, part in resolved.parts()]


def _origin(part: Part[Any], loader: Loader) -> str:
    from morphml_core.plugins.refs import PYTHON

    ref = part.ref
    if ref.name == PYTHON:
        return str(ref.options.get(PYTHON, PYTHON))
    entry = loader.entry(ref.kind, ref.name)
    return f"{ref.name} ({entry.distribution} {entry.version})"


def _lines(resolved: Resolved) -> list[tuple[str, str]]:
    """A line a section."""
    configuration = resolved.configuration
    goals = ", ".join(f"{objective.goal} {objective.name}" for objective in configuration.objectives)
    lines = [("experiment", configuration.experiment), ("objectives", goals)]
    if configuration.constraints:
        lines.append(("constraints", ", ".join(map(str, configuration.constraints))))
    lines += _origins(resolved)
    stop = {name: held for name, held in configuration.to_json()["stop"].items() if held is not None}
    said = {"time": duration, "target": "{:g}".format}
    lines.append(("stop", ", ".join(f"{name} {said.get(name, number)(held)}" for name, held in stop.items())))
    return lines
