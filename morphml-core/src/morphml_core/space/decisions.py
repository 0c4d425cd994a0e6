"""Decisions, genotypes, and the operations on genotypes that every optimizer uses.

All of them go through one private walk, `DecisionSpace._fill`: it visits the decisions in order, asks for a
value where a decision is active and leaves None where it is not, so that each result is valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Value
from morphml_core.space.domains import Choice, Domain, Slot, Subset


@attrs.frozen
class Decision:
    """One decision: a plain, stable path (`cell.node2.op`), its domain, and when it is active.

    Without a parent it is always active; otherwise when its parent is active and has a value in `when`
    (for a `Subset` parent: holds one of `when`).
    """

    path: str
    domain: Domain
    parent: str | None = None
    when: tuple[Value, ...] = attrs.field(default=(), converter=tuple)


@attrs.frozen(hash=False)
class Genotype:
    """A point of a space: one slot a decision, None where the decision is inactive."""

    slots: tuple[Slot, ...] = attrs.field(converter=tuple)

    def __hash__(self) -> int:
        return hash(self.slots)

    def __len__(self) -> int:
        return len(self.slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots)


Pick = Callable[[int, Domain], Any]


class DecisionSpace:
    """An ordered list of decisions; parents come before their children.

    Raises `SpaceError` for duplicate paths, unknown or later parents, and values of `when` that the parent
    cannot have.
    """

    def __init__(self, decisions: Iterable[Decision]) -> None:
        self.decisions: tuple[Decision, ...] = tuple(decisions)
        self._index: dict[str, int] = {}
        self._rules: list[tuple[int, Domain, int, frozenset[Value]]] = []
        for index, decision in enumerate(self.decisions):
            self._rules.append((index, decision.domain, self._parent_of(decision), frozenset(decision.when)))
            self._index[decision.path] = index
        offsets = np.cumsum([0] + [decision.domain.width for decision in self.decisions])
        self._spans = [(int(a), int(b)) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
        self.dimensions = int(offsets[-1])

    def _parent_of(self, decision: Decision) -> int:
        if decision.path in self._index:
            raise SpaceError(f"the decision '{decision.path}' is there twice; paths are distinct")
        if decision.parent is None:
            return -1
        if decision.parent not in self._index:
            raise SpaceError(f"the decision '{decision.path}' has the parent '{decision.parent}', which is not before it")
        index = self._index[decision.parent]
        domain = self.decisions[index].domain
        for value in decision.when:
            known = value in domain.values if isinstance(domain, Subset) else domain.contains(value)
            if not known:
                raise SpaceError(
                    f"the decision '{decision.path}' is active when '{decision.parent}' is {value!r}, a value it cannot have"
                )
        if not decision.when:
            raise SpaceError(f"the decision '{decision.path}' has a parent but no value in 'when', so it is never active")
        return index

    def __len__(self) -> int:
        return len(self.decisions)

    def index(self, path: str) -> int:
        """The position of a decision.  Raises `SpaceError` for an unknown path."""
        try:
            return self._index[path]
        except KeyError:
            raise SpaceError(f"there is no decision '{path}'; there are {', '.join(self._index)}") from None

    def _fill(self, pick: Pick) -> Genotype:
        slots: list[Slot] = []
        for index, domain, parent, when in self._rules:
            if parent >= 0:
                held = slots[parent]
                active = not when.isdisjoint(held) if isinstance(held, tuple) else held is not None and held in when
                slots.append(pick(index, domain) if active else None)
            else:
                slots.append(pick(index, domain))
        return Genotype(tuple(slots))

    @property
    def size(self) -> float:
        """How many genotypes there are (math.inf with a real decision).  Counts each branch once."""
        children: dict[int, list[int]] = {}
        for index, _, parent, _ in self._rules:
            children.setdefault(parent, []).append(index)

        def count(index: int) -> float:
            domain = self.decisions[index].domain
            below = children.get(index, [])
            if not below:
                return math.inf if domain.size is None else float(domain.size)
            return math.fsum(
                math.prod(count(child) for child in below if self._is_active(child, value)) for value in _values(domain)
            )

        return math.prod(count(index) for index in children.get(-1, []))

    def _is_active(self, child: int, value: Slot) -> bool:
        when = self._rules[child][3]
        return not when.isdisjoint(value) if isinstance(value, tuple) else value in when

    def sample(self, rng: Generator) -> Genotype:
        """A genotype with every active decision drawn evenly from its domain."""
        return self._decode(rng.random(self.dimensions).tolist())

    def decode(self, vector: NDArray[np.float64] | Sequence[float]) -> Genotype:
        """The genotype of a vector of length `dimensions`; numbers outside [0, 1] are clipped, NaN is 0.5."""
        units = np.nan_to_num(np.clip(np.asarray(vector, dtype=float), 0.0, 1.0), nan=0.5).tolist()
        if len(units) != self.dimensions:
            raise SpaceError(f"a vector of this space has {self.dimensions} numbers, but got {len(units)}")
        return self._decode(units)

    def _decode(self, units: list[float]) -> Genotype:
        spans = self._spans
        return self._fill(lambda index, domain: domain.decode(units[spans[index][0] : spans[index][1]]))

    def encode(self, genotype: Genotype) -> NDArray[np.float64]:
        """The vector, of length `dimensions` in [0, 1], that decodes to the genotype; 0.5 where inactive."""
        vector = np.full(self.dimensions, 0.5)
        for (start, end), decision, slot in zip(self._spans, self.decisions, genotype.slots, strict=True):
            if slot is not None:
                vector[start:end] = decision.domain.encode(slot)
        return vector

    def active(self, genotype: Genotype) -> list[int]:
        """The indices of the active decisions."""
        return [index for index, slot in enumerate(genotype.slots) if slot is not None]

    def mutable(self, genotype: Genotype) -> list[int]:
        """The indices of the active decisions that have more than one value."""
        rules = self._rules
        return [index for index, slot in enumerate(genotype.slots) if slot is not None and rules[index][1].size != 1]

    def replace(self, genotype: Genotype, index: int, value: Slot, rng: Generator) -> Genotype:
        """The genotype with one decision changed; decisions that become active are drawn at random."""
        units = rng.random(self.dimensions)
        spans, slots = self._spans, genotype.slots

        def pick(position: int, domain: Domain) -> Slot:
            if position == index:
                return value
            held = slots[position]
            return domain.decode(units[spans[position][0] : spans[position][1]]) if held is None else held

        return self._fill(pick)

    def mutate(self, genotype: Genotype, rng: Generator, count: int = 1) -> Genotype:
        """The genotype with `count` (at most all) active, multi-valued decisions changed to another value.

        Returns the genotype itself where nothing can change.
        """
        for _ in range(count):
            mutable = self.mutable(genotype)
            if not mutable:
                return genotype
            index = mutable[int(rng.integers(len(mutable)))]
            value = self._other(self.decisions[index].domain, genotype.slots[index], rng)
            genotype = self.replace(genotype, index, value, rng)
        return genotype

    @staticmethod
    def _other(domain: Domain, value: Slot, rng: Generator) -> Slot:
        if isinstance(domain, Choice):
            others = domain.neighbours(value)
            return others[int(rng.integers(len(others)))]
        while True:
            found = domain.decode(rng.random(domain.width).tolist())
            if found != value:
                return found

    def crossover(self, first: Genotype, second: Genotype, rng: Generator) -> Genotype:
        """Uniform crossover: each decision from either parent (from the one that has it, where just one has)."""
        coins = (rng.random(len(self)) < 0.5).tolist()
        units = rng.random(self.dimensions)

        def pick(index: int, domain: Domain) -> Slot:
            one, two = (first, second) if coins[index] else (second, first)
            held = one.slots[index] if one.slots[index] is not None else two.slots[index]
            start, end = self._spans[index]
            return domain.decode(units[start:end]) if held is None else held

        return self._fill(pick)

    def neighbours(self, genotype: Genotype, rng: Generator) -> Iterator[Genotype]:
        """Every genotype that differs in one decision, in order (what becomes active is drawn at random)."""
        for index in self.mutable(genotype):
            for value in self.decisions[index].domain.neighbours(genotype.slots[index]):
                yield self.replace(genotype, index, value, rng)

    def validate(self, genotype: Genotype) -> None:
        """Raises `SpaceError` unless every active decision has a value of its domain and no other has one."""
        if len(genotype) != len(self):
            raise SpaceError(f"a genotype of this space has {len(self)} slots, but got {len(genotype)}")

        def pick(index: int, domain: Domain) -> Slot:
            value = genotype.slots[index]
            if not domain.contains(value):
                path = self.decisions[index].path
                raise SpaceError(f"the decision '{path}' cannot be {value!r}; its domain is {domain}")
            return value

        if self._fill(pick) != genotype:
            raise SpaceError("the genotype has a value where the decision is inactive; such slots are null")

    def values(self, genotype: Genotype) -> dict[str, Any]:
        """The active decisions by path."""
        pairs = zip(self.decisions, genotype.slots, strict=True)
        return {decision.path: slot for decision, slot in pairs if slot is not None}

    def genotype(self, values: Mapping[str, Any]) -> Genotype:
        """The genotype with these values by path (lists for subsets).  Raises `SpaceError` where one is missing or wrong."""
        for path in values:
            self.index(path)

        def pick(index: int, domain: Domain) -> Slot:
            path = self.decisions[index].path
            if path not in values:
                raise SpaceError(f"the decision '{path}' has no value; its domain is {domain}")
            value = values[path]
            return tuple(value) if isinstance(value, list) else value

        genotype = self._fill(pick)
        self.validate(genotype)
        return genotype


def _values(domain: Domain) -> Iterable[Slot]:
    if isinstance(domain, Choice):
        return domain.values
    if isinstance(domain, Subset):
        return _subsets(domain)
    if domain.size is None:
        raise SpaceError("a real decision cannot be the parent of another")
    return range(int(domain.low), int(domain.high) + 1)


def _subsets(domain: Subset) -> Iterator[tuple[Value, ...]]:
    for mask in range(2 ** len(domain.values)):
        chosen = tuple(value for bit, value in enumerate(domain.values) if mask >> bit & 1)
        if domain.minimum <= len(chosen) <= domain.most:
            yield chosen
