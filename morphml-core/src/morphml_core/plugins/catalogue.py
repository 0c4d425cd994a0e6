"""What is installed: every component that some distribution registers, read from metadata without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from morphml_core.errors import DuplicateComponentError
from morphml_core.plugins.component import HOOK, KINDS

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

CORE = "morphml-core"

DEFAULTS = "morphml.default"
"""The entry-point group by which a distribution offers a component as the default of a kind: the kind, and what it registered under a name."""


def group_of(kind: str) -> str:
    """The entry-point group of a kind."""
    return "morphml.plugins" if kind == HOOK else f"morphml.{kind}"


def canonical(distribution: str) -> str:
    """The name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@attrs.frozen
class Entry:
    """One registered component: its kind and name, where it is ("module:attribute"), and the distribution that has it."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    entry_point: EntryPoint | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(order=True)
class Default:
    """A distribution's offer: what a configuration gets that names no component of this kind."""

    kind: str
    distribution: str
    name: str


class Catalogue:
    """Entries by kind and name.  `notes` are sentences about metadata that was set aside."""

    def __init__(
        self, entries: Iterable[Entry] = (), notes: Sequence[str] = (), defaults: Iterable[Default] = ()
    ) -> None:
        self.defaults = tuple(sorted(defaults))
        self.entries = tuple(sorted(entries, key=lambda entry: (_rank(entry.kind), entry.name, entry.distribution)))
        self.notes = tuple(notes)
        self._found: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            self._found.setdefault((entry.kind, entry.name), []).append(entry)

    @classmethod
    def installed(cls, path: Sequence[str] | None = None) -> Catalogue:
        """What the metadata on `sys.path` (or on another path) registers.

        Of several metadata folders of one distribution (an editable install beside a stale one) the first on the path
        counts, as it does for Python; the others are noted.
        """
        entries: list[Entry] = []
        notes: list[str] = []
        defaults: list[Default] = []
        for name, versions in _candidates(path).items():
            distribution = _first(name, path)
            if distribution is None:
                continue
            own = list(_entries(distribution, notes))
            entries.extend(own)
            defaults.extend(_defaults(distribution, own))
            if len(versions) > 1:
                others = ", ".join(sorted(set(versions) - {distribution.version})) or "the same version again"
                notes.append(
                    f"{name} is installed more than once: {distribution.version} is used, "
                    f"{others} is hidden behind it; uninstall it until none is left, then install it again"
                )
        return cls(entries, notes, defaults)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def find(self, kind: str, name: str, distribution: str | None = None) -> list[Entry]:
        """The entries of a kind and name (of one distribution): one, none, or duplicates."""
        found = self._found.get((kind, name), [])
        if distribution is None:
            return list(found)
        return [entry for entry in found if canonical(entry.distribution) == canonical(distribution)]

    def names(self, kind: str, distribution: str | None = None) -> list[str]:
        """The names registered for a kind (by one distribution), sorted, each once."""
        wanted = None if distribution is None else canonical(distribution)
        return sorted({e.name for e in self.entries if e.kind == kind and wanted in (None, canonical(e.distribution))})

    def default(self, kind: str) -> str | None:
        """The name of the component that an installed distribution offers as the default of a kind.

        None where there is no offer.  Raises `DuplicateComponentError` where several distributions differ.
        """
        offers = {offer.name: offer for offer in self.defaults if offer.kind == kind}
        if len(offers) > 1:
            said = " and ".join(f"{offer.distribution} offers '{name}'" for name, offer in sorted(offers.items()))
            raise DuplicateComponentError(
                f"there is no one default for {kind}: {said}; name one in the section '{kind}' of the configuration"
            )
        return next(iter(offers), None)

    def version(self, distribution: str) -> str | None:
        """The version of a distribution that registers something, or None."""
        wanted = canonical(distribution)
        return next((entry.version for entry in self.entries if canonical(entry.distribution) == wanted), None)


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _candidates(path: Sequence[str] | None) -> dict[str, list[str]]:
    """The versions of each distribution whose entry points mention us, by name.  Only their metadata is parsed."""
    import importlib.metadata as metadata

    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for distribution in metadata.distributions() if path is None else metadata.distributions(path=list(path)):
        text = _read(distribution)
        place = str(distribution.locate_file(""))
        if "morphml." in text and (name := _name(distribution)):
            if f"{place}:{name}:{distribution.version}" not in seen:  # the same folder twice on the path
                found.setdefault(canonical(name), []).append(distribution.version)
            seen.add(f"{place}:{name}:{distribution.version}")
    return found


def _first(name: str, path: Sequence[str] | None) -> Distribution | None:
    import importlib.metadata as metadata

    if path is None:
        return next(iter(metadata.Distribution.discover(name=name)), None)
    return next(iter(metadata.Distribution.discover(name=name, path=list(path))), None)


def _read(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _name(distribution: Distribution) -> str | None:
    try:
        return distribution.metadata["Name"]
    except Exception:  # broken metadata of somebody else; what it raises differs between versions of Python
        return None


def _entries(distribution: Distribution, notes: list[str]) -> Iterator[Entry]:
    kinds = {group_of(kind): kind for kind in (*KINDS, HOOK)}
    name, version = distribution.metadata["Name"], distribution.version
    try:
        points = list(distribution.entry_points)
    except (TypeError, ValueError, OSError):
        notes.append(f"the entry points of {name} {version} cannot be read; install it again")
        return
    requires = tuple(distribution.requires or ())
    seen: set[tuple[str, str, str]] = set()
    for point in points:
        key = (point.group, point.name, point.value)
        if point.group in kinds and key not in seen:
            seen.add(key)
            yield Entry(kinds[point.group], point.name, point.value, name, version, requires, point)


def _defaults(distribution: Distribution, own: Sequence[Entry]) -> Iterator[Default]:
    """Which of its own components a distribution offers as defaults; entry points that cannot be read were noted before."""
    try:
        points = list(distribution.entry_points)
    except (TypeError, ValueError, OSError):
        return
    for point in points:
        for entry in own:
            if point.group == DEFAULTS and (entry.kind, entry.target) == (point.name, point.value):
                yield Default(entry.kind, entry.distribution, entry.name)
