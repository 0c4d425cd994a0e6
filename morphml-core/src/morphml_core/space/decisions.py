"""Decisions, genotypes, and the operations on genotypes that every optimizer uses.

All of them go through one private walk, `DecisionSpace._fill`: it visits the decisions in order, asks for a
value where a decision is active and leaves None where it is not, so that each result is valid.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Value
from morphml_core.space.domains import Choice, Decoder, Domain, Real, Slot, Subset


def _conditions(when: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(when)


@attrs.frozen
class Decision:
    """One decision: a plain, stable path (`cell.node2.op`), its domain, and when it is active.

    Without a parent it is always active; otherwise when its parent is active and has a value in `when`
    (for a `Subset` parent: holds one of `when`).
    """

    path: str
    domain: Domain
    parent: str | None = None
    when: tuple[Value, ...] = attrs.field(default=(), converter=_conditions)


def _slots(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    return tuple(slots)


@attrs.frozen(hash=False)
class Genotype:
    """A point of a space: one slot a decision, None where the decision is inactive."""

    slots: tuple[Slot, ...] = attrs.field(converter=_slots)

    def __hash__(self) -> int:
        return hash(self.slots)

    def __len__(self) -> int:
        return len(self.slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots)


Pick = Callable[[int], Any]


class DecisionSpace:
    """An ordered list of decisions; parents come before their children.

    Raises `SpaceError` for duplicate paths, unknown or later parents, and values of `when` that the parent
    cannot have.
    """

    def __init__(self, decisions: Iterable[Decision]) -> None:
        self.decisions: tuple[Decision, ...] = tuple(decisions)
        self._index: dict[str, int] = {}
        self._rules: list[tuple[int, int, frozenset[Value]]] = []
        self._decoders: list[Decoder] = []
        self.dimensions = 0
        for index, decision in enumerate(self.decisions):
            self._rules.append((index, self._parent_of(decision), frozenset(decision.when)))
            self._index[decision.path] = index
            self._decoders.append(decision.domain.decoder(self.dimensions))
            self.dimensions += decision.domain.width
        self._varied = [index for index, decision in enumerate(self.decisions) if decision.domain.size != 1]
        self._parents = frozenset(parent for _, parent, _ in self._rules)
        self._conditional = any(parent >= 0 for _, parent, _ in self._rules)

    def _parent_of(self, decision: Decision) -> int:
        if decision.path in self._index:
            raise SpaceError(f"the decision '{decision.path}' is there twice; paths are distinct")
        if decision.parent is None:
            return -1
        if decision.parent not in self._index:
            raise SpaceError(
                f"the decision '{decision.path}' has the parent '{decision.parent}', which is not before it"
            )
        index = self._index[decision.parent]
        domain = self.decisions[index].domain
        if isinstance(domain, Real):
            raise SpaceError(
                f"the decision '{decision.path}' has the parent '{decision.parent}', a real; only other domains can be"
            )
        for value in decision.when:
            known = value in domain.values if isinstance(domain, Subset) else domain.contains(value)
            if not known:
                raise SpaceError(
                    f"the decision '{decision.path}' is active when '{decision.parent}' is {value!r}, a value it cannot have"
                )
        if not decision.when:
            raise SpaceError(
                f"the decision '{decision.path}' has a parent but no value in 'when', so it is never active"
            )
        return index

    def __len__(self) -> int:
        return len(self.decisions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.decisions,)

    def index(self, path: str) -> int:
        """The position of a decision.  Raises `SpaceError` for an unknown path."""
        try:
            return self._index[path]
        except KeyError:
            raise SpaceError(f"there is no decision '{path}'; there are {', '.join(self._index)}") from None

    def _fill(self, pick: Pick) -> Genotype:
        slots: list[Slot] = []
        for index, parent, when in self._rules:
            if parent >= 0:
                held = slots[parent]
                active = not when.isdisjoint(held) if isinstance(held, tuple) else held is not None and held in when
                slots.append(pick(index) if active else None)
            else:
                slots.append(pick(index))
        return Genotype(slots)

    def _fresh(self, rng: Generator) -> Pick:
        """A pick that draws at random; the numbers are drawn when it is first asked."""
        units: list[float] = []
        decoders = self._decoders

        def pick(index: int) -> Slot:
            if not units:
                units.extend(rng.random(self.dimensions).tolist())
            return decoders[index](units)  # type: ignore[no-any-return]

        return pick

    @property
    def size(self) -> float:
        """How many genotypes there are (math.inf with a real decision).  Counts each branch once."""
        children: dict[int, list[int]] = {}
        for index, parent, _ in self._rules:
            children.setdefault(parent, []).append(index)

        def count(index: int) -> float:
            domain, below = self.decisions[index].domain, children.get(index, [])
            if domain.size is None:
                return math.inf
            named = set[Value]().union(*(self._rules[child][2] for child in below))
            return math.fsum(
                ways * math.prod(count(child) for child in below if not self._rules[child][2].isdisjoint(held))
                for held, ways in _cases(domain, named)
            )

        return math.prod(count(index) for index in children.get(-1, []))

    def sample(self, rng: Generator) -> Genotype:
        """A genotype with every active decision drawn evenly from its domain (each value of a `Subset` by a coin)."""
        return self._decode(rng.random(self.dimensions).tolist())

    def _decode(self, units: list[float]) -> Genotype:
        decoders = self._decoders
        if not self._conditional:
            return Genotype([decode(units) for decode in decoders])
        return self._fill(lambda index: decoders[index](units))

    def decode(self, vector: NDArray[np.float64] | Sequence[float]) -> Genotype:
        """The genotype of a vector of length `dimensions`; numbers outside [0, 1] are clipped, NaN is 0.5."""
        numbers = vector.tolist() if isinstance(vector, np.ndarray) else vector
        if len(numbers) != self.dimensions:
            raise SpaceError(f"a vector of this space has {self.dimensions} numbers, but got {len(numbers)}")
        return self._decode([unit if 0.0 <= unit <= 1.0 else _clip(unit) for unit in numbers])

    def encode(self, genotype: Genotype) -> NDArray[np.float64]:
        """The vector, of length `dimensions` in [0, 1], that decodes to the genotype; 0.5 where inactive."""
        units: list[float] = []
        for decision, slot in zip(self.decisions, genotype.slots, strict=True):
            domain = decision.domain
            units += [0.5] * domain.width if slot is None else domain.encode(slot)
        return np.array(units)

    def active(self, genotype: Genotype) -> list[int]:
        """The indices of the active decisions."""
        return [index for index, slot in enumerate(genotype.slots) if slot is not None]

    def mutable(self, genotype: Genotype) -> list[int]:
        """The indices of the active decisions that have more than one value."""
        slots = genotype.slots
        return [index for index in self._varied if slots[index] is not None]

    def replace(self, genotype: Genotype, index: int, value: Slot, rng: Generator) -> Genotype:
        """The genotype with one decision changed; decisions that become active are drawn at random."""
        slots = genotype.slots
        if index not in self._parents:
            return Genotype((*slots[:index], value, *slots[index + 1 :]))
        fresh = self._fresh(rng)

        def pick(position: int) -> Slot:
            if position == index:
                return value
            held = slots[position]
            return fresh(position) if held is None else held

        return self._fill(pick)

    def mutate(self, genotype: Genotype, rng: Generator, count: int = 1) -> Genotype:
        """The genotype with `count` (at most all) active, multi-valued decisions changed to another value.

        Each changes once; one that becomes active by a change may be among the next.  Returns the genotype itself
        where nothing can change.
        """
        changed: list[int] = []
        for _ in range(count):
            mutable = self.mutable(genotype)
            if changed:
                mutable = [index for index in mutable if index not in changed]
            if not mutable:
                return genotype
            index = mutable[int(rng.random() * len(mutable))]
            value = self._other(index, genotype.slots[index], rng)
            genotype = self.replace(genotype, index, value, rng)
            changed.append(index)
        return genotype

    def _other(self, index: int, value: Slot, rng: Generator) -> Slot:
        domain = self.decisions[index].domain
        if isinstance(domain, Choice):
            others = domain.neighbours(value)
            return others[int(rng.random() * len(others))]
        while True:
            found: Slot = domain.decode(rng.random(domain.width).tolist())
            if found != value:
                return found

    def crossover(self, first: Genotype, second: Genotype, rng: Generator) -> Genotype:
        """Uniform crossover: each decision from either parent (from the one that has it, where just one has).

        A decision that is active in the child is active in the parent that its condition came from, so there always is one.
        """
        coins = (rng.random(len(self)) < 0.5).tolist()

        def pick(index: int) -> Slot:
            one, two = (first, second) if coins[index] else (second, first)
            held = one.slots[index]
            return two.slots[index] if held is None else held

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

        def pick(index: int) -> Slot:
            value, domain = genotype.slots[index], self.decisions[index].domain
            if not domain.contains(value):
                path = self.decisions[index].path
                raise SpaceError(f"the decision '{path}' cannot be {value!r}; its domain is {domain}")
            return value

        if self._fill(pick) != genotype:
            raise SpaceError("the genotype has a value where the decision is inactive; such slots are null")

    def values(self, genotype: Genotype) -> dict[str, Any]:
        """The active decisions by path."""
        pairs = zip(self._index, genotype.slots, strict=True)
        return {path: slot for path, slot in pairs if slot is not None} if self._conditional else dict(pairs)

    def genotype(self, values: Mapping[str, Any]) -> Genotype:
        """The genotype with these values by path (lists for subsets).  Raises `SpaceError` where one is missing or wrong."""
        for path in values:
            self.index(path)

        def pick(index: int) -> Slot:
            path, domain = self.decisions[index].path, self.decisions[index].domain
            if path not in values:
                raise SpaceError(f"the decision '{path}' has no value; its domain is {domain}")
            found: Slot = _plain(domain, values[path])
            return found

        genotype = self._fill(pick)
        self.validate(genotype)
        return genotype


def _clip(unit: float) -> float:
    if unit != unit:
        return 0.5
    return 0.0 if unit < 0.0 else 1.0


def _plain(domain: Domain, value: Any) -> Any:
    """The value as the domain itself writes it: a tuple for a list, 1.0 for 1 in a `Real`; others as they are."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(domain, Real) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return next((known for known in domain.values if known == value), value) if isinstance(domain, Choice) else value


def _cases(domain: Domain, named: set[Value]) -> Iterator[tuple[tuple[Value, ...], int]]:
    """Which of the named values can be held together, and in how many ways the other values of the domain go with that."""
    if not isinstance(domain, Subset):
        yield from (((value,), 1) for value in named)
        yield (), (domain.size or 0) - len(named)
        return
    others = len(domain.values) - len(named)
    for count in range(len(named) + 1):
        ways = sum(
            math.comb(others, more) for more in range(others + 1) if domain.minimum <= count + more <= domain.most
        )
        yield from ((held, ways) for held in itertools.combinations(named, count))
