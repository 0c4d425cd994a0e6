"""Are these metrics?  A mapping of names to finite numbers, with every objective and constraint: else a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

_LONGEST = 200


class BadMetricsError(Exception):
    """What an evaluation returned is no measurement; the message says why."""


def check(returned: Any, needed: Sequence[str] = (), what: str = "the evaluation returned") -> dict[str, float]:
    """The metrics as a dictionary of plain floats.

    Numbers of numpy (and arrays without dimensions) are taken as numbers, True and False as 1 and 0.  Raises `BadMetricsError` with a
    sentence for anything that is no mapping of names to finite numbers, or lacks one of the `needed`.
    """
    if type(returned) is not dict and not isinstance(returned, Mapping):
        raise BadMetricsError(f"{what} {_shown(returned)}, but metrics are a mapping of names to numbers")
    found = {name: value if type(value) is float else _number(name, value) for name, value in returned.items()}
    for name, value in found.items():
        if type(name) is not str:
            raise BadMetricsError(f"{what} a metric with the name {_shown(name)}, but names of metrics are strings")
        if not name.isprintable() or not 0 < len(name) <= _LONGEST:
            raise BadMetricsError(
                f"{what} a metric with the name {_shown(name)}, but names of metrics are 1 to {_LONGEST} printable characters"
            )
        if not math.isfinite(value):
            raise BadMetricsError(f"the metric '{name}' is {value}, but metrics are finite numbers")
    for name in needed:
        if name not in found:
            there = ", ".join(map(str, found)) or "no metrics at all"
            raise BadMetricsError(
                f"{what} no metric '{name}', which an objective or a constraint names; it returned {there}"
            )
    return found


def storable(text: str) -> str:
    """The text with "?" for what UTF-8 cannot hold (lone surrogates, from bytes that were no text) and for the character 0."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _number(name: Any, value: Any) -> float:
    try:
        if isinstance(value, Real) or getattr(value, "ndim", None) == 0:
            return float(value)
    except OverflowError:
        raise BadMetricsError(f"the metric '{name}' is too large a number") from None
    except (TypeError, ValueError):
        pass
    raise BadMetricsError(f"the metric '{name}' is {_shown(value)}, but metrics are finite numbers")


def _shown(value: Any) -> str:
    kind = type(value).__name__
    try:
        text = repr(value)
    except Exception:  # a value of user code, whose __repr__ may itself be broken
        return f"a {kind} that cannot be shown"
    return f"{text if len(text) <= 60 else text[:57] + '...'} (a {kind})" if value is not None else "None"
