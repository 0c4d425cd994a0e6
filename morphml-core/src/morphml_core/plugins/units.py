"""Types for options with a unit: `Seconds` ("10m") and `Bytes` ("2GiB").

A config class annotates a field with one of them, and the configuration may say a plain number or a text with a unit:

    timeout: Seconds = Seconds(60.0)
    memory: Bytes | None = None
"""

from __future__ import annotations

import math
import re
from typing import Any, NewType

Seconds = NewType("Seconds", float)
"""A duration in seconds; written as a number of seconds, or "500ms", "30s", "10m", "1h30m", "2d"."""

Bytes = NewType("Bytes", int)
"""A size in bytes; written as a number of bytes, or "500MB" (10**6), "2GiB" (2**30)."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?b|b)", re.ASCII | re.IGNORECASE)


def seconds(value: Any) -> Seconds:
    """Read a duration.  Raises `ValueError` for anything but a number that is not negative, or text such as "1h30m"."""
    if isinstance(value, str):
        text = value.strip()
        parts = _DURATION.findall(text)
        if not parts or re.sub(r"\s", "", _DURATION.sub("", text)):
            raise ValueError("not a duration")
        value = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_amount(value):
        raise ValueError("not a duration")
    return Seconds(float(value))


def size(value: Any) -> Bytes:
    """Read a size.  Raises `ValueError` for anything but a whole number that is not negative, or text such as "2GiB"."""
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        amount = float(found[1]) * _BYTES[found[2].lower()] if found else math.inf
        if not math.isfinite(amount):
            raise ValueError("not a size")
        value = int(amount)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a size")
    return Bytes(value)


def _is_amount(value: float) -> bool:
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:
        return False
