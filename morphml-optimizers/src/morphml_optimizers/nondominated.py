"""Sorting by domination, and what several optimizers for several objectives share."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ranking import Standing

Losses = tuple[float, ...]


def fronts(losses: Sequence[Losses]) -> list[list[int]]:
    """Indices of the losses by front: the first is dominated by nothing, each other by something of the one before.

    Up to two objectives O(n log n) (Jensen, 2003); for more, one comparison of all pairs and then as many steps as there are fronts.
    """
    if not losses:
        return []
    return _fronts_of_two(losses) if len(losses[0]) <= 2 else _fronts_of_many(losses)


def _fronts_of_two(losses: Sequence[Losses]) -> list[list[int]]:
    found: list[list[int]] = []
    lowest: list[float] = []  # the last loss of the newest of each front: never falls from one front to the next
    previous, place = None, 0
    for index in sorted(range(len(losses)), key=losses.__getitem__):
        mine = losses[index]
        if mine != previous:
            second = mine[1] if len(mine) == 2 else 0.0
            place = bisect_right(lowest, second)
            if place == len(found):
                found.append([])
                lowest.append(second)
            lowest[place] = second
        found[place].append(index)
        previous = mine
    return found


def _fronts_of_many(losses: Sequence[Losses]) -> list[list[int]]:
    values = np.array(losses)
    no_worse: NDArray[np.bool_] = np.ones((len(values), len(values)), dtype=bool)
    for column in values.T:
        no_worse &= column[:, None] <= column[None, :]
    dominates = no_worse & ~no_worse.T
    above = dominates.sum(axis=0)
    left, found = np.ones(len(values), dtype=bool), list[list[int]]()
    while left.any():
        now = left & (above == 0)
        found.append(np.flatnonzero(now).tolist())
        left &= ~now
        above = above - dominates[now].sum(axis=0)
    return found


def ranked(standings: Sequence[Standing]) -> list[list[int]]:
    """Indices by front under constrained domination (Deb et al., 2002): of those that are equally feasible, by their losses."""

    def level(index: int) -> tuple[bool, float]:
        return standings[index].failed, standings[index].violation

    found: list[list[int]] = []
    for _, group in groupby(sorted(range(len(standings)), key=level), key=level):
        members = list(group)
        found += [[members[index] for index in front] for front in fronts([standings[one].losses for one in members])]
    return found


def crowding(losses: Sequence[Losses]) -> list[float]:
    """The crowding distance of each (Deb et al., 2002): the sum over objectives of the gap between its neighbours, by their range."""
    distances = [0.0] * len(losses)
    for values in zip(*losses, strict=True):
        order = sorted(range(len(values)), key=values.__getitem__)
        low, high = values[order[0]], values[order[-1]]
        distances[order[0]] = distances[order[-1]] = math.inf
        if not 0.0 < high - low < math.inf:
            continue
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            distances[index] += (values[after] - values[before]) / (high - low)
    return distances


def directions(objectives: int, most: int) -> NDArray[np.float64]:
    """The largest set of Das and Dennis (1998) with at most `most` directions: shape (directions, objectives), rows sum to 1.

    Where even its corners are more, the corners.
    """
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while math.comb(parts + objectives, objectives - 1) <= most:
        parts += 1
    return np.array(list(_compositions(parts, objectives)), dtype=float) / parts


def _compositions(total: int, places: int) -> list[tuple[int, ...]]:
    if places == 1:
        return [(total,)]
    return [(first, *rest) for first in range(total + 1) for rest in _compositions(total - first, places - 1)]


class Breeder:
    """Random genotypes until `population` are told or pending, then children: uniform crossover, then mutation.

    Two parents are crossed with probability `crossover`, otherwise the first is copied; then one decision changes.  In tables of known results
    that finds more than to change each with probability one over their number, which often leaves a child that is no new one.  A child that is known, pending or refused is bred anew.
    """

    def __init__(self, problem: Problem, fresh: Fresh, population: int, crossover: float) -> None:
        self._problem = problem
        self._fresh = fresh
        self._population, self._crossover = population, crossover
        self._told = 0

    def tell(self, trial: Trial) -> None:
        """Count a trial that is over, and remember its genotype."""
        self._fresh.tell([trial])
        self._told += 1

    def ask(
        self,
        numbers: Sequence[int],
        pending: Sequence[Trial],
        parents: Callable[[int, Generator], tuple[Trial, Trial] | None],
    ) -> list[Proposal]:
        """A proposal a number; `parents(number, rng)` chooses who is crossed, None where there is nobody yet."""
        busy, proposals = taken(pending), list[Proposal]()
        for number in numbers:
            rng = self._problem.lent_rng(number)
            born = self._told + len(pending) + len(proposals)
            chosen = parents(number, rng) if born >= self._population else None
            make = partial(self._problem.decisions.sample, rng) if chosen is None else partial(self._child, chosen, rng)
            origin = "random" if chosen is None else f"child of {chosen[0].number} and {chosen[1].number}"
            genotype = self._fresh.draw(make, busy, rng)
            if genotype is None:
                break
            busy.add(genotype)
            proposals.append(Proposal(genotype, origin=origin))
        return proposals

    def _child(self, parents: tuple[Trial, Trial], rng: Generator) -> Genotype:
        decisions = self._problem.decisions
        genotype = parents[0].genotype
        if rng.random() < self._crossover:
            genotype = decisions.crossover(genotype, parents[1].genotype, rng)
        return decisions.mutate(genotype, rng)
