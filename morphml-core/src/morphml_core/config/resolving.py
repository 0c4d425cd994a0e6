"""Stage two: every reference of a configuration becomes a part, with every complaint of every section at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from morphml_core.config.configuration import Configuration
from morphml_core.errors import Complaint, ConfigurationError, MorphMLError
from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.plugins.loader import Loader, owner_of
from morphml_core.plugins.refs import Located, Place, place_of


@attrs.frozen(eq=False)
class Resolved:
    """A configuration with its parts: loaded components and their structured configs."""

    configuration: Configuration
    space: Part[Any]
    evaluator: Part[Any]
    optimizer: Part[Any]
    executor: Part[Any]
    storage: Part[Any]
    artifacts: Part[Any]
    stopper: Part[Any] | None = None
    cache: Part[Any] | None = None
    hooks: tuple[Part[Any], ...] = ()

    def parts(self) -> Iterator[tuple[str, Part[Any]]]:
        """Every part, with the path of its section."""
        for section, _ in self.configuration.refs():
            if not section.startswith("hooks"):
                yield section, getattr(self, section)
        for index, part in enumerate(self.hooks):
            yield f"hooks[{index}]", part


def resolve(configuration: Configuration, loader: Loader | None = None) -> Resolved:
    """Load every component and structure its options; the space is built once, to hear what is wrong with it.

    Raises `ConfigurationError` with every complaint of every section.
    """
    loader = Loader(folder=configuration.folder) if loader is None else loader
    complaints: list[Complaint] = []
    parts: dict[str, Any] = {}
    hooks: list[Part[Any]] = []
    for section, ref in configuration.refs():
        part = loader.collect(ref, complaints)
        if part is None:
            continue
        if section.startswith("hooks"):
            hooks.append(part)
        else:
            parts[section] = part
        if section == "space":
            complaints.extend(space_complaints(ref, part))
    if complaints:
        raise ConfigurationError(complaints)
    return Resolved(configuration, **parts, hooks=tuple(hooks))


def space_complaints(ref: ComponentRef, part: Part[Any]) -> list[Complaint]:
    """What building the space says of its options.  A line of its error may begin with the path of an option."""
    try:
        part.create()
    except ConfigurationError as error:
        return list(error.complaints)
    except MorphMLError as error:
        return [_complaint(ref, line) for line in str(error).splitlines()]
    except Exception as error:  # of somebody's code: a sentence with what it raised serves its author best
        return [Complaint(ref.where, f"{owner_of(ref)} cannot be built: {type(error).__name__}: {error}")]
    return []


def _complaint(ref: ComponentRef, line: str) -> Complaint:
    places = ref.options.places if isinstance(ref.options, Located) else {}
    path: Place = ()
    found = re.match(r"([\w.\[\]-]+): ", line)
    if found:
        keys = re.findall(r"\[(\d+)\]|([^.\[\]]+)", found[1])
        path = tuple(int(index) if index else key for index, key in keys)
    return Complaint(place_of(places, path, ref.where), f"{owner_of(ref)}: {line}")
