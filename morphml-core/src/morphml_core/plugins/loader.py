"""Finds a component by name, imports only that one, and structures its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from morphml_core.errors import (
    BrokenComponentError,
    Complaint,
    ConfigurationError,
    DuplicateComponentError,
    IncompatibleComponentError,
    MissingComponentError,
    PluginError,
)
from morphml_core.plugins import hints
from morphml_core.plugins.catalogue import CORE, Catalogue, Entry, canonical
from morphml_core.plugins.component import Component, ComponentRef, Part
from morphml_core.plugins.hooks import manager_of
from morphml_core.plugins.objects import component_of
from morphml_core.plugins.refs import PYTHON, Located, Place, below, read_ref
from morphml_core.plugins.registry import Registry, check_component
from morphml_core.plugins.structure import Fault, Misfit, Structurer
from morphml_core.plugins.words import nearest

RELATIVE = ("space", "operations", "dataset", "evaluator", "optimizer", "stopper", "predictor")
"""The kinds whose relative paths are below the configuration's folder; those of the others (storage, output) are
below the working directory."""


class Loader:
    """Turns references into parts.

    `folder` is where relative `file.py` references and data files are (None: the working directory).  `registry` takes components
    of this process.
    """

    def __init__(self, catalogue: Catalogue | None = None, folder: Path | None = None) -> None:
        self.catalogue = Catalogue.installed() if catalogue is None else catalogue
        self.registry = Registry(self.catalogue)
        self.folder = folder

    def register(self, plugin: object) -> None:
        """Let an object register components of its own: calls its hook `morphml_components(registry)`."""
        manager_of(type(plugin).__name__, plugin).hook.morphml_components(registry=self.registry)

    def component(self, kind: str, name: str) -> Component[Any]:
        """The component of that kind and name (or `distribution:name`).

        Raises `MissingComponentError`, `DuplicateComponentError`, `IncompatibleComponentError` or `BrokenComponentError`.
        """
        return self.registry.get(kind, name) or self.import_entry(self.entry(kind, name))

    def entry(self, kind: str, name: str) -> Entry:
        """The one catalogue entry of that kind and name.  Raises `MissingComponentError` or `DuplicateComponentError`."""
        distribution, colon, plain = name.rpartition(":")
        found = self.catalogue.find(kind, plain, distribution if colon else None)
        if not found:
            raise MissingComponentError(self._missing(kind, plain, distribution if colon else None))
        if len(found) > 1:
            raise DuplicateComponentError(_duplicate(kind, plain, found))
        return found[0]

    def import_entry(self, entry: Entry) -> Component[Any]:
        """Import what an entry names.  Raises `IncompatibleComponentError` or `BrokenComponentError`."""
        _check_requirement(entry, self.catalogue.version(CORE))
        subject = f"{entry.kind} '{entry.name}' ({entry.target} of {entry.distribution} {entry.version})"
        try:
            found = _driver(entry)
        except (Exception, SystemExit) as error:
            message = f"{subject} cannot be imported: {type(error).__name__}: {error}{_cure(entry, error)}"
            raise BrokenComponentError(message) from error
        return check_component(found, entry.kind, subject)

    def load(self, ref: ComponentRef) -> Part[Any]:
        """The part that a reference names.  Raises `ConfigurationError` with every complaint."""
        complaints: list[Complaint] = []
        found = self.collect(ref, complaints)
        if found is None:
            raise ConfigurationError(complaints)
        return found

    def collect(self, ref: ComponentRef, complaints: list[Complaint]) -> Part[Any] | None:
        """The part that a reference names, or None after adding every complaint."""
        places: Mapping[Place, str] = ref.options.places if isinstance(ref.options, Located) else {}
        try:
            return self._part(ref, places)
        except Misfit as misfit:
            complaints.extend(fault.complaint(owner_of(ref), places, ref.where) for fault in misfit.faults)
        except PluginError as error:
            complaints.append(Complaint(places.get((PYTHON,), ref.where), str(error)))
        return None

    def _part(self, ref: ComponentRef, places: Mapping[Place, str]) -> Part[Any]:
        options: Mapping[str, Any] = ref.options
        if ref.name == PYTHON and PYTHON in options:
            given = options[PYTHON]
            if isinstance(given, Part):
                return given
            options = {key: value for key, value in options.items() if key != PYTHON}
            component = component_of(ref.kind, given, options, self.folder)
        else:
            component = self.component(ref.kind, ref.name)
        structurer = Structurer(self._nested(places), self.folder if ref.kind in RELATIVE else None)
        return Part(ref, component, structurer.read_class(dict(options), component.config))

    def _nested(self, places: Mapping[Place, str]) -> Any:
        def read(kind: str, value: Any, path: Place) -> Part[Any]:
            inner = below(places, path)
            try:
                ref = read_ref(kind, value, inner)
            except ValueError as error:
                raise Misfit([Fault(path, str(error), path)]) from None
            complaints: list[Complaint] = []
            part = self.collect(ref, complaints)
            if part is None:
                raise Misfit([Fault(path, "", message=c.message, where=c.where) for c in complaints])
            return part

        return read

    def _missing(self, kind: str, name: str, distribution: str | None) -> str:
        if distribution is not None:
            return self._missing_in(kind, name, distribution)
        owner = hints.distribution_of(kind, name)
        if owner and self.catalogue.version(owner):
            found = f"{owner} {self.catalogue.version(owner)} is installed, but does not register it"
            return f"there is no {kind} '{name}': {found}; pip install --upgrade --force-reinstall {owner}"
        if owner:
            return (
                f"there is no {kind} '{name}' here: it is part of {owner}, which is not installed; pip install {owner}"
            )
        names = sorted({*self.catalogue.names(kind), *self.registry.names(kind)})
        near = nearest(name, [*names, *hints.names(kind)])
        if near is None:
            return f"there is no {kind} '{name}'; " + (
                f"there are {', '.join(names)}" if names else "none is installed"
            )
        cure = "" if near in names else f" (pip install {hints.distribution_of(kind, near)})"
        return f"there is no {kind} '{name}'; did you mean '{near}'?{cure}"

    def _missing_in(self, kind: str, name: str, distribution: str) -> str:
        names = self.catalogue.names(kind, distribution)
        if names:
            return f"{distribution} has no {kind} '{name}'; it has {', '.join(names)}"
        if self.catalogue.version(distribution):
            return f"{distribution} has no {kind} '{name}', nor any other {kind}"
        return f"there is no {kind} '{name}' of {distribution}: {distribution} is not installed; pip install {distribution}"


def owner_of(ref: ComponentRef) -> str:
    """How messages name what a reference names: "optimizer 'random'"."""
    if ref.name != PYTHON:
        return f"{ref.kind} '{ref.name}'"
    given = ref.options.get(PYTHON)
    return f"{ref.kind} '{given}'" if isinstance(given, str) else f"{ref.kind} given as an object"


def _duplicate(kind: str, name: str, found: Iterable[Entry]) -> str:
    entries = list(found)
    owners = list(dict.fromkeys(entry.distribution for entry in entries))
    if len({canonical(owner) for owner in owners}) == 1:
        targets = " and ".join(entry.target for entry in entries)
        return f"{owners[0]} registers {kind} '{name}' more than once, as {targets}; it must rename one of them"
    choices = " or ".join(f"'{owner}:{name}'" for owner in owners)
    return f"{kind} '{name}' is registered by {' and by '.join(owners)}; write {choices} to choose"


def _driver(entry: Entry) -> Any:
    """The object that an entry point names, loaded by stevedore's driver manager.

    It is fed with our own choice: its own list loses the distribution and hides duplicates.
    """
    from stevedore.driver import DriverManager

    class Chosen(DriverManager):  # type: ignore[misc, type-arg, unused-ignore]
        def list_entry_points(self) -> list[Any]:
            return [entry.entry_point]

    return Chosen(entry.kind, entry.name).driver


def _check_requirement(entry: Entry, core: str | None) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    for text in entry.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if (
            core is None
            or canonical(requirement.name) != CORE
            or (requirement.marker and not requirement.marker.evaluate())
        ):
            continue
        if not requirement.specifier.contains(core, prereleases=True):
            raise IncompatibleComponentError(
                f"{entry.kind} '{entry.name}' cannot be used: {entry.distribution} {entry.version} needs "
                f"{CORE}{requirement.specifier}, but {core} is installed; pip install --upgrade {entry.distribution} {CORE}"
            )


_MODULES = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "cv2": "opencv-python", "grpc": "grpcio"}
"""Distributions whose module has another name."""


def _cure(entry: Entry, error: BaseException) -> str:
    """What to do about a failed import, as the end of a sentence; empty where nothing is known."""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if not missing:
        return ""
    module = entry.target.partition(":")[0]
    if module == missing or module.startswith(f"{missing}."):
        return f"; its metadata is not that of its code: install {entry.distribution} again"
    top = missing.partition(".")[0]
    extra = _extra_with(_MODULES.get(top, top), entry.requires)
    return f"; pip install '{entry.distribution}[{extra}]'" if extra else f"; install what provides '{top}'"


def _extra_with(distribution: str, requires: Iterable[str]) -> str | None:
    """The extra that needs a distribution, or None."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonical(requirement.name) == canonical(distribution) and requirement.marker:
            words = str(requirement.marker).split("extra == ")
            if len(words) > 1:
                return words[1].strip().split()[0].strip("\"'")
    return None
