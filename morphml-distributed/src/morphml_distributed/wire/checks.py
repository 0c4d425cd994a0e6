"""Checks of what a peer sent.  Each returns the value where it may be, and else raises `WireError` with a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf, isfinite
from typing import Any

from morphml_core.errors import MorphMLError
from morphml_distributed.wire import limits

UNFIT = (ValueError, TypeError, OverflowError, AttributeError)
"""What protobuf raises for values that a message cannot hold."""


class WireError(MorphMLError):
    """A peer sent what the protocol does not allow, or a value cannot be sent; the sentence says what."""


def shown(value: object) -> str:
    """The value for a sentence, in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def cut(text: str, most: int = limits.TEXT) -> str:
    """The text as it can be sent: what UTF-8 cannot hold replaced, and no longer than `most` characters."""
    if len(text) > most:
        text = text[: most - 3] + "..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def name(value: str, what: str) -> str:
    """A name: short, printable, not empty."""
    if not 0 < len(value) <= limits.NAME or not value.isprintable():
        raise WireError(f"{what} is {shown(value)}, but names are 1 to {limits.NAME} printable characters")
    return value


def text(value: str, what: str, most: int = limits.TEXT) -> str:
    """A text of at most so many characters."""
    if len(value) > most:
        raise WireError(f"{what} has {len(value)} characters; {most} are allowed")
    return value


def within(value: int, below: int, what: str, least: int = 0) -> int:
    """A whole number of a range."""
    if not least <= value < below:
        raise WireError(f"{what} is {value}, but is from {least} to {below - 1}")
    return value


def real(value: float, what: str, least: float = -inf, most: float = inf) -> float:
    """A finite number of a range."""
    if not isfinite(value) or not least <= value <= most:
        between = f" from {least:g} to {most:g}" if isfinite(most) else f" from {least:g}" if isfinite(least) else ""
        raise WireError(f"{what} is {value:g}, but is a finite number{between}")
    return value


def few(values: Any, most: int, what: str) -> Any:
    """A list or a map of at most so many entries."""
    if len(values) > most:
        raise WireError(f"there are {len(values)} {what}; {most} are allowed")
    return values


def distinct(names: Iterable[str], what: str) -> tuple[str, ...]:
    """Names, none of them twice."""
    found = tuple([name(each, what) for each in names])
    if len(set(found)) < len(found):
        twice = next(each for index, each in enumerate(found) if each in found[:index])
        raise WireError(f"{what} is {shown(twice)} for two of them")
    return found


def trial(message: Any) -> int:
    """The number of a message's trial."""
    number: int = message.number
    return number if number < limits.NUMBER else within(number, limits.NUMBER, "the number of a trial")


def attempt(message: Any) -> int:
    """The attempt of a message; they count from 1."""
    found: int = message.attempt
    return found if 0 < found < limits.COUNT else within(found, limits.COUNT, "the attempt at a trial", 1)


def metrics(values: Any, what: str) -> dict[str, float]:
    """Metrics, few enough and with short names; the loop judges names and numbers."""
    if len(values) > limits.METRICS:
        raise WireError(f"{what} has {len(values)} metrics; {limits.METRICS} are allowed")
    found = dict(values)
    for each in found:
        if len(each) > limits.NAME:
            raise WireError(f"{what} has a metric whose name has {len(each)} characters; {limits.NAME} are allowed")
    return found


def none_of(kind: str | None, known: Iterable[str]) -> str:
    """The rest of a sentence about a frame that is none of these."""
    found = "empty, or of a newer protocol" if kind is None else f"'{kind}', which has no place here"
    return f"{found}; expected is one of {', '.join(known)}"


@contextmanager
def sending(what: str) -> Iterator[None]:
    """In this block a value that no message can hold is a `WireError`."""
    try:
        yield
    except UNFIT as error:
        raise WireError(f"{what} cannot be sent: {error}") from None
