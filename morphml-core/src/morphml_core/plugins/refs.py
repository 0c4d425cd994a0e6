"""From what a configuration says of a component to a `ComponentRef`.

random                                  a name without options
{name: random, option: 1}               a name and options; the name may be distribution:name
sqlite:///digits.db                     a URL: the scheme (before + or :) is the name, and `url` an option
{python: "file.py:object", option: 1}   an object of a file or a module; in Python, the object itself
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.plugins.words import article, shown

PYTHON = "python"
"""The name of a component that is a Python object: option `python` is the object, or where it is."""

Place: TypeAlias = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:[+.-][A-Za-z0-9+.-]*)?://.*", re.DOTALL)


class Located(dict[str, Any]):
    """Options that know where they were written: `places` maps paths to "file:line"."""

    def __init__(self, options: Mapping[str, Any], places: Mapping[Place, str] | None = None) -> None:
        super().__init__(options)
        self.places: Mapping[Place, str] = places or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (Located, (dict(self), dict(self.places)))


def place_of(places: Mapping[Place, str], path: Place, default: str = "") -> str:
    """Where a path was written: its own place, or that of the nearest path above it."""
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return default


def below(places: Mapping[Place, str], path: Place) -> dict[Place, str]:
    """The places at and below a path, relative to it."""
    return {key[len(path) :]: place for key, place in places.items() if key[: len(path)] == path}


def read_ref(kind: str, value: Any, places: Mapping[Place, str] | None = None, where: str = "") -> ComponentRef:
    """The reference that a value stands for; `places` are relative to the value.

    Raises `ValueError` with the rest of a sentence whose subject is the value ("must be ...").
    """
    places = places or {}
    where = places.get((), where)
    if isinstance(value, ComponentRef):
        return value
    if isinstance(value, Part):
        return ComponentRef(kind, PYTHON, Located({PYTHON: value}, places), where)
    if isinstance(value, str):
        return _from_text(kind, value, places, where)
    if isinstance(value, Mapping):
        return _from_mapping(kind, value, places, where)
    if value is None or isinstance(value, bool | int | float | list | tuple):
        raise ValueError(f"must be the name of {article(kind)}, or a mapping with 'name', but it is {shown(value)}")
    return ComponentRef(kind, PYTHON, Located({PYTHON: value}, places), where)


def _from_text(kind: str, text: str, places: Mapping[Place, str], where: str) -> ComponentRef:
    url = _URL.fullmatch(text)
    if url:
        return ComponentRef(kind, url[1].lower(), Located({"url": text}, places), where)
    if not text.strip():
        raise ValueError(f"must be the name of {article(kind)}, but it is {shown(text)}")
    return ComponentRef(kind, text, Located({}, places), where)


def _from_mapping(kind: str, value: Mapping[str, Any], places: Mapping[Place, str], where: str) -> ComponentRef:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"has the option {key!r}; options have names that are strings")
    if PYTHON in value and "name" in value:
        raise ValueError("has both 'name' and 'python'; keep one of them")
    if PYTHON in value:
        return ComponentRef(kind, PYTHON, Located(value, places), where)
    if "name" not in value:
        raise ValueError(f"needs 'name', the name of {article(kind)} (or 'python', an object of yours)")
    name = value["name"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"needs a string as 'name', but it is {shown(name)}")
    return ComponentRef(kind, name, Located({k: v for k, v in value.items() if k != "name"}, places), where)
