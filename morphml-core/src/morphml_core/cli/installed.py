"""Commands that other distributions bring: entry points of the group `morphml.command`, each a `click.Command`.

Their modules must be quick to import, for the help text names them all: what is heavy is imported when a command is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

import click

from morphml_core.errors import BrokenComponentError, DuplicateComponentError

GROUP = "morphml.command"


def commands() -> Mapping[str, Sequence[EntryPoint]]:
    """The entry points by the name of their command, sorted; more than one where several distributions claim it."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, {})[_owner(point), point.value] = point
    return {name: list(points.values()) for name, points in sorted(found.items())}


def load(name: str, points: Sequence[EntryPoint]) -> click.Command:
    """The command, imported now.  Raises `DuplicateComponentError` or `BrokenComponentError`."""
    if len(points) > 1:
        owners = " and ".join(sorted(_owner(point) for point in points))
        raise DuplicateComponentError(f"the command '{name}' comes from {owners}; uninstall one of them")
    point = points[0]
    try:
        command = point.load()
    except Exception as error:  # whatever somebody's module raises when it is imported
        raise BrokenComponentError(
            f"the command '{name}' ({point.value} of {_owner(point)}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(command, click.Command):
        raise BrokenComponentError(
            f"the command '{name}' ({point.value} of {_owner(point)}) is a {type(command).__name__}; it must be a click command"
        )
    return command


def summary(name: str, points: Sequence[EntryPoint]) -> str:
    """The command's line in the help text."""
    try:
        return load(name, points).get_short_help_str(100)
    except (BrokenComponentError, DuplicateComponentError) as error:
        return f"(cannot be used: {error})"


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
