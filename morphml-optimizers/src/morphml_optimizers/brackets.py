"""Brackets of synchronous successive halving: what `successive_halving`, `hyperband` and `bohb` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

import attrs

from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.asking import as_pending
from morphml_optimizers.inner import note, noted
from morphml_optimizers.ladder import Ladder
from morphml_optimizers.promotion import Entry, Identity, entry_of, identity_of, selected

Draw = Callable[[int, Sequence[Trial]], Proposal | None]
"""A new genotype for a trial number while trials are pending, or None."""

Place = tuple[int, Identity]
"""A candidate at a rung."""


@attrs.frozen
class Plan:
    """How a bracket begins: the rung of its first trials, and how many these are."""

    rung: int
    trials: int


class Bracket:
    """One run of successive halving.  `rung` is where it stands, `results` those of that rung, `waiting` who of it has none yet.

    In the first rung nobody is waited for by name: it is full when there are as many results as planned.
    """

    def __init__(self, number: int, plan: Plan, ladder: Ladder, measured: Mapping[Place, Entry]) -> None:
        self.number = number
        self.plan = plan
        self.rung = plan.rung
        self.results: list[Entry] = []
        self.waiting: dict[Identity, Entry] = {}
        self.over = False
        self._ladder = ladder
        self._measured = measured

    @property
    def begins(self) -> bool:
        """Whether it is at its first rung."""
        return self.rung == self.plan.rung

    def closed(self) -> Bracket:
        """What becomes of it when its first rung gets no more trials than it has."""
        after = Bracket(self.number, self.plan, self._ladder, self._measured)
        after.results = list(self.results)
        after.advance()
        return after

    def add(self, entry: Entry) -> None:
        """A result at the rung where it stands."""
        self.waiting.pop(entry.identity, None)
        self.results.append(entry)
        if len(self.results) >= self.plan.trials if self.begins else not self.waiting:
            self.advance()

    def advance(self) -> None:
        """The rung is complete: its best share goes on.  Results that are known already are taken as they are."""
        while not self.over and not self.waiting:
            distinct = {entry.identity: entry for entry in reversed(self.results)}
            count = max(1, len(self.results) // self._ladder.reduction)
            best = selected(list(reversed(distinct.values())), count)
            self.rung, self.results = self.rung + 1, []
            if not best or self.rung == len(self._ladder):
                self.over = True
                return
            for entry in best:
                known = self._measured.get((self.rung, entry.identity))
                if known is None:
                    self.waiting[entry.identity] = entry
                else:
                    self.results.append(known)


@attrs.frozen
class _Busy:
    """What is pending: who at which rung, how many of each bracket's first rung, and the brackets that are further."""

    places: set[Place] = attrs.field(factory=set)
    first: dict[int, int] = attrs.field(factory=dict)
    further: set[int] = attrs.field(factory=set)


