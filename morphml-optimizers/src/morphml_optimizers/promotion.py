"""Which of the trials of a rung get the next budget: the best share of them, with one objective or several, with constraints and failures."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

import attrs
import numpy as np

from morphml_core.problem import Problem, Trial, TrialState
from morphml_core.space.decisions import Genotype
from morphml_optimizers.nondominated import Losses, ranked
from morphml_optimizers.ranking import Standing, standing

Identity = Hashable
"""What tells candidates apart: the fingerprint of a trial, or its genotype where it has none."""


@attrs.frozen(eq=False)
class Entry:
    """A result at a rung.  `number` is the trial whose checkpoint a trial with more epochs goes on from."""

    identity: Identity
    genotype: Genotype
    number: int
    standing: Standing
    origin: str = ""


E = TypeVar("E", bound=Entry)


def identity_of(trial: Trial) -> Identity:
    """The identity of a trial."""
    return trial.fingerprint or trial.genotype


def entry_of(problem: Problem, trial: Trial) -> Entry:
    """The entry of a trial that is over.  One that was stopped counts as failed: it did not use its budget."""
    mine = standing(problem, trial)
    if trial.state is TrialState.STOPPED:
        mine = attrs.evolve(mine, failed=True)
    number = trial.number if trial.duplicate_of is None else trial.duplicate_of
    return Entry(identity_of(trial), trial.genotype, number, mine, trial.origin)


def selected(entries: Sequence[E], count: int, kept: Collection[Identity] = ()) -> list[E]:
    """The `count` best of the entries that did not fail, the best first.

    With one objective by violation of the constraints, then loss.  With several by front under constrained domination (infeasible ones last); of the
    first front that does not fit whole, those that are far from each other: an epsilon-net, as in MO-ASHA (Schmucker et al., "Multi-objective Asynchronous
    Successive Halving", 2021).  `kept` are in the net of their front before the others: with them a growing rung does not change its mind.
    With three objectives and more, of more than 1,024 entries each 1,024 are ranked apart.
    """
    fit = [entry for entry in entries if not entry.standing.failed]
    if count <= 0 or not fit:
        return []
    if len(fit[0].standing.losses) == 1:
        return heapq.nsmallest(count, fit, key=_key)
    if len(fit[0].standing.losses) > 2 and len(fit) > _COMPARED:
        return _in_parts(fit, count, kept)
    found: list[E] = []
    for front in ranked([entry.standing for entry in fit]):
        room = count - len(found)
        if room <= 0:
            break
        members = sorted((fit[index] for index in front), key=_key)
        found += members if len(members) <= room else _spread(members, room, kept)
    return found


_COMPARED = 1024  # with three objectives and more, the comparisons are as many as pairs


def _in_parts(fit: Sequence[E], count: int, kept: Collection[Identity]) -> list[E]:
    """The best of each part, in proportion."""
    cuts = range(0, len(fit), _COMPARED)
    parts = [fit[cut : cut + _COMPARED] for cut in cuts]
    counts = [count * min(cut + _COMPARED, len(fit)) // len(fit) - count * cut // len(fit) for cut in cuts]
    return [best for part, share in zip(parts, counts, strict=True) for best in selected(part, share, kept)]


def _key(entry: Entry) -> tuple[float, ...]:
    return entry.standing.violation, *entry.standing.losses, float(entry.number)


def _spread(front: Sequence[E], count: int, kept: Collection[Identity]) -> list[E]:
    old = [index for index, entry in enumerate(front) if entry.identity in kept]
    return [front[index] for index in net([entry.standing.losses for entry in front], count, old)]


def net(losses: Sequence[Losses], count: int, first: Sequence[int] = ()) -> list[int]:
    """Indices of `count` of the losses that cover them all: each the farthest from those before it (Gonzalez, 1985).

    Distances are Euclidean after each loss was scaled to [0, 1].  It begins with `first`, or else with the least of each loss in turn.
    Takes O(count * len(losses)).
    """
    points = np.array(losses)
    width = np.ptp(points, axis=0)
    points = (points - points.min(axis=0)) / np.where(width > 0.0, width, 1.0)
    start = list(dict.fromkeys(first or points.argmin(axis=0).tolist()))[:count]
    nearest = np.full(len(points), np.inf)
    for place in range(count):
        if place == len(start):
            start.append(int(nearest.argmax()))
        index = start[place]
        nearest = np.minimum(nearest, np.linalg.norm(points - points[index], axis=1))
        nearest[index] = -1.0
    return start


class Rung(ABC):
    """The results at one budget, one for each identity, of which the best share is due for the next budget, at any time."""

    def __init__(self, reduction: int) -> None:
        self._reduction = reduction
        self._members: set[Identity] = set()
        self._passed: set[Identity] = set()
        self._promoted = 0
        self.fit = 0
        """How many of its results are not failed."""

    def __contains__(self, identity: Identity) -> bool:
        return identity in self._members

    def add(self, entry: Entry) -> None:
        """Take in a result; failed ones count, as the worst.  Of equal identities the first counts."""
        if entry.identity not in self._members:
            self._members.add(entry.identity)
            self._promoted += entry.identity in self._passed
            self.fit += not entry.standing.failed
            self._take(entry)

    def pass_on(self, identity: Identity) -> None:
        """Note that one is known at a greater budget."""
        if identity not in self._passed:
            self._passed.add(identity)
            self._promoted += identity in self._members

    @abstractmethod
    def due(self, busy: Collection[Identity]) -> Entry | None:
        """The best of the best share that is known at no greater budget, while the members `busy` are pending there."""

    @abstractmethod
    def left(self) -> Entry | None:
        """The best that is known at no greater budget, in the best share or not."""

    @abstractmethod
    def _take(self, entry: Entry) -> None:
        """Take in a result of a new member."""


def rung(problem: Problem, reduction: int) -> Rung:
    """An empty rung for the objectives of a problem."""
    return SortedRung(reduction) if len(problem.objectives) == 1 else FrontRung(reduction)


class SortedRung(Rung):
    """A rung for one objective, exact: a heap of the best share, one of the rest, and one of those that are due.  All take O(log n).

    No more are promoted than the share allows.  Only who leads the rung is promoted even so, to the debit of later ones: the first promotions were chosen from
    few, and should cost no more than if all had been known.
    """

    def __init__(self, reduction: int) -> None:
        super().__init__(reduction)
        self._best: list[tuple[float, ...]] = []  # negated, so that the worst of the best comes first
        self._rest: list[tuple[float, ...]] = []
        self._open: list[tuple[tuple[float, ...], int, Entry]] = []
        self._least: tuple[float, ...] = (math.inf,)

    def _take(self, entry: Entry) -> None:
        if not entry.standing.failed:
            key = _key(entry)
            self._least = min(self._least, key)
            heapq.heappush(self._open, (key, len(self._members), entry))
            heapq.heappush(self._rest, _negated(heapq.heappushpop(self._best, _negated(key))))
        if len(self._best) < len(self._members) // self._reduction and self._rest:
            heapq.heappush(self._best, _negated(heapq.heappop(self._rest)))

    def due(self, busy: Collection[Identity]) -> Entry | None:
        """The best that is due."""
        found = self._best_open(busy)
        allowed = len(self._members) // self._reduction - self._promoted - len(busy)
        return found if found is not None and (allowed > 0 or _key(found) == self._least) else None

    def left(self) -> Entry | None:
        """The best that is open."""
        while self._open and self._open[0][2].identity in self._passed:
            heapq.heappop(self._open)
        return self._open[0][2] if self._open else None

    def _best_open(self, busy: Collection[Identity]) -> Entry | None:
        skipped, found = [], None
        while self._open and self._best and self._open[0][0] <= _negated(self._best[0]):
            if self._open[0][2].identity in self._passed:
                heapq.heappop(self._open)
            elif self._open[0][2].identity in busy:
                skipped.append(heapq.heappop(self._open))
            else:
                found = self._open[0][2]
                break
        for pair in skipped:
            heapq.heappush(self._open, pair)
        return found


def _negated(key: tuple[float, ...]) -> tuple[float, ...]:
    return tuple([-number for number in key])


_LAST = 512  # so many results of a rung are compared where there are several objectives
_SHARE = 32  # they are ranked anew when there is one more for each so many


class FrontRung(Rung):
    """A rung for several objectives: the best share of the last 512 results, by `selected`.

    Ranked anew with each result while there are few, later with every thirty-second part of them, so that it costs little on average however many there
    are; meanwhile what nothing dominates is due at once.  What was among the best and in the same front stays there.
    """

    def __init__(self, reduction: int) -> None:
        super().__init__(reduction)
        self._last: deque[Entry] = deque(maxlen=_LAST)
        self._wait = 0
        self._best: list[Entry] = []
        self._open: deque[Entry] = deque()

    def _take(self, entry: Entry) -> None:
        self._last.append(entry)
        self._wait -= 1
        if self._wait <= 0:
            kept = {best.identity for best in self._best}
            self._best = selected(self._last, len(self._last) // self._reduction, kept)
            self._open = deque(best for best in self._best if best.identity not in self._passed)
            self._wait = len(self._last) // _SHARE
        elif not entry.standing.failed and not any(best.standing.dominates(entry.standing) for best in self._best):
            self._best.append(entry)
            self._open.append(entry)

    def due(self, busy: Collection[Identity]) -> Entry | None:
        """The best that is due."""
        while self._open and self._open[0].identity in self._passed:
            self._open.popleft()
        return next((e for e in self._open if e.identity not in self._passed and e.identity not in busy), None)

    def left(self) -> Entry | None:
        """The best of the last that is open."""
        return next(iter(selected([entry for entry in self._last if entry.identity not in self._passed], 1)), None)
