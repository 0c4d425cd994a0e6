"""Optimizer `gaussian_process`: Bayesian optimization over decisions and, where there are graphs, their structure."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from functools import partial
from typing import Literal

import attrs
import numpy as np

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.features import DecisionFeatures, GraphFeatures
from morphml_optimizers.gp import Array, Hyperparameters, Posterior, fit, half_rank, log_improvement
from morphml_optimizers.ranking import Standing, standing

_GROWTH = 1.15  # the hyperparameters are fitted again when there are so many times as many trials
_STEPS = 12  # of each such fit, from the last one on
_FITTED = 120  # the most trials that a fit of the hyperparameters looks at
_SHIFT = 1  # stream of problem.rng: where the first, evenly spread genotypes begin


@attrs.frozen
class Config:
    """How the search begins, and what is asked of the model."""

    initial: int = attrs.field(default=12, validator=attrs.validators.ge(2))
    """How many genotypes, spread evenly, come before the model."""
    acquisition: Literal["log_ei", "ucb", "thompson"] = attrs.field(
        default="log_ei", validator=attrs.validators.in_(("log_ei", "ucb", "thompson"))
    )
    """What is proposed: the largest expected improvement, the lowest optimistic bound, or the best of a function drawn from the posterior."""
    kappa: float = attrs.field(default=2.0, validator=attrs.validators.ge(0.0))
    """For `ucb`: how many standard deviations of optimism."""
    incumbents: int = attrs.field(default=8, validator=attrs.validators.ge(1))
    """The neighbours of so many of the best trials are candidates."""
    samples: int = attrs.field(default=250, validator=attrs.validators.ge(1))
    """So many random genotypes are candidates too."""
    training: int = attrs.field(default=300, validator=attrs.validators.ge(10))
    """The most trials that the model learns from: the best, the most recent, and some of all others."""
    structure: int = attrs.field(default=16, validator=attrs.validators.ge(0))
    """Where the space has graphs: of so many candidates, the best by their decisions, the graph is looked at too; 0 for decisions alone."""


class GaussianProcess:
    """Bayesian optimization with a Gaussian process (Snoek, Larochelle, Adams: "Practical Bayesian Optimization of Machine Learning Algorithms", 2012).

    The kernel is exponential with one length a decision.  Where the space has graphs, a second model adds counts of operations and
    paths of the effective graph (White et al., 2020), and chooses among the best candidates of the first.  Targets are warped by half-rank.  The hyperparameters
    follow the told trials at fixed counts, each fit from the last one on, so that a replay finds the same.  One objective; constraints by penalty: a trial that
    breaks one, failed, or lacks the objective counts as worse than all others.  Stopped trials count with what they reported.  Pending ones count as
    average (constant liar, Ginsbourger et al., 2010).
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        if len(problem.objectives) > 1:
            names = ", ".join(objective.name for objective in problem.objectives)
            message = (
                f"the optimizer 'gaussian_process' follows one objective, but there are {len(problem.objectives)} ({names}); "
                "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
            )
            raise ConfigurationError([Complaint("optimizer", message)])
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._decisions = DecisionFeatures(problem.decisions)
        self._graphs = GraphFeatures(problem)
        self._told: list[Genotype] = []
        self._known: set[Genotype] = set()
        self._losses: list[float] = []
        self._best: list[tuple[Standing, int]] = []
        self._fits: dict[str, tuple[int, Hyperparameters]] = {}

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the genotypes and how they did."""
        self._fresh.tell(trials)
        for trial in trials:
            found = standing(self._problem, trial)
            insort(self._best, (found, len(self._told)))
            del self._best[max(self._config.training // 3, self._config.incumbents) :]
            self._told.append(trial.genotype)
            self._known.add(trial.genotype)
            self._losses.append(math.inf if found.failed or found.violation > 0 else found.losses[0])

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The candidates that the model expects most of; evenly spread ones at first."""
        busy, waiting = taken(pending), [trial.genotype for trial in pending]
        proposals: list[Proposal] = []
        for number in numbers:
            proposal = self._propose(number, busy, waiting)
            if proposal is None:
                break
            busy.add(proposal.genotype)
            waiting.append(proposal.genotype)
            proposals.append(proposal)
        return proposals

    def _propose(self, number: int, busy: set[Genotype], waiting: Sequence[Genotype]) -> Proposal | None:
        rng = self._problem.rng(number)
        born = len(self._told) + len(waiting)
        if born < self._config.initial:
            first = iter([self._spread(born)])
            genotype = self._fresh.draw(lambda: next(first, None) or self._problem.decisions.sample(rng), busy, rng)
            return None if genotype is None else Proposal(genotype, origin="start")
        if len(self._told) >= 2:
            for genotype in self._ranked(self._candidates(busy, rng), waiting, rng):
                if self._fresh.is_open(genotype):
                    return Proposal(genotype, origin="model")
        genotype = self._fresh.draw(partial(self._problem.decisions.sample, rng), busy, rng)
        return None if genotype is None else Proposal(genotype, origin="random")

    def _spread(self, index: int) -> Genotype:
        """A point of the R sequence (Roberts, 2018), which is even in any number of dimensions, shifted by the seed."""
        dimensions = self._problem.decisions.dimensions
        ratio = 2.0
        for _ in range(50):
            ratio = (1 + ratio) ** (1 / (dimensions + 1))
        steps = ratio ** -np.arange(1.0, dimensions + 1)
        return self._problem.decisions.decode((self._problem.rng(0, _SHIFT).random(dimensions) + index * steps) % 1.0)

    def _candidates(self, busy: set[Genotype], rng: np.random.Generator) -> list[Genotype]:
        decisions = self._problem.decisions
        found: dict[Genotype, None] = {}
        for _, index in self._best[: self._config.incumbents]:
            found.update(dict.fromkeys(decisions.neighbours(self._told[index], rng)))
        found.update(dict.fromkeys(decisions.sample(rng) for _ in range(self._config.samples)))
        return [genotype for genotype in found if genotype not in self._known and genotype not in busy]

    def _ranked(
        self, candidates: list[Genotype], waiting: Sequence[Genotype], rng: np.random.Generator
    ) -> list[Genotype]:
        """The candidates, most promising first."""
        if not candidates:
            return []
        ranked = self._order(candidates, waiting, rng, with_graphs=False)
        top = ranked[: self._config.structure]
        if not top or not self._graphs.counts(top[0]):
            return ranked
        return self._order(top, waiting, rng, with_graphs=True) + ranked[len(top) :]

    def _order(
        self, candidates: list[Genotype], waiting: Sequence[Genotype], rng: np.random.Generator, with_graphs: bool
    ) -> list[Genotype]:
        chosen = self._chosen(len(self._told), self._config.training, [index for _, index in self._best])
        seen = [self._told[index] for index in chosen] + list(waiting)
        targets = np.append(half_rank([self._losses[index] for index in chosen]), np.zeros(len(waiting)))
        rows = self._rows([*seen, *candidates], with_graphs, len(seen))
        groups = self._groups(rows.shape[1])
        posterior = Posterior(rows[: len(seen)], targets, groups, self._hyperparameters(with_graphs))
        values = self._values(posterior, rows[len(seen) :], rng)
        return [candidates[index] for index in np.argsort(-values, kind="stable").tolist()]

    def _values(self, posterior: Posterior, rows: Array, rng: np.random.Generator) -> Array:
        if self._config.acquisition == "thompson":
            return -posterior.draw(rows, rng)
        mean, deviation = posterior.predict(rows)
        if self._config.acquisition == "ucb":
            return self._config.kappa * deviation - mean
        return log_improvement(mean, deviation, posterior.best)

    def _names(self) -> list[str]:
        """What is counted in graphs: known from the first trials, so that lengths keep their meaning."""
        return self._graphs.names(self._told[: self._config.initial])

    def _rows(self, genotypes: Sequence[Genotype], with_graphs: bool, seen: int) -> Array:
        rows = self._decisions.rows(genotypes)
        if not with_graphs:
            return rows
        counts = self._graphs.rows(genotypes, self._names())
        first = self._graphs.rows(self._told[: self._config.initial], self._names())
        return np.hstack([rows, (counts - first.min(axis=0)) / np.maximum(np.ptp(first, axis=0), 1.0)])

    def _groups(self, columns: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        own = self._decisions.groups
        return np.append(own, own[-1] + 1 + np.arange(columns - len(own)))

    @staticmethod
    def _chosen(told: int, most: int, best: Sequence[int]) -> list[int]:
        """The positions of the trials to learn from: a third each of the best, the most recent and an even spread."""
        if told <= most:
            return list(range(told))
        third = most // 3
        spread = [told * step // third for step in range(third)]
        return sorted({*best[:third], *range(told - third, told), *spread})

    def _hyperparameters(self, with_graphs: bool) -> Hyperparameters:
        """Those of the last milestone: fitted to the first so many told trials, and so the same in a replay."""
        name = "graphs" if with_graphs else "decisions"
        first = min(len(self._told), self._config.initial)
        milestone, found = self._fits.get(name, (0, None))
        if milestone < self._config.initial:
            milestone, found = 0, None
        while True:
            following = first if found is None else max(milestone + 1, int(milestone * _GROWTH))
            if found is not None and following > len(self._told):
                return found
            chosen = self._chosen(following, _FITTED, [])
            rows = self._rows([self._told[index] for index in chosen], with_graphs, len(chosen))
            groups = self._groups(rows.shape[1])
            start = Hyperparameters.start(int(groups[-1]) + 1) if found is None else found
            targets = half_rank([self._losses[index] for index in chosen])
            milestone, found = following, fit(rows, targets, groups, start, _STEPS)
            self._fits[name] = milestone, found


component = optimizer(Config, GaussianProcess)
