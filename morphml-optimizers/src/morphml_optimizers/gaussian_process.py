"""Optimizer `gaussian_process`: Bayesian optimization over decisions and, where there are graphs, their structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import attrs
import numpy as np

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import Waiting, one_by_one
from morphml_optimizers.design import EvenDesign
from morphml_optimizers.features import DecisionFeatures, GraphColumns, GraphFeatures
from morphml_optimizers.gp import Array, Groups, Hyperparameters, Posterior, fit, half_rank, log_improvement
from morphml_optimizers.past import Past
from morphml_optimizers.single import single_objective
from morphml_optimizers.threads import one_thread

_GROWTH = 1.15  # the hyperparameters are fitted again when there are so many times as many trials
_STEPS = 12  # of each such fit, from the last one on
_FITTED = 120  # the most trials that a fit of the hyperparameters looks at
_SAMPLES = 2  # stream of problem.rng: random candidates
_BLOCKS = 5  # the random candidates of so many numbers are looked at together
_NEAR = 64  # the most neighbours of one incumbent that are candidates


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
    """About so many random genotypes are candidates too."""
    training: int = attrs.field(default=300, validator=attrs.validators.ge(10))
    """The most trials that the model learns from: the best, the most recent, and some of all others."""
    structure: bool = True
    """Whether the model looks at the graphs too, where the space has some; false for decisions alone."""


class GaussianProcess:
    """Bayesian optimization with a Gaussian process (Snoek, Larochelle, Adams: "Practical Bayesian Optimization of Machine Learning Algorithms", 2012).

    The kernel is exponential with one length a decision and, where the space has graphs, one for each number about the effective graph
    (operations, paths, their lengths), one for all pairs of operations and one for all paths of operations (White et al., 2020).  Decisions alone
    tell apart what is one network; structure alone forgets where in the network an operation is.  Targets are warped by half-rank.  The hyperparameters
    follow the told trials at fixed counts, each fit from the last one on, so that a replay finds the same.  One objective; constraints by penalty: a trial that
    breaks one, failed, or lacks the objective counts as worse than all others.  Stopped trials count with what they reported.  Pending ones count as
    average (constant liar, Ginsbourger et al., 2010).
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "gaussian_process")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._design = EvenDesign(problem)
        self._decisions = DecisionFeatures(problem.decisions)
        self._graphs = GraphFeatures(problem)
        self._columns: GraphColumns | None = None
        self._past = Past(problem, config.training)
        self._fit: tuple[int, Hyperparameters] | None = None

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the genotypes and how they did."""
        self._fresh.tell(trials)
        self._past.tell(trials)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The candidates that the model expects most of; evenly spread ones at first."""
        return one_by_one(numbers, pending, self._propose)

    def _propose(self, number: int, waiting: Waiting) -> Proposal | None:
        rng = self._problem.rng(number)
        born = len(self._past) + len(waiting.genotypes)
        if born < self._config.initial:
            first = self._design.first(born, partial(self._problem.decisions.sample, rng))
            genotype = self._fresh.draw(first, waiting.taken, rng)
            return None if genotype is None else Proposal(genotype, origin="start")
        if len(self._past) >= 2:
            with one_thread():
                ranked = self._ranked(self._candidates(number, waiting.taken, rng), waiting.genotypes, rng)
            for genotype in ranked:
                if self._fresh.is_open(genotype):
                    return Proposal(genotype, origin="model")
        genotype = self._fresh.draw(partial(self._problem.decisions.sample, rng), waiting.taken, rng)
        return None if genotype is None else Proposal(genotype, origin="random")

    def _samples(self, number: int) -> Iterator[Genotype]:
        """Random genotypes, a share of them new at each number: the looks at the graphs of the others are remembered."""
        share = -(-self._config.samples // _BLOCKS)
        for block in range(max(number - _BLOCKS, -1) + 1, number + 1):
            rng = self._problem.rng(block, _SAMPLES)
            for _ in range(share):
                yield self._problem.decisions.sample(rng)

    def _candidates(self, number: int, busy: set[Genotype], rng: np.random.Generator) -> list[Genotype]:
        decisions = self._problem.decisions
        found: dict[Genotype, None] = {}
        for index in self._past.best[: self._config.incumbents]:
            near = list(decisions.neighbours(self._past.genotypes[index], rng))
            if len(near) > _NEAR:
                near = [near[place] for place in rng.choice(len(near), _NEAR, replace=False).tolist()]
            found.update(dict.fromkeys(near))
        found.update(dict.fromkeys(self._samples(number)))
        return [genotype for genotype in found if genotype not in busy and not self._past.knows(genotype)]

    def _ranked(
        self, candidates: list[Genotype], waiting: Sequence[Genotype], rng: np.random.Generator
    ) -> list[Genotype]:
        """The candidates, most promising first."""
        if not candidates:
            return []
        hyperparameters = self._hyperparameters()
        learnt, losses = self._learnt(self._past.chosen())
        seen = [*learnt, *waiting]
        targets = np.append(half_rank(losses), np.zeros(len(waiting)))
        rows, groups = self._rows(seen, candidates)
        posterior = Posterior(rows[: len(seen)], targets, groups, hyperparameters)
        values = self._values(posterior, rows[len(seen) :], rng)
        return [candidates[index] for index in np.argsort(-values, kind="stable").tolist()]

    def _values(self, posterior: Posterior, rows: Array, rng: np.random.Generator) -> Array:
        if self._config.acquisition == "thompson":
            return -posterior.draw(rows, rng)
        mean, deviation = posterior.predict(rows)
        if self._config.acquisition == "ucb":
            return self._config.kappa * deviation - mean
        return log_improvement(mean, deviation, posterior.best)

    def _rows(self, learnt: Sequence[Genotype], others: Sequence[Genotype]) -> tuple[Array, Groups]:
        """The columns of both, in that order, and the group of each."""
        rows, groups = self._decisions.rows([*learnt, *others]), self._decisions.groups
        if not self._config.structure:
            return rows, groups
        columns = self._graph_columns()
        more, own = columns.rows(learnt, others)
        return np.hstack([rows, more]), np.append(groups, groups[-1] + 1 + own)

    def _graph_columns(self) -> GraphColumns:
        """Those of the first trials: from `initial` trials on they stay, so that lengths keep their meaning."""
        if self._columns is None or len(self._past) < self._config.initial:
            self._columns = GraphColumns(self._graphs, self._past.genotypes[: self._config.initial])
        return self._columns

    def _learnt(self, chosen: Sequence[int]) -> tuple[list[Genotype], list[float]]:
        past = self._past
        return [past.genotypes[index] for index in chosen], [past.losses[index] for index in chosen]

    def _hyperparameters(self) -> Hyperparameters:
        """Those of the last milestone: fitted to the first so many told trials, and so the same in a replay."""
        found, first = self._fit, min(len(self._past), self._config.initial)
        if found is not None and found[0] < self._config.initial:
            found = None
        while True:
            following = first if found is None else max(found[0] + 1, int(found[0] * _GROWTH))
            if found is not None and following > len(self._past):
                self._fit = found
                return found[1]
            found = following, self._fitted(following, None if found is None else found[1])

    def _fitted(self, told: int, last: Hyperparameters | None) -> Hyperparameters:
        learnt, losses = self._learnt(self._past.chosen(told, _FITTED))
        rows, groups = self._rows(learnt, [])
        return fit(rows, half_rank(losses), groups, last or Hyperparameters.start(self._groups()), _STEPS)

    def _groups(self) -> int:
        own = int(self._decisions.groups[-1]) + 1
        return own + self._graph_columns().groups if self._config.structure else own


component = optimizer(Config, GaussianProcess)
