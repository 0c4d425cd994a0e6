"""Components from code that is already imported: notebooks, scripts, tests."""

from __future__ import annotations

from typing import Any

from morphml_core.errors import BrokenComponentError, DuplicateComponentError
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import HOOK, KINDS, Component
from morphml_core.plugins.words import article, shown, suggestion


class Registry:
    """Takes components by kind and name, beside those of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._components: dict[tuple[str, str], Component[Any]] = {}

    def add(self, kind: str, name: str, component: Component[Any]) -> None:
        """Register a component.

        Raises `BrokenComponentError` where it is no component of that kind, and `DuplicateComponentError` where the name is taken.
        """
        if kind not in (*KINDS, HOOK):
            raise BrokenComponentError(f"there is no kind '{kind}'; {suggestion(kind, (*KINDS, HOOK))}")
        check_component(component, kind, f"{kind} '{name}'")
        if self._components.get((kind, name), component) is not component:
            raise DuplicateComponentError(f"{kind} '{name}' is registered already in this process; choose another name")
        installed = self._catalogue.find(kind, name)
        if installed:
            owner = installed[0].distribution
            raise DuplicateComponentError(f"{kind} '{name}' is registered already by {owner}; choose another name")
        self._components[kind, name] = component

    def get(self, kind: str, name: str) -> Component[Any] | None:
        """The component of that kind and name, or None."""
        return self._components.get((kind, name))

    def names(self, kind: str) -> list[str]:
        """The names of a kind."""
        return sorted(name for known, name in self._components if known == kind)


def check_component(found: object, kind: str, subject: str) -> Component[Any]:
    """`found`, where it is a component of that kind.  Raises `BrokenComponentError` otherwise."""
    if not isinstance(found, Component):
        raise BrokenComponentError(
            f"{subject} is {shown(found)}, not a component; make one with the helper '{kind}' of morphml_core.plugins.component"
        )
    if found.kind != kind:
        raise BrokenComponentError(
            f"{subject} is a component of kind '{found.kind}', where {article(kind)} is needed; "
            f"make it with the helper '{kind}' of morphml_core.plugins.component"
        )
    return found
