"""Optimizer `bananas`: an ensemble of networks predicts, Thompson sampling chooses among mutations of the best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import attrs
import numpy as np

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import Waiting, one_by_one
from morphml_optimizers.design import EvenDesign
from morphml_optimizers.ensemble import Encoding, Ensemble
from morphml_optimizers.features import DecisionFeatures, GraphFeatures
from morphml_optimizers.gp import half_rank
from morphml_optimizers.past import Past
from morphml_optimizers.single import single_objective

_GROWTH = 1.1  # the networks are trained again when there are so many times as many trials
_TRAINING = 2  # stream of problem.rng: where training begins
_DRAWS = 5  # mutations drawn for each candidate that is wanted, at most


@attrs.frozen
class Config:
    """How the search begins, what the ensemble is like, and which candidates it looks at."""

    initial: int = attrs.field(default=12, validator=attrs.validators.ge(2))
    """How many genotypes, spread evenly, come before the model."""
    networks: int = attrs.field(default=5, validator=attrs.validators.ge(2))
    """How many networks the ensemble has."""
    width: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    """How many units each of their two hidden layers has."""
    steps: int = attrs.field(default=100, validator=attrs.validators.ge(1))
    """How many steps each training takes."""
    incumbents: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """The candidates are mutations of so many of the best trials."""
    candidates: int = attrs.field(default=50, validator=attrs.validators.ge(1))
    """How many candidates there are for each proposal."""
    training: int = attrs.field(default=300, validator=attrs.validators.ge(10))
    """The most trials that the networks learn from: the best, the most recent, and some of all others."""


class Bananas:
    """BANANAS (White, Neiswanger, Savani: "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search", AAAI 2021).

    An ensemble of small networks learns the decisions and, where the space has graphs, numbers about the effective graph and its
    paths.  Candidates are mutations, of one or two decisions, of the best trials; each draws a value from what the ensemble says of it (independent
    Thompson sampling), and the lowest is proposed.  Targets are warped by half-rank.  The networks are trained anew whenever there are a tenth more trials, on
    at most `training` of them, so that asking takes as long after many.

    One objective.  Constraints by penalty: a trial that breaks one, failed, or lacks the objective counts as worse than all others.  Stopped
    trials count with what they reported.  Pending ones are left out: the draws differ, and so do the proposals.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "bananas")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._design = EvenDesign(problem)
        self._decisions = DecisionFeatures(problem.decisions)
        self._graphs = GraphFeatures(problem)
        self._past = Past(problem, config.training)
        self._model: tuple[int, Encoding, Ensemble] | None = None

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the genotypes and how they did."""
        self._fresh.tell(trials)
        self._past.tell(trials)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The candidates with the lowest draws; evenly spread ones at first."""
        return one_by_one(numbers, pending, self._propose)

    def _propose(self, number: int, waiting: Waiting) -> Proposal | None:
        rng, born = self._problem.rng(number), len(self._past) + len(waiting.genotypes)
        make: Callable[[], Genotype] = partial(self._problem.decisions.sample, rng)
        origin = "random"
        if born < self._config.initial:
            make, origin = self._design.first(born, make), "start"
        elif len(self._past) >= 2:
            for genotype in self._drawn(waiting.taken, rng):
                if self._fresh.is_open(genotype):
                    return Proposal(genotype, origin="model")
        drawn = self._fresh.draw(make, waiting.taken, rng)
        return None if drawn is None else Proposal(drawn, origin=origin)

    def _drawn(self, busy: set[Genotype], rng: np.random.Generator) -> Iterable[Genotype]:
        """The candidates by their draws, lowest first."""
        candidates = self._candidates(busy, rng)
        if not candidates:
            return []
        encoding, ensemble = self._trained()
        mean, deviation = ensemble.predict(encoding.rows(candidates))
        draws = mean + deviation * rng.standard_normal(len(candidates))
        return [candidates[index] for index in np.argsort(draws, kind="stable").tolist()]

    def _candidates(self, busy: set[Genotype], rng: np.random.Generator) -> list[Genotype]:
        parents = [self._past.genotypes[position] for position in self._past.best[: self._config.incumbents]]
        found: dict[Genotype, None] = {}
        for _ in range(_DRAWS * self._config.candidates):
            parent = parents[int(rng.integers(len(parents)))]
            genotype = self._problem.decisions.mutate(parent, rng, int(rng.integers(1, 3)))
            if genotype not in busy and not self._past.knows(genotype):
                found[genotype] = None
                if len(found) == self._config.candidates:
                    break
        return list(found)

    def _trained(self) -> tuple[Encoding, Ensemble]:
        """The networks of the last milestone: trained on the first so many told trials, and so the same in a replay."""
        milestone = self._milestone()
        if self._model is None or self._model[0] != milestone:
            chosen = self._past.chosen(milestone)
            seen = [self._past.genotypes[position] for position in chosen]
            targets = half_rank([self._past.losses[position] for position in chosen])
            encoding = Encoding(self._decisions, self._graphs, seen)
            ensemble = Ensemble(self._config.networks, self._config.width, self._config.steps)
            ensemble.fit(encoding.rows(seen), targets, self._problem.rng(milestone, _TRAINING))
            self._model = milestone, encoding, ensemble
        return self._model[1:]

    def _milestone(self) -> int:
        told, milestone = len(self._past), self._config.initial
        if told <= milestone:
            return told
        while (following := max(milestone + 1, int(milestone * _GROWTH))) <= told:
            milestone = following
        return milestone


component = optimizer(Config, Bananas)
