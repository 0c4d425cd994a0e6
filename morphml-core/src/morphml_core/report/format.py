"""Numbers, durations and values in words, the same on the page and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def number(value: Any) -> str:
    """A number for people: 12,345 or 0.9713 or 1.2e-07; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e5:
        decimals = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}"
    return f"{value:.3g}"


def counted(count: int, noun: str) -> str:
    """A number of things: 1 trial, 2 trials."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """A duration in its two largest units: 850 ms, 4.2 s, 3 min 12 s, 2 h 5 min."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def value(slot: Any) -> str:
    """A decision's value: numbers as they are written, subsets in braces."""
    if isinstance(slot, tuple | list):
        return "{" + ", ".join(value(item) for item in slot) + "}"
    if isinstance(slot, float):
        return f"{slot:.4g}"
    return str(slot)


def metrics(values: Mapping[str, float], first: tuple[str, ...] = ()) -> str:
    """Metrics in one line, those named in `first` leading: "accuracy 0.9713, parameters 12,345"."""
    names = [name for name in first if name in values] + [name for name in values if name not in first]
    return ", ".join(f"{name} {number(values[name])}" for name in names)


def first_line(message: str) -> str:
    """The first line of a message: what happened; where it happened follows on the others."""
    lines = message.strip().splitlines()
    return lines[0] if lines else ""
