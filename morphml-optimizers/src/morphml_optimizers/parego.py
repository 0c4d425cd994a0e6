"""Optimizer `parego`: several objectives for an optimizer of one, by weights that change from trial to trial (Knowles, 2006)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.plugins.building import built
from morphml_core.plugins.component import Part, optimizer, part
from morphml_core.problem import Metrics, Objective, Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_core.space.decisions import Genotype
from morphml_optimizers import local_search
from morphml_optimizers.asking import as_pending
from morphml_optimizers.inner import Unseen, check_wrapped
from morphml_optimizers.nondominated import directions

_METRIC = "parego.loss"
_STREAM = 3  # of problem.rng: which weight vector a trial has
_AUGMENTED = 0.05  # the share of the weighted sum, as in the paper
_RECENT = 2000  # so many trials are told to all, before most are forgotten
_SHARE = 333  # of the best, of the last, and of an even spread: how many are kept
_FIELDS = [field.name for field in attrs.fields(Trial)]
_AT = _FIELDS.index("metrics")  # and the curve comes next
_values = attrgetter(*_FIELDS)  # with these a copy takes half the time of attrs.evolve


@attrs.frozen
class Config:
    """What is wrapped, and how many weightings it gets."""

    optimizer: Part[Optimizer] | None = part("optimizer", "local_search")
    """The optimizer of one objective that proposes: one that goes on from the best of all it was told, for each instance is told what was
    proposed for the others, too.  One that forgets by age, as regularized_evolution does, loses much."""
    weights: int = attrs.field(default=11, validator=attrs.validators.ge(2))
    """How many weight vectors there are at most: as many as a regular grid can have.  Each has a wrapped optimizer of its own."""


_DEFAULT = local_search.Config()

Scalar = Callable[[Sequence[float]], float]
"""The one loss that some losses make."""


@attrs.frozen
class _Scale:
    """The least and the greatest of each loss when it was looked at."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def widened(self, losses: Sequence[float]) -> _Scale:
        low = tuple(min(pair) for pair in zip(self.low, losses, strict=True))
        return _Scale(low, tuple(max(pair) for pair in zip(self.high, losses, strict=True)))

    def scalar(self, weights: Sequence[float]) -> Scalar:
        """The augmented Tchebycheff loss of some losses: the greatest weighted loss, and a share of the sum of all."""
        spans = [
            high - low if 0.0 < high - low < math.inf else 1.0 for low, high in zip(self.low, self.high, strict=True)
        ]
        terms = list(zip(weights, self.low, spans, strict=True))

        def scalar(losses: Sequence[float]) -> float:
            parts = [weight * (loss - low) / span for (weight, low, span), loss in zip(terms, losses, strict=True)]
            return max(parts) + _AUGMENTED * sum(parts)

        return scalar


@attrs.frozen(eq=False)
class _Told:
    """A trial, its place among all that were told, how far it breaks constraints, and its losses: None where it lacks one."""

    trial: Trial
    place: int
    violation: float
    losses: tuple[float, ...] | None


class _Past:
    """What the wrapped optimizers are told: every trial while they are few.

    When there are `_RECENT` since the last time, they are thinned: of all trials remain, for each weight vector, the best, an even spread, and the last.
    So an optimizer that begins anew after many trials is told at most 3,000.  What is kept depends on the order of the trials alone.
    """

    def __init__(self, problem: Problem, weights: int) -> None:
        self._problem = problem
        self.known: set[Genotype] = set()
        """The genotypes of all but the recent ones."""
        self.count = 0
        self.thinned = 0
        """How often."""
        self.recent: list[_Told] = []
        self._best: list[list[_Told]] = [[] for _ in range(weights)]
        self._spread: list[_Told] = []
        self._last: list[_Told] = []
        self._stride = 1

    def add(self, trial: Trial) -> tuple[float, ...] | None:
        """Remember a trial.  Its losses, or None where it lacks one."""
        losses = self._problem.losses(trial)
        found = losses if all(map(math.isfinite, losses)) else None
        self.recent.append(_Told(trial, self.count, self._problem.violation(trial), found))
        self.count += 1
        return found

    def thin(self, scalars: Sequence[Scalar]) -> None:
        """Keep a part of the recent ones; `scalars` are the losses under each weight vector."""
        for best, scalar in zip(self._best, scalars, strict=True):
            judged = [
                (each.violation, scalar(each.losses), each.place, each) for each in (*best, *self.recent) if each.losses
            ]
            best[:] = [entry[-1] for entry in sorted(judged)[:_SHARE]]
        for each in self.recent:
            if each.place % self._stride == 0:
                self._spread.append(each)
                if len(self._spread) > _SHARE:
                    self._spread, self._stride = self._spread[::2], 2 * self._stride
        self._last = self.recent[-_SHARE:]
        self.known.update([each.trial.genotype for each in self.recent])
        self.recent = []
        self.thinned += 1

    def kept(self, weight: int) -> list[_Told]:
        """What is left of all but the recent ones, in the order in which they were told."""
        found = {each.place: each for each in (*self._best[weight], *self._spread, *self._last)}
        return [found[place] for place in sorted(found)]


