"""Pieces of error sentences: suggestions, lists of names, and values as people wrote them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely means, or None."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: "did you mean 'x'?", or what there is."""
    names = sorted(known)
    near = nearest(name, names)
    return f"did you mean '{near}'?" if near else f"there are {', '.join(names)}"


def article(noun: str) -> str:
    """The noun with its article: "an optimizer"."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def shown(value: Any) -> str:
    """A value with its type, short: "'fifty' (a string)"."""
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} (a boolean)"
    if isinstance(value, int):
        return f"{_cut(_number(value))} (a whole number)"
    if isinstance(value, float):
        return f"{value!r} (a number)"
    if isinstance(value, str):
        return f"{_cut(repr(value))} (a string)"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return article(type(value).__name__)


def _number(value: int) -> str:
    return str(value) if value.bit_length() < 1000 else f"about 2**{value.bit_length()}"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def dotted(path: Iterable[str | int]) -> str:
    """A path as text: `layers[2].kernel`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
