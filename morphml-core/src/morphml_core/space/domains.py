"""The domains that a decision can have: `Choice`, `Subset`, `Integer` and `Real`.

Each domain maps to the unit cube and back: `decode` is total (any numbers in [0, 1] give a valid value) and
`encode` returns the centre of the numbers that decode to the given value, so decode(encode(v)) == v (for a
`Real` up to rounding).  `decoder(at)` is `decode` prepared for a value whose numbers begin at a place in a longer
list: it is called for each decision of each sample, so it does as little as possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Value

Slot: TypeAlias = Value | tuple[Value, ...] | None
"""One value of a genotype: a plain value, a tuple for a `Subset`, None where the decision is inactive."""

Decoder: TypeAlias = Callable[[Sequence[float]], Any]
"""Reads its numbers, all in [0, 1], from its place in a list and returns a value."""

MOST_INTEGERS = 2**40
"""The widest range of an `Integer`: beyond it a number in [0, 1] no longer names each value."""


def _distinct(values: Any, what: str) -> tuple[Value, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SpaceError(f"{what} needs a list of values, but got {values!r}")
    if not values:
        raise SpaceError(f"{what} has no values; give it at least one")
    for value in values:
        if not isinstance(value, bool | int | float | str) or value != value:
            raise SpaceError(f"{what} has the value {value!r}; values are numbers, strings or booleans")
    if len(set(values)) < len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise SpaceError(f"{what} has the value {twice!r} twice; values are distinct (True equals 1, False equals 0)")
    return tuple(values)


def _choices(values: Sequence[Value]) -> tuple[Value, ...]:
    return _distinct(values, "a choice")


def _members(values: Sequence[Value]) -> tuple[Value, ...]:
    return _distinct(values, "a subset")


def _bound(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpaceError(f"a real needs finite numbers as bounds, but got {value!r}")
    return float(value)


def _same(one: object, two: object) -> bool:
    return one == two and isinstance(one, bool) == isinstance(two, bool)


@attrs.frozen
class Choice:
    """One of some distinct values, without order."""

    values: tuple[Value, ...] = attrs.field(converter=_choices)
    width = 1

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the values (True is not 1)."""
        return any(_same(value, known) for known in self.values)

    def decoder(self, at: int) -> Decoder:
        """`decode`, with its one number at `at`."""
        values, count = (*self.values, self.values[-1]), len(self.values)
        return lambda units: values[int(units[at] * count)]

    def decode(self, units: Sequence[float]) -> Value:
        """The value whose share of [0, 1] holds `units[0]`."""
        found: Value = self.decoder(0)(units)
        return found

    def encode(self, value: Any) -> list[float]:
        """The centre of the value's share of [0, 1]."""
        return [(self.values.index(value) + 0.5) / len(self.values)]

    def neighbours(self, value: Any) -> list[Value]:
        """Every other value."""
        return [other for other in self.values if other != value]


@attrs.frozen
class Subset:
    """Between `minimum` and `maximum` of some distinct values, in the order of `values`."""

    values: tuple[Value, ...] = attrs.field(converter=_members)
    minimum: int = 0
    maximum: int | None = None

    def __attrs_post_init__(self) -> None:
        for bound in (self.minimum, self.most):
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise SpaceError(f"a subset needs whole numbers as minimum and maximum, but got {bound!r}")
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
        held = tuple(known for known in self.values if known in value)
        return len(held) == len(value) and all(_same(one, two) for one, two in zip(held, value, strict=True))

    def decoder(self, at: int) -> Decoder:
        """`decode`, with the number of the first value at `at`."""
        end = at + len(self.values)
        return lambda units: self.decode(units[at:end])

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
        if self.high - self.low >= MOST_INTEGERS or (self.log and self.high > MOST_INTEGERS):
            raise SpaceError(
                f"an integer can have at most 2**40 values, but got {self.low} to {self.high}; use a real for so wide a range"
            )

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.high - self.low + 1

    def contains(self, value: object) -> bool:
        """Whether `value` is a whole number within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def decoder(self, at: int) -> Decoder:
        """`decode`, with its one number at `at`."""
        low, high, count = self.low, self.high, self.size
        if not self.log:
            return lambda units: low + int(units[at] * count) if units[at] < 1.0 else high
        exp, start = math.exp, math.log(low - 0.5)
        span = math.log(high + 0.5) - start

        def decode(units: Sequence[float]) -> int:
            value = round(exp(start + units[at] * span))
            return low if value < low else high if value > high else value

        return decode

    def decode(self, units: Sequence[float]) -> int:
        """The number whose share of [0, 1] holds `units[0]`."""
        found: int = self.decoder(0)(units)
        return found

    def encode(self, value: Any) -> list[float]:
        """The centre of the number's share of [0, 1] (on a log scale: where the number itself lies)."""
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

    low: float = attrs.field(converter=_bound)
    high: float = attrs.field(converter=_bound)
    log: bool = False
    width = 1

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise SpaceError(f"a real needs low <= high, but got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise SpaceError(f"a real on a log scale needs low > 0, but got {self.low}")
        if not math.isfinite(self.high - self.low):
            raise SpaceError(
                f"a real needs a finite range, but {self.low} to {self.high} is wider than a number can say"
            )

    @property
    def size(self) -> int | None:
        """One where the bounds meet (or are too close to be told apart), otherwise None: without number."""
        return 1 if self.decode([0.0]) == self.decode([1.0]) else None

    def contains(self, value: object) -> bool:
        """Whether `value` is a number within the bounds."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def decoder(self, at: int) -> Decoder:
        """`decode`, with its one number at `at`."""
        low, high = self.low, self.high
        start, span = (math.log(low), math.log(high) - math.log(low)) if self.log else (low, high - low)
        exp = math.exp if self.log else float

        def decode(units: Sequence[float]) -> float:
            value = exp(start + units[at] * span)
            return low if value < low else high if value > high else value

        return decode

    def decode(self, units: Sequence[float]) -> float:
        """The number at `units[0]` between the bounds."""
        found: float = self.decoder(0)(units)
        return found

    def encode(self, value: Any) -> list[float]:
        """Where the number lies between the bounds."""
        if self.low == self.high:
            return [0.5]
        if self.log:
            start, end = math.log(self.low), math.log(self.high)
            return [min(1.0, (math.log(value) - start) / (end - start))] if end > start else [0.5]
        return [(value - self.low) / (self.high - self.low)]

    def neighbours(self, value: Any) -> list[float]:
        """Up to four numbers: a tenth and a hundredth of the range down and up."""
        unit = self.encode(value)[0]
        moved = [self.decode([unit + step]) for step in (-0.1, -0.01, 0.01, 0.1) if 0 <= unit + step <= 1]
        return [other for other in moved if other != value]


Domain: TypeAlias = Choice | Subset | Integer | Real
