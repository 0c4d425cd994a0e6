"""Stage two: every reference of a configuration becomes a part, with every complaint of every section at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from morphml_core.config.configuration import Configuration
from morphml_core.config.document import in_order
from morphml_core.config.reading import UnreadableError, from_mapping, read_configuration
from morphml_core.errors import Complaint, ConfigurationError, MorphMLError
from morphml_core.plugins.component import DEFAULT, ComponentRef, Part
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
    complaints: list[Complaint] = []
    loader = loader or Loader(folder=configuration.folder)
    configuration = _with_optimizer(configuration, loader)
    parts = _collect(configuration.refs(), loader, complaints)
    if complaints:
        raise ConfigurationError(in_order(complaints))
    hooks = tuple(part for section, part in parts.items() if section.startswith("hooks"))
    named = {section: part for section, part in parts.items() if not section.startswith("hooks")}
    return Resolved(configuration, **named, hooks=hooks)


def _with_optimizer(configuration: Configuration, loader: Loader) -> Configuration:
    """The configuration with a name in place of the default optimizer: what is recorded does not change with what is installed."""
    given = configuration.optimizer
    if given.name != DEFAULT:
        return configuration
    try:
        name = loader.catalogue.default("optimizer") or "random"
    except MorphMLError as error:
        raise ConfigurationError([Complaint(given.where, str(error))]) from error
    return attrs.evolve(configuration, optimizer=attrs.evolve(given, name=name))


def resolve_file(path: str | Path, overrides: Sequence[str] = (), loader: Loader | None = None) -> Resolved:
    """Both stages for a file.

    Raises `ConfigurationError` with every complaint of both: where a section cannot be read, the components of the others are
    loaded nevertheless.
    """
    return _both(lambda: read_configuration(path, overrides), loader)


def resolve_mapping(
    mapping: Mapping[str, Any], overrides: Sequence[str] = (), folder: Path | None = None, loader: Loader | None = None
) -> Resolved:
    """Both stages for a Python mapping.  Raises `ConfigurationError` with every complaint of both."""
    return _both(lambda: from_mapping(mapping, overrides, folder), loader)


def _both(read: Callable[[], Configuration], loader: Loader | None) -> Resolved:
    try:
        configuration = read()
    except UnreadableError as error:
        complaints = list(error.complaints)
        refs = [(section, ref) for section, ref in error.refs if ref.name != DEFAULT]
        _collect(refs, loader or Loader(folder=error.folder), complaints)
        raise ConfigurationError(in_order(complaints)) from None
    return resolve(configuration, loader)


def _collect(
    refs: Iterable[tuple[str, ComponentRef]], loader: Loader, complaints: list[Complaint]
) -> dict[str, Part[Any]]:
    """The parts of references by section; what cannot be loaded adds its complaints."""
    parts: dict[str, Part[Any]] = {}
    for section, ref in refs:
        part = loader.collect(ref, complaints)
        if part is not None:
            parts[section] = part
            if section == "space":
                complaints.extend(space_complaints(ref, part))
    return parts


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
