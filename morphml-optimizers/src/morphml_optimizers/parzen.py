"""Parzen densities of genotypes: kernels around trials, for decisions of every kind and with conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain, Integer, Real, Subset

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@attrs.frozen(eq=False)
class Rows:
    """Genotypes as numbers, one a row.

    `units` are those of `DecisionSpace.encode`; `active` says which groups of decisions are; `marks` has a column for each code that
    there is, 1.0 in that of the row's own, 0.0 in others and where the decision is inactive.
    """

    units: Array
    active: Flags
    marks: Array

    def __len__(self) -> int:
        return len(self.units)

    def take(self, chosen: Any) -> Rows:
        """Some of the rows: by index, by flag or as a slice."""
        return Rows(self.units[chosen], self.active[chosen], self.marks[chosen])

    def put(self, place: int | slice, rows: Rows) -> None:
        """Replace some of the rows."""
        self.units[place], self.active[place], self.marks[place] = rows.units, rows.active, rows.marks

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """The rows of all parts, in order."""
        return Rows(
            np.concatenate([part.units for part in parts]),
            np.concatenate([part.active for part in parts]),
            np.concatenate([part.marks for part in parts]),
        )


@attrs.frozen(eq=False)
class Group:
    """Decisions that are active together: same parent (an index, -1: none), same condition.  `dimensions` are their numbers in a row."""

    parent: int
    when: frozenset[Any]
    above: int
    dimensions: list[int] = attrs.field(factory=list)


class Layout:
    """How the genotypes of a space are rows of numbers: the numbers of `DecisionSpace.encode`, and the groups of decisions that are active together.

    A number is a code (the value of a choice, or whether a subset holds a value; `codes` says how many there are) or lies on a scale
    (`codes` is 0, and `steps` the share of the scale that an integer has).  `owner` is the group of each number, `coded` and `scaled`
    are the places of the codes and of the others, and `columns` the place that each column of marks is for.
    """

    def __init__(self, decisions: DecisionSpace) -> None:
        self._decisions = decisions
        self.groups: list[Group] = []
        self._domains: list[tuple[Domain, int]] = []
        keys: dict[tuple[str | None, frozenset[Any]], int] = {}
        owner: list[int] = []
        codes: list[int] = []
        steps: list[float] = []
        self._first: list[int] = []
        for index, decision in enumerate(decisions.decisions):
            domain, at = decision.domain, len(codes)
            key = (decision.parent, frozenset(decision.when))
            if key not in keys:
                keys[key] = len(self.groups)
                self._first.append(index)
                parent = -1 if decision.parent is None else decisions.index(decision.parent)
                self.groups.append(Group(parent, key[1], owner[self._domains[parent][1]] if parent >= 0 else -1))
            self._domains.append((domain, at))
            self.groups[keys[key]].dimensions.extend(range(at, at + domain.width))
            owner += [keys[key]] * domain.width
            codes += [_codes(domain)] * domain.width
            steps += [1.0 / domain.size if isinstance(domain, Integer) else 0.0] * domain.width
        self.owner, self.codes, self.steps = np.array(owner), np.array(codes), np.array(steps)
        self.coded, self.scaled = np.flatnonzero(self.codes), np.flatnonzero(self.codes == 0)
        numbers = self.codes[self.coded]
        self._offsets = np.cumsum(numbers) - numbers
        self.columns = np.repeat(self.coded, numbers)

    def empty(self, count: int) -> Rows:
        """Rows to be filled."""
        units, active = np.full((count, len(self.codes)), 0.5), np.zeros((count, len(self.groups)), dtype=bool)
        return Rows(units, active, np.zeros((count, len(self.columns))))

    def rows(self, genotypes: Sequence[Genotype]) -> Rows:
        """The rows of some genotypes."""
        found = self.empty(len(genotypes))
        for number, genotype in enumerate(genotypes):
            found.units[number] = self._decisions.encode(genotype)
            found.active[number] = [genotype.slots[index] is not None for index in self._first]
        return self._marked(found)

    def _marked(self, rows: Rows) -> Rows:
        codes = (rows.units[:, self.coded] * self.codes[self.coded]).astype(np.intp) + self._offsets
        where, which = np.nonzero(rows.active[:, self.owner[self.coded]])
        rows.marks[where, codes[where, which]] = 1.0
        return rows

    def genotype(self, units: Array) -> Genotype:
        """The genotype of one row."""
        return self._decisions.decode(units)

    def settle(self, units: Array) -> Rows:
        """The rows of the genotypes that these numbers decode to."""
        rows = self.empty(len(units))
        settled, active = rows.units, rows.active
        for domain, at in self._domains:
            settled[:, at : at + domain.width] = _settled(domain, units[:, at : at + domain.width])
        for number, group in enumerate(self.groups):
            active[:, number] = True
            if group.parent >= 0:
                active[:, number] = active[:, group.above] & self._holds(group, settled)
        return self._marked(rows)

    def _holds(self, group: Group, units: Array) -> Flags:
        """Whether the parent's value is one of the group's condition."""
        domain, at = self._domains[group.parent]
        if isinstance(domain, Subset):
            held = [value in group.when for value in domain.values]
            found: Flags = np.asarray((units[:, at : at + domain.width][:, held] > 0.5).any(axis=1))
            return found
        if isinstance(domain, Choice):
            allowed = np.array([value in group.when for value in domain.values])
            return allowed[(units[:, at] * len(allowed)).astype(np.intp)]
        return np.array([domain.decode([unit]) in group.when for unit in units[:, at].tolist()])


def _codes(domain: Domain) -> int:
    return len(domain.values) if isinstance(domain, Choice) else 2 if isinstance(domain, Subset) else 0


def _settled(domain: Domain, units: Array) -> Array:
    """What `encode` gives for the values that these numbers, of shape (rows, width), decode to."""
    if domain.size == 1 and not isinstance(domain, Subset):
        return np.full_like(units, 0.5)
    if isinstance(domain, Real):
        return units
    if isinstance(domain, Subset):
        rank = np.argsort(np.argsort(-units, axis=1, kind="stable"), axis=1)
        count = np.clip((units > 0.5).sum(axis=1), domain.minimum, domain.most)
        return np.where(rank < count[:, None], 0.75, 0.25)
    if isinstance(domain, Choice) or not domain.log:
        size = domain.size
        steps: Array = (np.minimum(np.floor(units * size), size - 1) + 0.5) / size
        return steps
    start, end = math.log(domain.low - 0.5), math.log(domain.high + 0.5)
    values = np.clip(np.rint(np.exp(start + units * (end - start))), domain.low, domain.high)
    places: Array = (np.log(values) - start) / (end - start)
    return places


class Density:
    """A mixture of a kernel around each row, and of the even density.

    A kernel is a product over the decisions: a code is the row's own with probability 1 - `smoothing` and otherwise any; a number is
    normal around the row's with the deviation `widths` (one a dimension), cut to the scale.  Where a row lacks a group of decisions that
    a genotype has, its kernel takes the density of that group alone, over the rows which have it.  `weights` has one more than there
    are rows: the last is that of the even density.
    """

    def __init__(self, layout: Layout, rows: Rows, weights: Array, smoothing: float, widths: Array) -> None:
        self._layout, self._rows = layout, rows
        self._weights = weights / weights.sum()
        self._smoothing, self._widths = smoothing, widths
        codes = layout.codes[layout.columns]
        share = smoothing / codes
        self._miss = np.log(share)
        self._gain = np.log(1.0 - smoothing + share) - self._miss
        self._even = np.array([-np.log(np.maximum(layout.codes[group.dimensions], 1)).sum() for group in layout.groups])

    def log(self, rows: Rows) -> Array:
        """The logarithm of the density at each row."""
        layout, left, right = self._layout, self._left(rows), self._right()
        with np.errstate(divide="ignore"):
            weights = np.log(self._weights)
        found = np.empty((len(rows), len(weights)))
        found[:, :-1] = left @ right.T
        found[:, -1] = rows.active @ self._even
        place = layout.owner[np.concatenate([layout.columns, *[layout.scaled] * 3])]
        for number in range(len(layout.groups)):
            has = self._rows.active[:, number]
            if has.all():
                continue
            columns = place == number
            inside = np.append(
                left[:, columns] @ right[has][:, columns].T, np.full((len(rows), 1), self._even[number]), axis=1
            )
            kept = np.append(weights[:-1][has], weights[-1])
            alone = _log_sum(inside + kept) - _log_sum(kept[None].copy())
            found[:, :-1][:, ~has] += np.where(rows.active[:, number], alone, 0.0)[:, None]
        found += weights
        return _log_sum(found)

    def _right(self) -> Array:
        """What the kernel of each row is multiplied with: the logarithm of a kernel is one inner product."""
        units, width, on = self._scaled(self._rows)
        height = -0.5 * (units / width) ** 2 - np.log(math.sqrt(2 * math.pi) * width * _mass(units, width))
        return np.hstack([self._rows.marks, units * on, on, height * on])

    def _left(self, rows: Rows) -> Array:
        """What each genotype is multiplied with."""
        units, width, on = self._scaled(rows)
        codes = rows.marks * self._gain + self._miss * rows.active[:, self._layout.owner[self._layout.columns]]
        return np.hstack([codes, units / width**2 * on, -0.5 * (units / width) ** 2 * on, on])

    def _scaled(self, rows: Rows) -> tuple[Array, Array, Array]:
        """The numbers on a scale, the deviations there, and where they are active."""
        scaled = self._layout.scaled
        return rows.units[:, scaled], self._widths[scaled], rows.active[:, self._layout.owner[scaled]].astype(float)

    def draw(self, rng: Generator, count: int) -> Rows:
        """Rows drawn from the density (numbers that leave the scale are folded back)."""
        layout = self._layout
        coins, units, noise = rng.random((3, count, len(layout.codes)))
        normal = rng.standard_normal((count, len(layout.scaled)))
        base, even = self._centres(rng, count)
        coded, scaled = layout.coded, layout.scaled
        spread = base[:, coded] + np.where(layout.codes[coded] == 2, (noise[:, coded] - 0.5) / 2, 0.0)
        units[:, coded] = np.where((coins[:, coded] < self._smoothing) | even[:, coded], units[:, coded], spread)
        moved = np.abs(base[:, scaled] + normal * self._widths[scaled])
        moved = np.clip(1.0 - np.abs(1.0 - moved), 0.0, 1.0)
        units[:, scaled] = np.where(even[:, scaled], units[:, scaled], moved)
        return layout.settle(units)

    def _centres(self, rng: Generator, count: int) -> tuple[Array, Flags]:
        """The numbers that each draw begins with, and where there are none: where it is drawn evenly."""
        layout, rows = self._layout, self._rows
        drawn = rng.random((len(layout.groups) + 1, count))
        first = _pick(self._weights, drawn[-1])
        base, even = np.zeros((count, len(layout.codes))), np.zeros((count, len(layout.codes)), dtype=bool)
        for number, group in enumerate(layout.groups):
            has = np.append(rows.active[:, number], True)
            chosen = np.where(has[first], first, _pick(self._weights * has, drawn[number]))
            base[:, group.dimensions] = rows.units[np.minimum(chosen, len(rows) - 1)][:, group.dimensions]
            even[:, group.dimensions] = (chosen == len(rows))[:, None]
        return base, even


def spreads(layout: Layout, rows: Rows, weights: Array) -> Array:
    """The deviation of each number among the rows where it is active.

    `weights` has one more than there are rows: the last is that of an even spread, so that few rows which happen to agree do not
    leave the deviation zero.
    """
    shares = rows.active[:, layout.owner] * weights[:-1, None]
    total = shares.sum(axis=0)
    mean = (shares * rows.units).sum(axis=0) / np.maximum(total, 1e-12)
    squares = (shares * (rows.units - mean) ** 2).sum(axis=0) + weights[-1] / 12
    found: Array = np.sqrt(squares / (total + weights[-1]))
    return found


def _pick(weights: Array, units: Array) -> NDArray[np.intp]:
    """An index for each number in [0, 1), with probability by weight."""
    total = np.cumsum(weights)
    drawn = np.searchsorted(total, units * total[-1], side="right")
    found: NDArray[np.intp] = np.minimum(drawn, np.flatnonzero(weights)[-1])
    return found


def _log_sum(values: Array) -> Array:
    """The logarithm of the sum of the exponentials of each row.  Overwrites the values."""
    most = values.max(axis=1)
    values -= most[:, None]
    found: Array = np.log(np.exp(values, out=values).sum(axis=1)) + most
    return found


def _mass(centre: Array, width: Array) -> Array:
    """The share of a normal density around `centre` that lies in [0, 1]."""
    return _normal((1.0 - centre) / width) - _normal(-centre / width)


def _normal(values: Array) -> Array:
    """The distribution function of the normal density, to 1e-7 (Abramowitz and Stegun, 26.2.17)."""
    size = np.abs(values)
    term = 1.0 / (1.0 + 0.2316419 * size)
    series = term * (
        0.319381530 + term * (-0.356563782 + term * (1.781477937 + term * (-1.821255978 + term * 1.330274429)))
    )
    tail = np.exp(-0.5 * size**2) / math.sqrt(2 * math.pi) * series
    return np.where(values >= 0, 1.0 - tail, tail)
