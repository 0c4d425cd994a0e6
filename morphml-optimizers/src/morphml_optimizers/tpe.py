"""Optimizer `tpe`: a tree-structured Parzen estimator, for one objective and for several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial, TrialState
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import Waiting, one_by_one
from morphml_optimizers.ladder import effort
from morphml_optimizers.nondominated import crowding, fronts
from morphml_optimizers.parzen import Array, Density, Layout, Rows, spreads
from morphml_optimizers.ranking import standing
from morphml_optimizers.threads import one_thread

_STEP = 0.3  # the least deviation of a kernel over an integer, in steps


@attrs.frozen
class Config:
    """How the search begins, which trials are good, and how far a kernel reaches."""

    initial: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """How many random genotypes begin the search; also how many results a budget needs before its trials are the ones learned from."""
    gamma: float = attrs.field(default=0.2, validator=[attrs.validators.gt(0.0), attrs.validators.lt(1.0)])
    """The share of the trials that counts as good."""
    best: int = attrs.field(default=25, validator=attrs.validators.ge(1))
    """The most trials that count as good."""
    candidates: int = attrs.field(default=128, validator=attrs.validators.ge(1))
    """How many genotypes are drawn from the density of the good trials, to propose the one that is most likely good."""
    smoothing: float = attrs.field(default=0.4, validator=[attrs.validators.gt(0.0), attrs.validators.lt(1.0)])
    """How often the kernel of a good trial takes any value of a choice, instead of its own; with one objective less for those of the others, by the root of their number."""
    bandwidth: float = attrs.field(default=0.8, validator=attrs.validators.gt(0.0))
    """The deviation of a kernel from its trial's own number, as a share of the deviation of that number among the good trials."""
    prior: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    """The weight of the even density, in trials."""
    training: int = attrs.field(default=250, validator=attrs.validators.ge(10))
    """The density of the other trials is that of at least so many, and of at most twice as many."""


@attrs.frozen(eq=False)
class _Member:
    """A trial that may be good: its tier (the lowest is best), its losses, and how many of its budget were told before it."""

    tier: tuple[int, float]
    losses: tuple[float, ...]
    number: int
    row: Rows


class _Past:
    """The trials of one budget: the best of them exactly, of all of them an even share.

    Both are bounded.  The best are cut when they are twice as many as can be good.  Of all trials each `stride`-th is kept, and the stride
    doubles when there are too many.  What is kept depends only on the order in which trials are told.
    """

    def __init__(self, layout: Layout, best: int, training: int) -> None:
        self._layout, self._best, self._most = layout, best, 2 * training
        self._members: list[_Member] = []
        self._rows = layout.empty(self._most)
        self._numbers = np.empty(self._most, dtype=np.int64)
        self._kept = self._told = 0
        self._stride = 1
        self.results = 0
        """How many of the trials have a result."""

    def add(self, genotype: Genotype, tier: tuple[int, float] | None, losses: tuple[float, ...]) -> None:
        """Add a trial; one without a tier has failed."""
        row = self._layout.rows([genotype])
        if tier is not None:
            self.results += 1
            self._members.append(_Member(tier, losses, self._told, row))
            if len(self._members) >= 2 * self._best:
                self._members = _sorted(self._members)[: self._best]
        if self._told % self._stride == 0:
            self._keep(row)
        self._told += 1

    def _keep(self, row: Rows) -> None:
        if self._kept == self._most:
            self._stride *= 2
            self._kept //= 2
            self._rows.put(slice(self._kept), self._rows.take(slice(None, None, 2)))
            self._numbers[: self._kept] = self._numbers[::2]
        self._rows.put(slice(self._kept, self._kept + 1), row)
        self._numbers[self._kept] = self._told
        self._kept += 1

    def good(self, share: float) -> list[_Member]:
        """The best trials, best first."""
        return _sorted(self._members)[: min(math.ceil(share * self.results), self._best)]

    def others(self, good: Sequence[_Member]) -> Rows:
        """The kept trials without the good ones."""
        left = ~np.isin(self._numbers[: self._kept], [member.number for member in good])
        return self._rows.take(np.flatnonzero(left))


def _sorted(members: Iterable[_Member]) -> list[_Member]:
    """Best first: by tier, then by front, then by crowding distance, then as told."""
    ordered = sorted(members, key=lambda member: (member.tier, member.losses, member.number))
    if not ordered or len(ordered[0].losses) == 1:
        return ordered
    found: list[_Member] = []
    for _, tied in groupby(ordered, key=lambda member: member.tier):
        tier = list(tied)
        for front in fronts([member.losses for member in tier]):
            distances = crowding([tier[index].losses for index in front])
            found += [tier[index] for _, index in sorted(zip((-each for each in distances), front, strict=True))]
    return found