class Brackets:
    """Brackets by number, each planned by `plan(number)`.  All that it knows comes from the trials that were told, and what is pending.

    A trial belongs to the bracket that its origin notes.  With `overlapping` the next bracket begins while all others wait for results; without, when
    the last one is over.  A first rung that gets no more genotypes, because there are none, goes on with those that it has.  Failed trials count as the worst, and
    are not promoted; a bracket in which all fail is over.
    """

    def __init__(self, problem: Problem, ladder: Ladder, plan: Callable[[int], Plan], *, overlapping: bool) -> None:
        self._problem, self._ladder, self._plan = problem, ladder, plan
        self._overlapping = overlapping
        self._open: dict[int, Bracket] = {}
        self._over: set[int] = set()
        self._next = 0
        self._measured: dict[Place, Entry] = {}
        self._waiters: dict[Place, list[Bracket]] = {}

    # told ----------------------------------------------------------------------------------------------

    def tell(self, trial: Trial) -> None:
        """Take in a trial that is over."""
        rung = self._ladder.rung(trial)
        if rung is None or trial.repeat_of is not None:
            return
        entry = entry_of(self._problem, trial)
        place = rung, entry.identity
        self._measured.setdefault(place, entry)
        number = note(trial.origin, "bracket")
        if number is not None:
            self._take(number, rung, entry)
        for bracket in self._waiters.pop(place, ()):
            if bracket.rung == rung and entry.identity in bracket.waiting:
                self._add(bracket, entry)

    def _take(self, number: int, rung: int, entry: Entry) -> None:
        """A result of a bracket: of its first rung, or the first one of those after it."""
        self._next = max(self._next, number + 1)
        if number in self._over:
            return
        bracket = self._open.get(number) or self._open.setdefault(number, self._blank(number))
        if not bracket.begins:
            return
        if rung == bracket.rung:
            self._add(bracket, entry)
        elif rung > bracket.rung and bracket.results:  # its first rung was closed before it was full
            bracket.advance()
            self._moved(bracket)

    def _blank(self, number: int) -> Bracket:
        return Bracket(number, self._plan(number), self._ladder, self._measured)

    def _add(self, bracket: Bracket, entry: Entry) -> None:
        before = bracket.rung
        bracket.add(entry)
        if bracket.rung != before:
            self._moved(bracket)

    def _moved(self, bracket: Bracket) -> None:
        """A bracket stands at another rung, or is over."""
        if bracket.over:
            del self._open[bracket.number]
            self._over.add(bracket.number)
        for identity in bracket.waiting:
            self._waiters.setdefault((bracket.rung, identity), []).append(bracket)

    # asked ---------------------------------------------------------------------------------------------

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial], draw: Draw) -> list[Proposal]:
        """Trials that go on, older brackets first; then new ones; then those of the next bracket."""
        waiting, proposals = list(pending), list[Proposal]()
        busy = self._busy(pending)
        for number in numbers:
            proposal = self._propose(number, waiting, busy, draw)
            if proposal is None:
                break
            trial = as_pending(number, proposal)
            waiting.append(trial)
            self._note(trial, busy)
            proposals.append(proposal)
        return proposals

    def _busy(self, pending: Sequence[Trial]) -> _Busy:
        busy = _Busy()
        for trial in pending:
            self._note(trial, busy)
        return busy

    def _note(self, trial: Trial, busy: _Busy) -> None:
        rung, number = self._ladder.rung(trial), note(trial.origin, "bracket")
        if rung is None:
            return
        busy.places.update(((rung, identity_of(trial)), (rung, trial.genotype)))
        if number is not None and rung == self._plan(number).rung:
            busy.first[number] = busy.first.get(number, 0) + 1
        elif number is not None:
            busy.further.add(number)

    def _propose(self, number: int, waiting: Sequence[Trial], busy: _Busy, draw: Draw) -> Proposal | None:
        first = cache(partial(draw, number, waiting))  # drawn when it is first needed, and once
        for bracket in self._standing(busy):
            key = bracket.number
            if bracket.begins:
                missing = bracket.plan.trials - len(bracket.results) - busy.first.get(key, 0)
                proposal = first() if missing > 0 else None
                if proposal is not None:
                    return self._new(proposal, key, bracket.plan)
                if missing <= 0 or busy.first.get(key) or not bracket.results:
                    continue
                bracket = bracket.closed()
            found = self._promotion(bracket, busy)
            if found is not None:
                return found
        return self._begin(busy, first)

    def _standing(self, busy: _Busy) -> Iterator[Bracket]:
        """The brackets that are not over, in order; those of which only pending trials are known are blank."""
        for key in sorted({*self._open, *busy.first}):
            bracket = self._open.get(key) or self._blank(key)
            closed = bracket.begins and key in busy.further and bracket.results
            yield bracket.closed() if closed else bracket

    def _begin(self, busy: _Busy, first: Callable[[], Proposal | None]) -> Proposal | None:
        key = max([self._next, *(key + 1 for key in busy.first)])
        if not self._overlapping and (self._open or busy.first):
            return None
        proposal = first()
        return None if proposal is None else self._new(proposal, key, self._plan(key))

    def _new(self, proposal: Proposal, key: int, plan: Plan) -> Proposal:
        origin = noted(proposal.origin, f"bracket {key}")
        return attrs.evolve(proposal, budget=self._ladder.budget(plan.rung), origin=origin)

    def _promotion(self, bracket: Bracket, busy: _Busy) -> Proposal | None:
        rung = bracket.rung
        for entry in bracket.waiting.values():
            if (rung, entry.identity) not in busy.places and (rung, entry.genotype) not in busy.places:
                origin = noted(entry.origin, f"bracket {bracket.number}", f"promotion of {entry.number}")
                return Proposal(entry.genotype, self._ladder.budget(rung), entry.number, float(rung), origin)
        return None
