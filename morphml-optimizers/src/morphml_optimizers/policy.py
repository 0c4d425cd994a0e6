"""Independent categorical distributions over the decisions of a space: what a policy gradient changes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain, Integer, Subset

Array = NDArray[np.float64]

Part = tuple[float, float]
"""A category of a number in [0, 1]: what lies between these two decodes to its values."""

_GAP = 5.0  # logits are at most so far below the largest: what has become unlikely can become likely again


@attrs.frozen
class _Code:
    """The categories of each number of a domain, and how to find those of a value."""

    parts: list[list[Part]]
    find: Callable[[Any], list[int]]


class Policy:
    """A distribution for each number that encodes a genotype (see `DecisionSpace.decode`): a softmax of logits, even at first.

    A choice has a category a value, a subset two for each of its values (without it, with it); a real has `bins` of equal width on its own scale, an
    integer too where it has more values, and numbers are drawn evenly from within.  The categories of all numbers stand in one list, in
    order.  Decisions that are inactive in a genotype have no part in how likely it is.
    """

    def __init__(self, decisions: DecisionSpace, bins: int) -> None:
        self._decisions = decisions
        codes = [_code(decision.domain, bins) for decision in decisions.decisions]
        parts = [found for code in codes for found in code.parts]
        self._low = np.array([low for found in parts for low, _ in found])
        self._width = np.array([high - low for found in parts for low, high in found])
        self._sizes = np.array([len(found) for found in parts], dtype=np.intp)
        self._last = np.cumsum(self._sizes) - 1
        self._first = self._last + 1 - self._sizes
        self._owner = np.repeat(np.arange(len(parts)), self._sizes)
        self._places = np.arange(float(len(parts)))
        self._even = -np.log(self._sizes[self._owner])
        self._set_finders(codes)
        self._logits = np.zeros(len(self._low))
        self.change(self._logits)

    def _set_finders(self, codes: Sequence[_Code]) -> None:
        self._finders: list[tuple[list[int], Callable[[Any], list[int]]]] = []
        self._limited: list[tuple[int, Subset]] = []
        number = 0
        for code, decision in zip(codes, self._decisions.decisions, strict=True):
            domain, many = decision.domain, len(code.parts)
            self._finders.append((self._first[number : number + many].tolist(), code.find))
            if isinstance(domain, Subset) and (domain.minimum > 0 or domain.most < many):
                self._limited.append((number, domain))
            number += many

    def change(self, step: Array) -> None:
        """Add to the logits, one number a category."""
        moved = self._logits + step
        self._logits = np.maximum(moved - self._by_owner(np.maximum, moved), -_GAP)
        weights = np.exp(self._logits)
        totals = self._by_owner(np.add, weights)
        self.probabilities = weights / totals
        self._log = self._logits - np.log(totals)
        # The bounds of number n lie between n and n + 1, so that one search finds the categories of all.
        sums = np.cumsum(self.probabilities)
        self._bounds = sums - (sums - self.probabilities)[self._first][self._owner] + self._owner

    def _by_owner(self, reduce: np.ufunc, values: Array) -> Array:
        """What a function makes of the values of each number, for each of its categories."""
        found: Array = reduce.reduceat(values, self._first)[self._owner]
        return found

    def draw(self, rng: Generator, share: float = 0.0) -> Genotype:
        """A genotype of the policy; a `share` of its numbers is drawn evenly instead."""
        drawn = rng.random((3, len(self._places)))
        chosen = np.minimum(np.searchsorted(self._bounds, drawn[0] + self._places, side="right"), self._last)
        chosen = np.maximum(chosen, self._first)
        if share:
            even = self._first + (drawn[0] * self._sizes).astype(np.intp)
            chosen = np.where(drawn[2] < share, even, chosen)
        units: list[float] = (self._low[chosen] + self._width[chosen] * drawn[1]).tolist()
        for number, domain in self._limited:
            _keep(units, number, domain, drawn[2].tolist())
        return self._decisions.decode(units)

    def categories(self, genotype: Genotype) -> list[int]:
        """The categories of what is active in a genotype."""
        found: list[int] = []
        for slot, (starts, find) in zip(genotype.slots, self._finders, strict=True):
            if slot is not None:
                found += [start + place for start, place in zip(starts, find(slot), strict=True)]
        return found

    def ratio(self, categories: Sequence[int]) -> float:
        """How much more likely these are than if all were drawn evenly, at most 1.0."""
        chosen = list(categories)
        return math.exp(min(0.0, float(np.sum(self._log[chosen] - self._even[chosen]))))

    def gradient(self, lessons: Sequence[tuple[list[int], float]], entropy: float) -> Array:
        """Of the mean of advantage times log-likelihood over lessons (categories, advantage), and `entropy` times the entropy of what is active in them."""
        gains, advantages, active = (np.zeros(len(self._low)), *np.zeros((2, len(self._places))))
        for categories, advantage in lessons:
            owners = self._owner[categories]
            gains[categories] += advantage
            advantages[owners] += advantage
            active[owners] += 1.0
        surprise = self.probabilities * self._log
        spread = surprise - self.probabilities * self._by_owner(np.add, surprise)
        gains -= self.probabilities * advantages[self._owner] + entropy * spread * active[self._owner]
        return gains / len(lessons)


def _keep(units: list[float], first: int, domain: Subset, drawn: Sequence[float]) -> None:
    """Bring the number of values of a subset within its bounds: values drawn by lot leave or join."""
    numbers = range(first, first + len(domain.values))
    held = sorted((number for number in numbers if units[number] > 0.5), key=drawn.__getitem__)
    free = sorted((number for number in numbers if units[number] < 0.5), key=drawn.__getitem__)
    for number in held[domain.most :]:
        units[number] = 0.25
    for number in free[: max(0, domain.minimum - len(held))]:
        units[number] = 0.75


def _code(domain: Domain, bins: int) -> _Code:
    if isinstance(domain, Choice):
        places = {value: [place] for place, value in enumerate(domain.values)}
        return _Code([[_point(domain, value) for value in places]], places.__getitem__)
    if isinstance(domain, Subset):
        values = domain.values
        return _Code(
            [[(0.25, 0.25), (0.75, 0.75)] for _ in values], lambda held: [int(each in held) for each in values]
        )
    if isinstance(domain, Integer):
        return _integers(domain, bins)
    many = bins if domain.size is None else 1
    edges = [place / many for place in range(many + 1)]
    return _Code([list(pairwise(edges))], lambda value: [min(int(domain.encode(value)[0] * many), many - 1)])


def _integers(domain: Integer, bins: int) -> _Code:
    """Runs of whole numbers, about equally wide on their scale and none of them empty."""
    if domain.size <= bins:
        firsts = list(range(domain.low, domain.high + 1))
    else:
        firsts = list(dict.fromkeys(domain.decode([place / bins]) for place in range(bins)))
    ends = [*firsts[1:], domain.high + 1]
    parts = [
        _point(domain, first) if end == first + 1 else (_edge(domain, first), _edge(domain, end))
        for first, end in zip(firsts, ends, strict=True)
    ]
    return _Code([parts], lambda value: [bisect_right(firsts, value) - 1])


def _point(domain: Choice | Integer, value: Any) -> Part:
    unit = domain.encode(value)[0]
    return unit, unit


def _edge(domain: Integer, first: int) -> float:
    """The number in [0, 1] from which on the whole numbers from `first` on are decoded."""
    if not domain.log:
        return (first - domain.low) / domain.size
    start, end = math.log(domain.low - 0.5), math.log(domain.high + 0.5)
    return (math.log(first - 0.5) - start) / (end - start)
