"""YAML to plain values and the places where they were written.

Scalars are read by the core schema of YAML 1.2 (`no` and `on` are text, 1e-3 is a number, 1:30 is text), with
underscores allowed in numbers; keys are distinct.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from morphml_core.config.document import Document, fail, located
from morphml_core.errors import Complaint
from morphml_core.plugins.refs import Place

_LIMIT = 100_000
"""The most values that a file may hold: aliases of aliases grow without bound."""


class _Loader(yaml.SafeLoader):
    """Composes nodes with the tags of the core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name and kind that yaml looks for


_INTEGER = r"[-+]?\d[\d_]*|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT = r"[-+]?(?:\.\d+|\d[\d_]*(?:\.\d*)?)(?:[eE][-+]?\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern in (
    ("null", r"~|null|Null|NULL|"),
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", _INTEGER),
    ("float", _FLOAT),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$", re.ASCII), None)


def read_yaml(text: str, name: str) -> Document:
    """The value of a YAML text; `name` is that of the file.  Raises `ConfigurationError`."""
    try:
        node = _Loader(text).get_single_node()
        return Document(*_Reader(name).document(node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise fail(f"not YAML: {_problem(error)}", located(name, mark.line + 1 if mark else 1)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise fail(
            f"not YAML: the character {chr(_code(error.character))!r} is not allowed", located(name, line)
        ) from None
    except RecursionError:
        raise fail("not readable: it is nested too deeply", name) from None


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


def _problem(error: yaml.MarkedYAMLError) -> str:
    return " ".join(", ".join(part for part in (error.context, error.problem) if part).split())


class _Reader:
    """Makes plain values of nodes, and notes places and complaints."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[Place, str] = {}
        self._complaints: list[Complaint] = []
        self._open: set[int] = set()
        self._count = 0

    def document(self, node: Any) -> tuple[Any, dict[Place, str], list[Complaint]]:
        """The value, the places and the complaints of a whole document."""
        if node is None:
            return None, {(): located(self._name, 1)}, []
        value = self._value(node, ())
        return value, self._places, self._complaints

    def _value(self, node: Any, path: Place) -> Any:
        self._places.setdefault(path, self._place(node))
        self._count += 1
        if self._count > _LIMIT:
            raise fail(f"not readable: it holds more than {_LIMIT} values", self._name)
        if id(node) in self._open:
            raise fail("not readable: an alias (*) stands inside of what it names", self._place(node))
        self._open.add(id(node))
        try:
            return self._read(node, path)
        finally:
            self._open.discard(id(node))

    def _read(self, node: Any, path: Place) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self._value(element, (*path, index)) for index, element in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            return self._scalar(node, kind)
        self._complain(node, f"the tag '{node.tag}' is not supported; write plain values")
        return None

    def _mapping(self, node: Any, path: Place) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, "a key must be a name, but it is a list or a mapping")
                continue
            if key_node.tag.endswith(":merge") or key_node.value == "<<":
                self._complain(
                    key_node,
                    "merge keys (<<) are no part of YAML 1.2; write the values out, or name them with an alias (*)",
                )
                continue
            key = self._read(key_node, path)
            if key in found:
                first = self._places[(*path, key)].rpartition(":")[2]
                self._complain(key_node, f"'{key}' is there twice (first in line {first}); keep one of them")
                continue
            self._places[(*path, key)] = self._place(key_node)
            found[key] = self._value(value_node, (*path, key))
        return found

    def _scalar(self, node: Any, kind: str) -> Any:
        try:
            return _SCALARS[kind](node.value)
        except (ValueError, KeyError):
            shown = node.value if len(node.value) <= 60 else f"{node.value[:57]}..."
            wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(kind, f"a {kind}")
            told = f" of {len(node.value)} characters" if len(node.value) > 60 else ""
            self._complain(node, f"'{shown}' cannot be read as {wanted}{told}; write another value")
            return None

    def _complain(self, node: Any, message: str) -> None:
        self._complaints.append(Complaint(self._place(node), message))

    def _place(self, node: Any) -> str:
        return located(self._name, node.start_mark.line + 1)


def _float(text: str) -> float:
    plain = text.replace("_", "").lower()
    return float(plain.replace(".inf", "inf").replace(".nan", "nan"))


def _integer(text: str) -> int:
    plain = text.replace("_", "").lower()
    return int(plain, 0) if plain.startswith(("0x", "0o")) else int(plain)


_SCALARS: dict[str, Any] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": _integer,
    "float": _float,
}
