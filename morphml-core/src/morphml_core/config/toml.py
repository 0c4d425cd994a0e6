"""TOML to plain values and the places where they were written."""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import Any

from morphml_core.config.document import Document, fail, located
from morphml_core.plugins.refs import Place


def read_toml(text: str, name: str) -> Document:
    """The value of a TOML text; `name` is that of the file.  Raises `ConfigurationError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        line = int(found[2]) if found and found[2] else text.count("\n") + 1
        message = found[1] if found else str(error)
        raise fail(f"not TOML: {message[:1].lower()}{message[1:]}", located(name, line)) from None
    except RecursionError:
        raise fail("not readable: it is nested too deeply", name) from None
    except ValueError:  # a number of too many digits
        raise fail("not TOML: a number in it is too long", name) from None
    return Document(_plain(data), _Lines(text, name).places)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value


_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\#[^\n]*|\n|[\[\]{}=,.]|[^\s\[\]{}=,.\#\"']+",
    re.DOTALL,
)


class _Lines:
    """Walks a text that is known to be TOML, only to find the line of each key and element.

    tomllib tells no lines.  The walk needs no rules but brackets, keys and commas, since nothing is wrong.
    """

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._tokens: list[tuple[str, int]] = []
        line, end = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            if not match[0].startswith("#"):
                self._tokens.append((match[0], line))
        self._at = 0
        self._tables: dict[Place, int] = {}
        self.places: dict[Place, str] = {(): located(name, 1)}
        self._document()

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0] if self._at <= len(self._tokens) else ""

    def _line(self) -> int:
        return self._tokens[min(self._at, len(self._tokens) - 1)][1]

    def _note(self, path: Place, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.places.setdefault(path[:length], located(self._name, line))

    def _document(self) -> None:
        table: Place = ()
        while self._peek():
            if self._peek() == "\n":
                self._take()
            elif self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        line = self._line()
        many = self._tokens[self._at : self._at + 2][-1][0] == "["
        self._at += 2 if many else 1
        keys = self._keys()
        while self._peek() == "]":
            self._take()
        path = self._within(keys[:-1])
        path = (*path, keys[-1])
        if many:
            self._tables[path] = self._tables.get(path, -1) + 1
            path = (*path, self._tables[path])
        elif path in self._tables:
            path = (*path, self._tables[path])
        self._note(path, line)
        return path

    def _within(self, keys: list[str]) -> Place:
        """The path of keys, with the index of the last element after each array of tables."""
        path: Place = ()
        for key in keys:
            path = (*path, key)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _keys(self) -> list[str]:
        keys = [_name(self._take())]
        while self._peek() == ".":
            self._take()
            keys.append(_name(self._take()))
        return keys

    def _pair(self, table: Place) -> None:
        line = self._line()
        path = (*table, *self._keys())
        self._note(path, line)
        if self._peek() == "=":
            self._take()
            self._value(path)

    def _value(self, path: Place) -> None:
        if self._peek() == "[":
            self._array(path)
        elif self._peek() == "{":
            self._inline(path)
        else:
            while self._peek() not in ("", "\n", ",", "]", "}"):  # a number with a point is several tokens
                self._take()

    def _array(self, path: Place) -> None:
        self._take()
        index = 0
        while self._peek() not in ("]", ""):
            if self._peek() == ",":
                index += 1
                self._take()
            elif self._peek() == "\n":
                self._take()
            else:
                self._note((*path, index), self._line())
                self._value((*path, index))
        self._take()

    def _inline(self, path: Place) -> None:
        self._take()
        while self._peek() not in ("}", ""):
            if self._peek() in (",", "\n"):
                self._take()
            else:
                self._pair(path)
        self._take()


def _name(token: str) -> str:
    """The key that a token stands for."""
    if token.startswith('"'):
        return next(iter(tomllib.loads(f"{token} = 0")))
    return token.strip("'")
