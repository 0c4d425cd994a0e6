"""Stage one: from plain values to a `Configuration`, with every complaint at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from morphml_core.config.configuration import Configuration
from morphml_core.config.document import Document, fail, in_order, override, plain_document, read_document
from morphml_core.config.sections import Finalists, Limits, Reproducible, Stop
from morphml_core.errors import Complaint, ConfigurationError, PluginError
from morphml_core.plugins.component import DEFAULT, HOOK, ComponentRef
from morphml_core.plugins.objects import described
from morphml_core.plugins.reference import resolve
from morphml_core.plugins.refs import PYTHON, Located, Place, below, place_of, read_ref
from morphml_core.plugins.structure import Misfit, Structurer
from morphml_core.plugins.words import shown, suggestion
from morphml_core.problem import Constraint, Objective, Predicate


class UnreadableError(ConfigurationError):
    """Stage one failed.  `refs` are the references that could be read all the same, with their sections; `folder` as there."""

    def __init__(
        self, complaints: Iterable[Complaint], refs: Iterable[tuple[str, ComponentRef]] = (), folder: Path | None = None
    ) -> None:
        super().__init__(in_order(complaints))
        self.refs = tuple(refs)
        self.folder = folder


SECTIONS = tuple(f.name for f in attrs.fields(Configuration) if f.name not in ("folder", "source"))
"""The sections, by name."""

_REQUIRED = {
    "experiment": "the name of the experiment",
    "objectives": "what is wanted, such as [accuracy]",
    "space": "what is searched, such as {name: cnn}",
    "evaluator": "how a candidate is measured, such as {name: train, dataset: digits}",
    "stop": "when the search ends, such as {trials: 100}",
}
_DEFAULTS = {"optimizer": DEFAULT, "executor": "inline", "storage": "sqlite", "artifacts": "local"}
"""Components of sections that a configuration leaves out; stage two finds the default optimizer among what is installed."""
_OPTIONAL = ("stopper", "cache")
"""Sections that may say `none`."""


def read_configuration(path: str | Path, overrides: Sequence[str] = ()) -> Configuration:
    """The configuration in a YAML or TOML file, changed by `--set` texts (`optimizer.population=20`).

    Raises `ConfigurationError` with every complaint.
    """
    document = read_document(Path(path))
    return configuration_of(document, overrides, Path(path).absolute().parent, str(path))


def from_mapping(
    mapping: Mapping[str, Any], overrides: Sequence[str] = (), folder: Path | None = None
) -> Configuration:
    """The configuration of a Python mapping; components may be objects.  Places in messages are dotted paths.

    Raises `ConfigurationError` with every complaint.
    """
    try:
        document = plain_document(mapping)
    except RecursionError:
        raise fail("the configuration is nested too deeply", "") from None
    return configuration_of(document, overrides, folder, "")


def configuration_of(document: Document, overrides: Sequence[str], folder: Path | None, source: str) -> Configuration:
    """The configuration of a document.  Raises `ConfigurationError` with every complaint."""
    for text in overrides:
        override(document, text)
    return _Reader(document, folder).configuration(source)


class _Reader:
    """Reads one section after the other and collects complaints."""

    def __init__(self, document: Document, folder: Path | None) -> None:
        self._folder = folder
        self._data = document.data
        self._places = document.places
        self._complaints = list(document.complaints)

    def configuration(self, source: str) -> Configuration:
        if not isinstance(self._data, Mapping):
            found = "it is empty" if self._data is None else f"it is {shown(self._data)}"
            self._complain((), f"a configuration is a mapping with the sections {', '.join(_REQUIRED)}, but {found}")
            raise UnreadableError(self._complaints)
        for key in self._data:
            if key not in SECTIONS:
                self._complain((key,), f"there is no section '{key}'; {suggestion(str(key), SECTIONS)}")
        values = {section: self._section(section) for section in SECTIONS if self._data.get(section) is not None}
        self._missing()
        if not self._complaints:
            self._fill(values, source)
            self._check(values)
        if self._complaints:
            raise UnreadableError(self._complaints, _refs(values), self._folder)
        return Configuration(**values, folder=self._folder, source=source)

    def _missing(self) -> None:
        for section, meaning in _REQUIRED.items():
            if self._data.get(section) is None:
                where = (section,) if section in self._data else ()
                self._complain(where, f"the section '{section}' is missing: {meaning}")

    def _section(self, section: str) -> Any:
        value = self._data[section]
        reader = _READERS.get(section)
        if reader is not None:
            return reader(self, section, value)
        if section in _OPTIONAL and value == "none":
            return None
        return self._ref(section, value, (section,))

    def _complain(self, path: Place, message: str) -> None:
        self._complaints.append(Complaint(place_of(self._places, path), message))

    def _ref(self, kind: str, value: Any, path: Place) -> ComponentRef | None:
        try:
            return read_ref(kind, value, below(self._places, path), place_of(self._places, path))
        except ValueError as error:
            self._complain(path, f"section '{path[0]}' {error}")
            return None

    def _structure(self, path: Place, value: Any, type_: Any, owner: str) -> Any:
        places = below(self._places, path)
        try:
            return Structurer().structure(value, type_)
        except Misfit as misfit:
            where = place_of(self._places, path)
            self._complaints.extend(fault.complaint(owner, places, where) for fault in misfit.faults)
            return None

    def name(self, section: str, value: Any) -> str | None:
        name: str | None = self._structure((section,), value, str, "section 'experiment'")
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            rule = "it begins with a letter or digit, has letters, digits, '.', '_' and '-', and at most 100 of them"
            self._complain((section,), f"{shown(name).rpartition(' (')[0]} cannot be the name of an experiment: {rule}")
        return name

    def objectives(self, section: str, value: Any) -> tuple[Objective, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            self._complain((section,), "section 'objectives' is empty; name at least one metric, such as accuracy")
        found: list[Objective] = []
        for index, each in enumerate(values):
            path: Place = (section, index) if values is value else (section,)
            given = {"name": each} if isinstance(each, str) else each
            objective = self._structure(path, given, Objective, f"objective {index + 1}")
            if objective is None:
                continue
            if not objective.name.strip():
                self._complain(path, f"objective {index + 1} has an empty name")
            elif objective.name in [other.name for other in found]:
                self._complain(path, f"the objective '{objective.name}' is there twice; keep one of them")
            found.append(objective)
        return tuple(found)

    def constraints(self, section: str, value: Any) -> tuple[Constraint | Predicate, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        places: list[Place] = [(section, index) if values is value else (section,) for index in range(len(values))]
        read = (
            self._constraint(path, index, each) for index, (path, each) in enumerate(zip(places, values, strict=True))
        )
        return tuple(found for found in read if found is not None)

    def _constraint(self, path: Place, index: int, given: Any) -> Constraint | Predicate | None:
        if isinstance(given, Constraint | Predicate):
            return given
        if callable(given):
            return Predicate(described(given), given)
        if isinstance(given, Mapping) and set(given) == {PYTHON}:
            return self._predicate(path, given[PYTHON])
        text = self._structure(path, given, str, f"constraint {index + 1}")
        if text is None:
            return None
        try:
            constraint = Constraint.parse(text)
        except ValueError as error:
            self._complain(path, str(error))
            return None
        if constraint.bound != constraint.bound:
            self._complain(path, f"'{text}' is not a constraint: its bound is not a number")
        return constraint

    def _predicate(self, path: Place, given: Any) -> Predicate | None:
        if callable(given):
            return Predicate(described(given), given)
        try:
            found = resolve(str(given), self._folder)
        except PluginError as error:
            self._complain((*path, PYTHON), str(error))
            return None
        if not callable(found):
            self._complain(
                (*path, PYTHON), f"'{given}' is {shown(found)}, not a function; a constraint is called with a candidate"
            )
            return None
        return Predicate(str(given), found)

    def hooks(self, section: str, value: Any) -> tuple[ComponentRef, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        found: list[ComponentRef] = []
        for index, each in enumerate(values):
            ref = self._ref(HOOK, each, (section, index) if values is value else (section,))
            if ref is not None:
                found.append(ref)
        return tuple(found)

    def values(self, type_: Any) -> Callable[[str, Any], Any]:
        return lambda section, value: self._structure((section,), value, type_, f"section '{section}'")

    def _fill(self, values: dict[str, Any], source: str) -> None:
        """The defaults of components, with the file as their place, and those that depend on other sections."""
        name = values["experiment"]
        options = {"storage": {"url": f"sqlite:///{name}.db"}}
        for section, component in _DEFAULTS.items():
            given = Located(options.get(section, {}))
            values.setdefault(section, ComponentRef(section, component, given, source))
        values.setdefault("hooks", (ComponentRef(HOOK, "progress", Located({}), source),))
        values.setdefault("output", Path("results") / name)

    def _check(self, values: Mapping[str, Any]) -> None:
        """What sections must say together."""
        stop: Stop = values["stop"]
        finalists: Finalists | None = values.get("finalists")
        if stop == Stop():
            self._complain(("stop",), "section 'stop' has no condition; set trials, evaluations, time or target")
        taken = finalists.top * finalists.repeats if finalists else 0
        for name in ("trials", "evaluations"):
            limit = getattr(stop, name)
            if finalists and limit is not None and limit < taken + 1:
                self._complain(
                    ("stop", name),
                    f"section 'stop': '{name}' is {limit}, but the finalists alone take {taken} ({finalists.top} times "
                    f"{finalists.repeats}); set it to {taken + 1} at least, or lower finalists.top or finalists.repeats",
                )


def _refs(values: Mapping[str, Any]) -> list[tuple[str, ComponentRef]]:
    found = [(section, value) for section, value in values.items() if isinstance(value, ComponentRef)]
    return found + [(f"hooks[{index}]", ref) for index, ref in enumerate(values.get("hooks") or ())]


def _typed(type_: Any) -> Callable[[_Reader, str, Any], Any]:
    return lambda reader, section, value: reader.values(type_)(section, value)


_READERS: Mapping[str, Callable[[_Reader, str, Any], Any]] = {
    "experiment": _Reader.name,
    "objectives": _Reader.objectives,
    "constraints": _Reader.constraints,
    "hooks": _Reader.hooks,
    "stop": _typed(Stop),
    "trial": _typed(Limits),
    "reproducible": _typed(Reproducible),
    "finalists": _typed(Finalists),
    "seed": _typed(int),
    "deduplicate": _typed(bool),
    "output": _typed(Path),
}
