"""All genotypes of a space by number: any of them at once, none of them kept."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import shake_128
from itertools import accumulate
from typing import Any

from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain, Integer, Real, Slot, Subset

LARGE = 100
"""An integer with more values than this is thinned, as a real is."""

_ROUNDS = 6


class Enumeration:
    """The genotypes of a space, numbered from 0 to `size` - 1, in the order of the values with the last decision changing first.

    Each genotype has one number: decisions that are inactive do not count.  A real has `resolution` points, evenly spread on
    its own scale with both bounds among them (its middle for 1), and an integer with more than `LARGE` values has as many, or fewer where rounding makes
    them equal.  Numbers are exact, however large.  Making it takes time in proportion to the values of all decisions.
    """

    def __init__(self, decisions: DecisionSpace, resolution: int) -> None:
        below: dict[int, list[int]] = {}
        for index, decision in enumerate(decisions.decisions):
            below.setdefault(-1 if decision.parent is None else decisions.index(decision.parent), []).append(index)
        self._roots = below.get(-1, [])
        self._counts: dict[int, int] = {}
        self._nodes: list[_Levels | _Subsets] = []
        for index in reversed(range(len(decisions))):  # children come after their parents
            whens = {child: decisions.decisions[child].when for child in below.get(index, [])}
            domain = decisions.decisions[index].domain
            node = _node(domain, whens, self._counts, resolution)
            self._nodes.append(node)
            self._counts[index] = node.count
        self._nodes.reverse()
        self.size = math.prod(self._counts[index] for index in self._roots)

    def genotype(self, number: int) -> Genotype:
        """The genotype of a number below `size`.  Takes time in proportion to the decisions."""
        numbers: dict[int, int] = {}
        _share(number, self._roots, self._counts, numbers)
        slots: list[Slot] = []
        for index, node in enumerate(self._nodes):
            own = numbers.get(index)
            slots.append(None if own is None else node.pick(own, numbers))
        return Genotype(slots)


def _share(number: int, indices: Sequence[int], counts: Mapping[int, int], numbers: dict[int, int]) -> None:
    """Split one number into one for each of the decisions; that of the last changes first."""
    for index in reversed(indices):
        number, numbers[index] = divmod(number, counts[index])


def points(domain: Choice | Integer | Real, resolution: int) -> list[Slot]:
    """The values of a domain that are enumerated."""
    if isinstance(domain, Choice):
        return list(domain.values)
    if isinstance(domain, Integer) and domain.size <= LARGE:
        return list(range(domain.low, domain.high + 1))
    many = resolution if domain.size is None else min(resolution, domain.size)
    if many == 1:
        return [domain.decode([0.5])]
    inner = [domain.decode([place / (many - 1)]) for place in range(1, many - 1)]
    return list(dict.fromkeys([domain.low, *inner, domain.high]))


def _node(
    domain: Domain, whens: Mapping[int, Sequence[Any]], counts: Mapping[int, int], resolution: int
) -> _Levels | _Subsets:
    if isinstance(domain, Subset):
        return _Subsets(domain, whens, counts)
    return _Levels(points(domain, resolution), whens, counts)


class _Levels:
    """A decision with one value at a time, each with the decisions that it activates."""

    def __init__(self, values: Sequence[Slot], whens: Mapping[int, Sequence[Any]], counts: Mapping[int, int]) -> None:
        self._values = values
        self._counts = counts
        self._children = [[child for child, when in whens.items() if value in when] for value in values]
        sizes = (math.prod(counts[child] for child in children) for children in self._children)
        self._ends = list(accumulate(sizes))
        self.count = self._ends[-1]

    def pick(self, number: int, numbers: dict[int, int]) -> Slot:
        """The value of a number below `count`; the numbers of the decisions that it activates go into `numbers`."""
        level = bisect_right(self._ends, number)
        if self._children[level]:
            start = self._ends[level - 1] if level else 0
            _share(number - start, self._children[level], self._counts, numbers)
        return self._values[level]


class _Subsets:
    """A decision with several values at a time: without the first value before with it, and so on, so that none is listed.

    While the values are walked through, `chosen` of them are held, and the decisions in `live` are active already
    and could be activated once more by a later value.
    """

    def __init__(self, domain: Subset, whens: Mapping[int, Sequence[Any]], counts: Mapping[int, int]) -> None:
        self._domain = domain
        self._counts = counts
        values = domain.values
        self._children = [[child for child, when in whens.items() if value in when] for value in values]
        self._last = {child: max(values.index(value) for value in when) for child, when in whens.items()}
        self._end = max(self._last.values(), default=-1)
        self._ways = cache(self._count)
        self.count = self._ways(0, 0, frozenset())

    def _count(self, at: int, chosen: int, live: frozenset[int]) -> int:
        """In how many ways it can go on from the value at `at`, with all that it activates."""
        left, domain = len(self._domain.values) - at, self._domain
        if chosen > domain.most or chosen + left < domain.minimum:
            return 0
        if at > self._end:
            if domain.minimum <= chosen and chosen + left <= domain.most:
                return 1 << left
            least, most = max(domain.minimum - chosen, 0), min(domain.most - chosen, left)
            return sum(math.comb(left, more) for more in range(least, most + 1))
        without = self._ways(at + 1, chosen, self._still(at, live))
        ways, below = self._held(at, chosen, live)
        return without + ways * below

    def _held(self, at: int, chosen: int, live: frozenset[int]) -> tuple[int, int]:
        """With the value at `at` held: the ways of what it activates, and the ways to go on from there."""
        ways = math.prod(self._counts[child] for child in self._children[at] if child not in live)
        return ways, self._ways(at + 1, chosen + 1, self._still(at, live.union(self._children[at])))

    def _still(self, at: int, live: frozenset[int]) -> frozenset[int]:
        return frozenset(child for child in live if self._last[child] > at) if live else live

    def pick(self, number: int, numbers: dict[int, int]) -> Slot:
        """The values of a number below `count`; the numbers of the decisions that they activate go into `numbers`."""
        held, live = list[Any](), frozenset[int]()
        for at, value in enumerate(self._domain.values):
            without = self._ways(at + 1, len(held), self._still(at, live))
            if number < without:
                live = self._still(at, live)
                continue
            _, below = self._held(at, len(held), live)
            share, number = divmod(number - without, below)
            _share(share, [child for child in self._children[at] if child not in live], self._counts, numbers)
            live = self._still(at, live.union(self._children[at]))
            held.append(value)
        return tuple(held)


class Permutation:
    """The numbers below `size` in a random order that depends on `key` (bytes): any of them at once, none of them kept.

    A Feistel network over the next power of four (Luby and Rackoff, 1988), walked along until the number is below `size` (Black and Rogaway,
    "Ciphers with Arbitrary Finite Domains", 2002): at most four steps on average.
    """

    def __init__(self, size: int, key: bytes) -> None:
        self._size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        self._bytes = (self._half + 7) // 8
        self._keys = [key + bytes([turn]) for turn in range(_ROUNDS)]

    def __getitem__(self, place: int) -> int:
        place = self._mixed(place)
        while place >= self._size:
            place = self._mixed(place)
        return place

    def _mixed(self, number: int) -> int:
        left, right = number >> self._half, number & self._mask
        for key in self._keys:
            left, right = right, left ^ (self._hash(key, right) & self._mask)
        return (left << self._half) | right

    def _hash(self, key: bytes, number: int) -> int:
        text = number.to_bytes(self._bytes, "little")
        return int.from_bytes(shake_128(key + text).digest(self._bytes), "little")
