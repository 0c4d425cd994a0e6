"""The domains that a decision can have: `Choice`, `Subset`, `Integer` and `Real`.

Each domain maps to the unit cube and back: `decode` is total (any numbers in [0, 1] give a valid value) and
`encode` returns the centre of the values that decode to the given one, so decode(encode(v)) == v.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Value

Slot: TypeAlias = Value | tuple[Value, ...] | None
"""One value of a genotype: a plain value, a tuple for a `Subset`, None where the decision is inactive."""


def _distinct(values: Sequence[Value], what: str) -> tuple[Value, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SpaceError(f"{what} needs a list of values, but got {values!r}")
    if not values:
        raise SpaceError(f"{what} has no values; give it at least one")
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise SpaceError(f"{what} has the value {value!r}; values are numbers, strings or booleans")
    keys = [(type(value) is bool, value) for value in values]
    if len(set(keys)) < len(keys):
        twice = next(value for value, key in zip(values, keys, strict=True) if keys.count(key) > 1)
        raise SpaceError(f"{what} has the value {twice!r} twice; values are distinct")
    return tuple(values)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpaceError(f"{what} needs finite numbers as bounds, but got {value!r}")
    return value


@attrs.frozen
class Choice:
    """One of some distinct values, without order."""

    values: tuple[Value, ...] = attrs.field(converter=lambda values: _distinct(values, "a choice"))
    width = 1

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the values (True is not 1)."""
        return any(value == known and (type(value) is bool) == (type(known) is bool) for known in self.values)

    def decode(self, units: Sequence[float]) -> Value:
        """The value whose share of [0, 1] holds `units[0]`."""
        return self.values[min(int(units[0] * len(self.values)), len(self.values) - 1)]

    def encode(self, value: Any) -> list[float]:
        """The centre of the value's share of [0, 1]."""
        return [(self.values.index(value) + 0.5) / len(self.values)]

    def neighbours(self, value: Any) -> list[Value]:
        """Every other value."""
        return [other for other in self.values if other is not value and other != value]


@attrs.frozen
class Subset:
    """Between `minimum` and `maximum` of some distinct values, in the order of `values`."""

    values: tuple[Value, ...] = attrs.field(converter=lambda values: _distinct(values, "a subset"))
    minimum: int = 0
    maximum: int | None = None

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.minimum <= self.most <= len(self.values):
            raise SpaceError(
                f"a subset of {len(self.values)} values cannot hold {self.minimum} to {self.most} of them; "
                f"needed is 0 <= minimum <= maximum <= {len(self.values)}"
            )

    @property
    def most(self) -> int:
        """The largest number of values a subset can hold."""
        return len(self.values) if self.maximum is None else self.maximum

    @property
    def width(self) -> int:
        """How many numbers encode one subset: one a value."""
        return len(self.values)

    @property
    def size(self) -> int:
        """How many subsets there are."""
        return sum(math.comb(len(self.values), count) for count in range(self.minimum, self.most + 1))

    def contains(self, value: object) -> bool:
        """Whether `value` is a tuple of known values, in order, of an allowed length."""
        if not isinstance(value, tuple) or not self.minimum <= len(value) <= self.most:
            return False
        return value == tuple(known for known in self.values if known in value)

    def decode(self, units: Sequence[float]) -> tuple[Value, ...]:
        """The values above one half, cut or filled up to an allowed number by size of their units."""
        ranked = sorted(range(len(self.values)), key=lambda index: -units[index])
        count = sum(unit > 0.5 for unit in units)
        chosen = set(ranked[: max(self.minimum, min(count, self.most))])
        return tuple(value for index, value in enumerate(self.values) if index in chosen)

    def encode(self, value: Any) -> list[float]:
        """0.75 where a value is held, 0.25 where not."""
        return [0.75 if known in value else 0.25 for known in self.values]

    def neighbours(self, value: Any) -> list[tuple[Value, ...]]:
        """Subsets with one value more, less, or exchanged."""
        held = set(value)
        found = [held ^ {known} for known in self.values]
        found += [(held - {out}) | {into} for out in value for into in self.values if into not in held]
        ordered = [tuple(known for known in self.values if known in subset) for subset in found]
        return [subset for subset in ordered if self.minimum <= len(subset) <= self.most]


@attrs.frozen
class Integer:
    """A whole number from `low` to `high`, both included; `log` spreads them evenly in the logarithm."""

    low: int
    high: int
    log: bool = False
    width = 1

    def __attrs_post_init__(self) -> None:
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise SpaceError(f"an integer needs whole numbers as bounds, but got {bound!r}")
        if self.low > self.high:
            raise SpaceError(f"an integer needs low <= high, but got {self.low} and {self.high}")
        if self.log and self.low < 1:
            raise SpaceError(f"an integer on a log scale needs low >= 1, but got {self.low}")

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    def contains(self, value: object) -> bool:
        """Whether `value` is a whole number within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def decode(self, units: Sequence[float]) -> int:
        """The number whose share of [0, 1] holds `units[0]`."""
        unit = units[0]
        if self.log:
            start, end = math.log(self.low - 0.5), math.log(self.high + 0.5)
            found = round(math.exp(start + unit * (end - start)))
        else:
            found = self.low + int(unit * self.size)
        return max(self.low, min(found, self.high))

    def encode(self, value: Any) -> list[float]:
        """The centre of the number's share of [0, 1]."""
        if self.log:
            start, end = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return [(math.log(value) - start) / (end - start)]
        return [(value - self.low + 0.5) / self.size]

    def neighbours(self, value: Any) -> list[int]:
        """The numbers just below and above."""
        return [other for other in (value - 1, value + 1) if self.low <= other <= self.high]


@attrs.frozen
class Real:
    """A real number from `low` to `high`; `log` spreads them evenly in the logarithm."""

    low: float = attrs.field(converter=lambda value: float(_number(value, "a real")))
    high: float = attrs.field(converter=lambda value: float(_number(value, "a real")))
    log: bool = False
    width = 1

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise SpaceError(f"a real needs low <= high, but got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise SpaceError(f"a real on a log scale needs low > 0, but got {self.low}")

    @property
    def size(self) -> int | None:
        """One where the bounds meet, otherwise None: without number."""
        return 1 if self.low == self.high else None

    def contains(self, value: object) -> bool:
        """Whether `value` is a number within the bounds."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def decode(self, units: Sequence[float]) -> float:
        """The number at `units[0]` between the bounds."""
        unit = units[0]
        found = self.low * (self.high / self.low) ** unit if self.log else self.low + unit * (self.high - self.low)
        return max(self.low, min(found, self.high))

    def encode(self, value: Any) -> list[float]:
        """Where the number lies between the bounds."""
        if self.low == self.high:
            return [0.5]
        if self.log:
            return [math.log(value / self.low) / math.log(self.high / self.low)]
        return [(value - self.low) / (self.high - self.low)]

    def neighbours(self, value: Any) -> list[float]:
        """Four numbers: a tenth and a hundredth of the range down and up."""
        unit = self.encode(value)[0]
        moved = [self.decode([unit + step]) for step in (-0.1, -0.01, 0.01, 0.1) if 0 <= unit + step <= 1]
        return [other for other in moved if other != value]


Domain: TypeAlias = Choice | Subset | Integer | Real