class TreeParzen:
    """Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kegl: "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011).

    Trials are split into the good ones (the best `gamma`, at most `best`) and the others.  Each proposal is, of the genotypes drawn
    from the density of the good ones, the one for which the ratio of both densities is largest.  The densities are multivariate
    (Falkner, Klein, Hutter, 2018; Watanabe, "Tree-structured Parzen estimator: understanding its algorithm components", 2023): kernels
    are around whole trials, and a decision that is not always active is modelled from the trials where it was.  The width of a kernel over
    numbers follows the spread of the good trials; with one objective those of the others smooth choices less the more there are, which keeps the
    search from staying for good where it found something.  Good trials weigh more the better their rank.

    Several objectives (Ozaki, Tanigaki, Watanabe, Nomura, Onishi, 2022): good are the first fronts, and of the front where the limit
    falls those with most room around them (crowding distance).  All kernels smooth choices alike, which finds more of the front in
    tables of known results.  Trials that break a constraint come after all others, the nearest first.
    Stopped trials come after finished ones, those that got furthest first, with what they last reported.  Failed trials are never good,
    but count among the others, and so do pending ones (constant liar).

    Trials of several budgets: only those of one are learned from, as in BOHB: the largest budget (epochs times fraction of the data)
    that has `initial` results or more, and until there is one, the budget with most results.  So it can be the inner optimizer of one that
    decides on budgets.

    A proposal takes as long whatever the number of trials: the others are an even share of all that were told (see `training`).
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem, draws=config.candidates + 10)
        self._layout = Layout(problem.decisions)
        self._pasts: dict[float, _Past] = {}

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember each trial with those of its budget."""
        self._fresh.tell(trials)
        for trial in trials:
            self._past(trial).add(trial.genotype, *self._judged(trial))

    def _past(self, trial: Trial) -> _Past:
        size = effort(trial, self._problem)
        if size not in self._pasts:
            self._pasts[size] = _Past(self._layout, self._config.best, self._config.training)
        return self._pasts[size]

    def _judged(self, trial: Trial) -> tuple[tuple[int, float] | None, tuple[float, ...]]:
        """The tier of a trial and its losses: finished, then stopped (late ones first), then those that break a constraint (a little first)."""
        found = standing(self._problem, trial)
        if found.failed:
            return None, ()
        if found.violation > 0:
            return (2, found.violation), found.losses
        if trial.state is TrialState.STOPPED:
            return (1, -float(trial.curve[-1][0]) if trial.curve else 0.0), found.losses
        return (0, 0.0), found.losses

    def _current(self) -> _Past | None:
        """The past of the largest budget with enough results; until there is one, of the budget with most."""
        enough = [size for size, past in self._pasts.items() if past.results >= self._config.initial]
        if enough:
            return self._pasts[max(enough)]
        return max(self._pasts.values(), key=lambda past: past.results, default=None)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first; then the most promising of those drawn from the density of the good trials."""
        return one_by_one(numbers, pending, partial(self._propose, self._current()))

    def _propose(self, past: _Past | None, number: int, waiting: Waiting) -> Proposal | None:
        rng, busy = self._problem.rng(number), waiting.genotypes
        modelled = past is not None and past.results > 0 and past.results + len(busy) >= self._config.initial
        ranked = self._ranked(past, busy, rng) if modelled and past is not None else iter(())
        make = lambda: next(ranked, None) or self._problem.decisions.sample(rng)  # noqa: E731
        genotype = self._fresh.draw(make, waiting.taken, rng)
        return None if genotype is None else Proposal(genotype, origin="model" if modelled else "random")

    def _ranked(self, past: _Past, waiting: Sequence[Genotype], rng: np.random.Generator) -> Iterator[Genotype]:
        """Genotypes drawn from the density of the good trials, the most promising first."""
        config, good = self._config, past.good(self._config.gamma)
        others = Rows.joined([past.others(good), self._layout.rows(waiting)])
        best = Rows.joined([member.row for member in good])
        weights = _weights(len(good))
        widths = spreads(self._layout, best, np.append(weights, config.prior)) * config.bandwidth
        widths = np.maximum(widths, _STEP * self._layout.steps)
        below = self._density(best, weights, config.smoothing, widths)
        smoothing = config.smoothing * (_sharper(best, others) if len(self._problem.objectives) == 1 else 1.0)
        above = self._density(others, np.ones(len(others)), smoothing, widths)
        drawn = below.draw(rng, config.candidates)
        with one_thread():
            ratio = below.log(drawn) - above.log(drawn)
        for index in np.argsort(-ratio, kind="stable").tolist():
            yield self._layout.genotype(drawn.units[index])

    def _density(self, rows: Rows, weights: Array, smoothing: float, widths: Array) -> Density:
        return Density(self._layout, rows, np.append(weights, self._config.prior), smoothing, widths)


def _sharper(best: Rows, others: Rows) -> float:
    """How much less the kernels of the others are smoothed: they are more, and what was tried near a good trial in vain has to tell."""
    return min(1.0, math.sqrt(len(best) / max(len(others), 1)))


def _weights(count: int) -> Array:
    """Falls with the rank, like the weights of CMA-ES (Hansen, 2016); 1 on average."""
    found: NDArray[np.float64] = np.log(count + 0.5) - np.log(np.arange(count) + 0.5)
    scaled: Array = found / found.mean()
    return scaled


component = optimizer(Config, TreeParzen)
