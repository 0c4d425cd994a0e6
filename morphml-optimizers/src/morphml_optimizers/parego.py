"""Optimizer `parego`: several objectives for an optimizer of one, by weights that change from trial to trial (Knowles, 2006)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from operator import attrgetter

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.plugins.building import built
from morphml_core.plugins.component import Part, optimizer, part
from morphml_core.problem import Metrics, Objective, Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers import local_search
from morphml_optimizers.asking import as_pending
from morphml_optimizers.inner import check_wrapped
from morphml_optimizers.nondominated import directions

_METRIC = "parego.loss"
_STREAM = 3  # of problem.rng: which weight vector a trial has
_AUGMENTED = 0.05  # the share of the weighted sum, as in the paper
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


@attrs.frozen
class _Scale:
    """The least and the greatest of each loss when it was looked at."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def widened(self, losses: Sequence[float]) -> _Scale:
        low = tuple(min(pair) for pair in zip(self.low, losses, strict=True))
        return _Scale(low, tuple(max(pair) for pair in zip(self.high, losses, strict=True)))

    def scalar(self, weights: Sequence[float]) -> Callable[[Sequence[float]], float]:
        """The augmented Tchebycheff loss of some losses: the greatest weighted loss, and a share of the sum of all."""
        spans = [
            high - low if 0.0 < high - low < math.inf else 1.0 for low, high in zip(self.low, self.high, strict=True)
        ]
        terms = list(zip(weights, self.low, spans, strict=True))

        def scalar(losses: Sequence[float]) -> float:
            parts = [weight * (loss - low) / span for (weight, low, span), loss in zip(terms, losses, strict=True)]
            return max(parts) + _AUGMENTED * sum(parts)

        return scalar


class _Past:
    """All trials that were told, and what the wrapped optimizers are told of each but their own loss."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._trials: list[Trial] = []
        self._losses: list[tuple[float, ...] | None] = []

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: Trial) -> tuple[float, ...] | None:
        """Remember a trial.  Its losses, or None where it lacks one."""
        losses = self._problem.losses(trial)
        found = losses if all(map(math.isfinite, losses)) else None
        self._trials.append(trial)
        self._losses.append(found)
        return found

    def since(self, told: int, scalar: Callable[[Sequence[float]], float]) -> list[Trial]:
        """The trials after the first `told`, with the loss that `scalar` makes of theirs."""
        return [
            self._single(trial, losses, scalar)
            for trial, losses in zip(self._trials[told:], self._losses[told:], strict=True)
        ]

    def _single(
        self, trial: Trial, losses: tuple[float, ...] | None, scalar: Callable[[Sequence[float]], float]
    ) -> Trial:
        if losses is None and not trial.curve:
            return trial
        metrics = trial.metrics if losses is None else {**trial.metrics, _METRIC: scalar(losses)}
        curve = tuple((step, self._with_loss(reported, scalar)) for step, reported in trial.curve)
        values = _values(trial)
        return Trial(*(*values[:_AT], metrics, curve, *values[_AT + 2 :]))

    def _with_loss(self, metrics: Metrics, scalar: Callable[[Sequence[float]], float]) -> Metrics:
        """The metrics of one report, with their loss where all objectives are there."""
        objectives = self._problem.objectives
        if not all(objective.name in metrics for objective in objectives):
            return metrics
        losses = [objective.loss(metrics[objective.name]) for objective in objectives]
        return {**metrics, _METRIC: scalar(losses)} if all(map(math.isfinite, losses)) else metrics


class _Inner:
    """A wrapped optimizer with its weights: told of trials when it is asked, those that it was not told yet."""

    def __init__(self, config: Config, problem: Problem, weights: Sequence[float], scale: _Scale) -> None:
        self.scale = scale
        self._scalar = scale.scalar(weights)
        single = copy.copy(problem)
        single.objectives = (Objective(_METRIC, "minimize"),)
        given = config.optimizer
        self.optimizer: Optimizer = built(given, single) if given else local_search.component.create(_DEFAULT, single)
        self._told = 0

    def catch_up(self, past: _Past) -> None:
        """Tell what is new of all trials."""
        if self._told < len(past):
            self.optimizer.tell(past.since(self._told, self._scalar))
            self._told = len(past)


class ParEgo:
    """ParEGO (Knowles, "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems", 2006).

    Each trial number draws one of a few weight vectors (Das and Dennis, 1998); the losses, scaled to [0, 1] by the least and the
    greatest so far, become one by the augmented Tchebycheff function, and the wrapped optimizer proposes for that.  Any optimizer of one objective can
    be wrapped.  Each weight vector has an instance of its own, which is told every trial once, whoever proposed it; when the range of a loss has
    changed, the instances begin anew the next time that there are half as many trials again, so that all telling stays proportional to the number of trials.
    Constraints, failed, stopped and pending trials are handed on as they are, and what comes of them is up to the wrapped
    optimizer; a trial that lacks an objective has no loss for it.  With one objective it is the wrapped optimizer.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        _check(config)
        self._config = config
        self._problem = problem
        width = len(problem.objectives)
        self._weights: NDArray[np.float64] = directions(width, config.weights)
        self._past = _Past(problem)
        self._scale = self._seen = _Scale((math.inf,) * width, (-math.inf,) * width)
        self._renewed_at = 0
        self._inner: dict[int, _Inner] = {}
        self._instance(0)  # what the wrapped optimizer refuses, it refuses now

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The wrapped optimizer's proposals, each under the weights of its number."""
        busy, proposals = list(pending), list[Proposal]()
        for number in numbers:
            place = int(self._problem.rng(number, _STREAM).integers(len(self._weights)))
            found = self._instance(place).optimizer.ask([number], busy)
            if not found:
                break
            proposals.append(found[0])
            busy.append(as_pending(number, found[0]))
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the trials; the wrapped optimizers are told when they are asked."""
        for trial in trials:
            losses = self._past.add(trial)
            if losses is not None:
                self._seen = self._seen.widened(losses)
            if 2 * len(self._past) >= 3 * self._renewed_at:
                self._scale, self._renewed_at = self._seen, len(self._past)

    def _instance(self, place: int) -> _Inner:
        found = self._inner.get(place)
        if found is None or found.scale != self._scale:
            found = _Inner(self._config, self._problem, self._weights[place].tolist(), self._scale)
            self._inner[place] = found
        found.catch_up(self._past)
        return found


def _check(config: Config) -> None:
    check_wrapped(config.optimizer, "parego")
    if config.optimizer is not None and config.optimizer.component is component:
        message = "'parego' cannot wrap 'parego': what it wraps sees one objective; name an optimizer of one objective"
        raise ConfigurationError([Complaint("optimizer.optimizer", message)])


component = optimizer(Config, ParEgo)