class _Inner:
    """A wrapped optimizer with its weights: told of trials when it is asked, those that it was not told yet."""

    def __init__(self, config: Config, problem: Problem, scale: _Scale, scalar: Scalar, past: _Past) -> None:
        self.scale, self.thinned = scale, past.thinned
        self._scalar = scalar
        self._objectives = problem.objectives
        single = copy.copy(problem)
        single.objectives = (Objective(_METRIC, "minimize"),)
        if past.thinned:
            single = Unseen(single, past.known, "it was tried before")
        given = config.optimizer
        self.optimizer: Optimizer = built(given, single) if given else local_search.component.create(_DEFAULT, single)
        self._told = -1

    def catch_up(self, past: _Past, weight: int) -> None:
        """Tell what is new of all trials."""
        fresh = past.kept(weight) + past.recent if self._told < 0 else past.recent[self._told :]
        self._told = len(past.recent)
        if fresh:
            self.optimizer.tell([self._single(each.trial, each.losses) for each in fresh])

    def _single(self, trial: Trial, losses: tuple[float, ...] | None) -> Trial:
        if losses is None and not trial.curve:
            return trial
        metrics = trial.metrics if losses is None else {**trial.metrics, _METRIC: self._scalar(losses)}
        curve = tuple((step, self._with_loss(reported)) for step, reported in trial.curve)
        values = _values(trial)
        return Trial(*(*values[:_AT], metrics, curve, *values[_AT + 2 :]))

    def _with_loss(self, metrics: Metrics) -> Metrics:
        """The metrics of one report, with their loss where all objectives are there."""
        if not all(objective.name in metrics for objective in self._objectives):
            return metrics
        losses = [objective.loss(metrics[objective.name]) for objective in self._objectives]
        return {**metrics, _METRIC: self._scalar(losses)} if all(map(math.isfinite, losses)) else metrics


class ParEgo:
    """ParEGO (Knowles, "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems", 2006).

    Each trial number draws one of a few weight vectors (Das and Dennis, 1998); the losses, scaled to [0, 1] by the least and the
    greatest so far, become one by the augmented Tchebycheff function, and the wrapped optimizer proposes for that.  Any optimizer of one objective can
    be wrapped.  Each weight vector has an instance of its own, which is told every trial once, whoever proposed it; when the range of a loss has
    changed, the instances begin anew the next time that there are half as many trials again, so that all telling stays proportional to the number of trials.
    After each 2,000 trials they begin anew, too, with the best under their weights, the last, and an even spread of all before: 1,000 at most.
    Constraints, failed, stopped and pending trials are handed on as they are, and what comes of them is up to the wrapped
    optimizer; a trial that lacks an objective has no loss for it.  With one objective it is the wrapped optimizer.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        _check(config)
        self._config = config
        self._problem = problem
        width = len(problem.objectives)
        self._weights: NDArray[np.float64] = directions(width, config.weights)
        self._past = _Past(problem, len(self._weights))
        self._fresh = Fresh(problem)
        self._scale = self._seen = _Scale((math.inf,) * width, (-math.inf,) * width)
        self._renewed_at = 0
        self._inner: dict[int, _Inner] = {}
        self._instance(0)  # what the wrapped optimizer refuses, it refuses now

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The wrapped optimizer's proposals, each under the weights of its number."""
        busy, proposals = list(pending), list[Proposal]()
        for number in numbers:
            proposal = self._propose(number, busy)
            if proposal is None:
                break
            proposals.append(proposal)
            busy.append(as_pending(number, proposal))
        return proposals

    def _propose(self, number: int, busy: Sequence[Trial]) -> Proposal | None:
        weight = int(self._problem.rng(number, _STREAM).integers(len(self._weights)))
        found = self._instance(weight).optimizer.ask([number], busy)
        if not self._past.thinned:
            return found[0] if found else None
        # It was not told all: what it cannot know may be known, or it may have given up.
        waiting = taken(busy)
        if found and found[0].genotype not in waiting and self._fresh.is_open(found[0].genotype):
            return found[0]
        rng = self._problem.rng(number)
        drawn = self._fresh.draw(partial(self._problem.decisions.sample, rng), waiting, rng)
        return None if drawn is None else Proposal(drawn, origin="random")

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the trials; the wrapped optimizers are told when they are asked."""
        self._fresh.tell(trials)
        for trial in trials:
            losses = self._past.add(trial)
            if losses is not None:
                self._seen = self._seen.widened(losses)
            if 2 * self._past.count >= 3 * self._renewed_at:
                self._scale, self._renewed_at = self._seen, self._past.count
            if len(self._past.recent) == _RECENT:
                self._past.thin([self._scalar(weight) for weight in range(len(self._weights))])

    def _scalar(self, weight: int) -> Scalar:
        return self._scale.scalar(self._weights[weight].tolist())

    def _instance(self, weight: int) -> _Inner:
        found, past = self._inner.get(weight), self._past
        if found is None or found.scale != self._scale or found.thinned != past.thinned:
            found = _Inner(self._config, self._problem, self._scale, self._scalar(weight), past)
            self._inner[weight] = found
        found.catch_up(past, weight)
        return found


def _check(config: Config) -> None:
    check_wrapped(config.optimizer, "parego")
    if config.optimizer is not None and config.optimizer.component is component:
        message = "'parego' cannot wrap 'parego': what it wraps sees one objective; name an optimizer of one objective"
        raise ConfigurationError([Complaint("optimizer.optimizer", message)])


component = optimizer(Config, ParEgo)
