"""A configuration as plain values, with the place where each was written, and changes from the command line."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.plugins.refs import Place, read_ref
from morphml_core.plugins.words import dotted, shown


@attrs.define
class Document:
    """Plain values; the places of paths ("file:line"); and what was wrong with the writing itself."""

    data: Any
    places: dict[Place, str] = attrs.field(factory=dict)
    complaints: list[Complaint] = attrs.field(factory=list)


def fail(message: str, where: str) -> ConfigurationError:
    """The error of one complaint."""
    return ConfigurationError([Complaint(where, message)])


def in_order(complaints: Iterable[Complaint]) -> list[Complaint]:
    """Complaints by the line they stand in; those without a line (--set, Python) come last, as they came."""

    def line(complaint: Complaint) -> float:
        digits = complaint.where.rpartition(":")[2]
        return (
            int(digits)
            if digits.isascii() and digits.isdigit() and not complaint.where.startswith("--set ")
            else math.inf
        )

    return sorted(complaints, key=line)


def located(name: str, line: int) -> str:
    """A place: "file:line", or the name alone for what has no lines (--set)."""
    return name if name.startswith("--set ") else f"{name}:{line}"


def read_document(path: Path) -> Document:
    """The document in a YAML or TOML file.  Raises `ConfigurationError`."""
    from morphml_core.config.toml import read_toml
    from morphml_core.config.yaml import read_yaml

    name = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise fail(f"not UTF-8 text: the byte 0x{byte:02x} is none", f"{name}:{line}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fail(f"cannot be read: {reason}", name) from None
    return read_toml(text, name) if path.suffix.lower() == ".toml" else read_yaml(text, name)


def plain_document(mapping: Mapping[str, Any]) -> Document:
    """The document of a Python mapping; its places are dotted paths.  Raises `ConfigurationError` for one that holds itself."""
    places: dict[Place, str] = {}
    return Document(_plain(mapping, (), places, set()), places)


def _plain(value: Any, path: Place, places: dict[Place, str], holders: set[int]) -> Any:
    places[path] = dotted(path)
    if isinstance(value, Mapping | list | tuple):
        if id(value) in holders:
            raise fail("it holds itself", dotted(path))
        holders = holders | {id(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each, (*path, key), places, holders) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, (*path, index), places, holders) for index, each in enumerate(value)]
    if isinstance(value, numbers.Number) and not isinstance(value, bool | int | float | complex):
        return _number(value)
    return value


def _number(value: Any) -> Any:
    """A number of Python for one of numpy."""
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def override(document: Document, text: str) -> None:
    """Set one value: `optimizer.population=20`.  What is wrong becomes a complaint of the document."""
    from morphml_core.config.yaml import read_yaml

    where = f"--set {text}"
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        message = "does not say what to set; write PATH=VALUE, such as optimizer.population=20"
        document.complaints.append(Complaint(where, message))
        return
    try:
        given = read_yaml(value, where)
        document.complaints.extend(given.complaints)
        _set(document, keys, given.data, where)
    except ConfigurationError as error:
        document.complaints.extend(error.complaints)


def _set(document: Document, keys: Sequence[str], value: Any, where: str) -> None:
    if not isinstance(document.data, dict):
        document.data = {}
    holder: Any = document.data
    path: Place = ()
    for depth, text in enumerate(keys):
        key = _key(holder, text, path, where)
        path = (*path, key)
        document.places.setdefault(path, where)
        if depth == len(keys) - 1:
            holder[key] = value
            break
        if isinstance(holder, dict):
            holder.setdefault(key, {})
        holder[key] = _opened(holder[key])
        holder = holder[key]
    document.places = {known: place for known, place in document.places.items() if known[: len(path)] != path}
    document.places[path] = where


def _key(holder: Any, text: str, path: Place, where: str) -> str | int:
    if isinstance(holder, dict):
        return text
    if isinstance(holder, list):
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(holder):
            return int(text)
        raise fail(f"'{dotted(path)}' has {len(holder)} elements, numbered from 0; there is no '{text}'", where)
    raise fail(f"'{dotted(path)}' is {shown(holder)}, so there is no '{text}' in it", where)


def _opened(value: Any) -> Any:
    """A mapping in place of a bare name, so that options can be set beside it."""
    if value is None:
        return {}
    if not isinstance(value, str) or not value.strip():
        return value
    ref = read_ref("component", value)
    return {"name": ref.name, **ref.options}
