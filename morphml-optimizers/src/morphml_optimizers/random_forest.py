"""Optimizer `random_forest`: sequential model-based configuration with a forest, as in SMAC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice

import attrs
import numpy as np

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_optimizers.asking import Waiting, one_by_one
from morphml_optimizers.design import EvenDesign
from morphml_optimizers.features import DecisionFeatures
from morphml_optimizers.forest import Forest, require_trees
from morphml_optimizers.gp import Array, half_rank, log_improvement
from morphml_optimizers.past import Past
from morphml_optimizers.single import single_objective

# The least standard deviation that is believed, for targets whose better half has a root mean square of one.
_SURE = 0.01
_TRIES = 200  # of the most promising candidates, how many are looked at for one that is open


@attrs.frozen
class Config:
    """How the search begins, what the forest is like, and where its optimum is looked for."""

    initial: int = attrs.field(default=12, validator=attrs.validators.ge(2))
    """How many genotypes, spread evenly, come before the model."""
    trees: int = attrs.field(default=20, validator=attrs.validators.ge(2))
    """How many trees the forest has."""
    features: float = attrs.field(default=1.0, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    """Which share of the columns each split of a tree chooses from."""
    random: float = attrs.field(default=0.1, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """Which share of the proposals is random, model or not."""
    starts: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    """From so many of the told genotypes with the best prediction, and so many of the best random ones, the search of the model begins."""
    samples: int = attrs.field(default=250, validator=attrs.validators.ge(1))
    """How many random genotypes the model is asked about."""
    candidates: int = attrs.field(default=1500, validator=attrs.validators.ge(1))
    """The search of the model ends after a step that brings it to so many genotypes."""
    training: int = attrs.field(default=250, validator=attrs.validators.ge(10))
    """The most trials that the forest learns from: the best, the most recent, and some of all others."""


class RandomForest:
    """Bayesian optimization with a random forest, as in SMAC (Hutter, Hoos, Leyton-Brown: "Sequential Model-Based Optimization for General
    Algorithm Configuration", LION 2011; Lindauer et al.: "SMAC3", JMLR 2022).

    The forest learns the decisions; inactive ones have a column of their own.  Targets are warped by half-rank.  The proposal has the largest
    logarithm of the expected improvement below the best prediction of a told genotype, found by climbing among neighbours, from the best told
    and the best random genotypes.  A forest is grown for each proposal, from at most `training` trials, so that asking takes as long after many trials.

    One objective.  Constraints by penalty: a trial that breaks one, failed, or lacks the objective counts as worse than all others.  Stopped
    trials count with what they reported.  Pending ones count as average (constant liar, Ginsbourger et al., 2010).
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "random_forest")
        require_trees("random_forest")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._design = EvenDesign(problem)
        self._features = DecisionFeatures(problem.decisions)
        self._past = Past(problem, config.training)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember the genotypes and how they did."""
        self._fresh.tell(trials)
        self._past.tell(trials)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The candidates that the model expects most of; evenly spread ones at first."""
        return one_by_one(numbers, pending, self._propose)

    def _propose(self, number: int, waiting: Waiting) -> Proposal | None:
        rng = self._problem.rng(number)
        make: Callable[[], Genotype] = partial(self._problem.decisions.sample, rng)
        origin = "random"
        born = len(self._past) + len(waiting.genotypes)
        if born < self._config.initial:
            make, origin = self._design.first(born, make), "start"
        elif len(self._past) >= 2 and rng.random() >= self._config.random:
            for genotype in islice(self._promising(waiting.genotypes, rng), _TRIES):
                if genotype not in waiting.taken and self._fresh.is_open(genotype):
                    return Proposal(genotype, origin="model")
        drawn = self._fresh.draw(make, waiting.taken, rng)
        return None if drawn is None else Proposal(drawn, origin=origin)

    def _promising(self, waiting: Sequence[Genotype], rng: np.random.Generator) -> Iterable[Genotype]:
        """Genotypes by what the model expects of them, best first."""
        chosen = self._past.chosen()
        seen = [self._past.genotypes[position] for position in chosen]
        targets = np.append(half_rank([self._past.losses[position] for position in chosen]), np.zeros(len(waiting)))
        rows = self._features.rows([*seen, *waiting])
        forest = Forest(self._config.trees, self._config.features).fit(rows, targets, rng)
        expected, _ = forest.predict(rows[: len(seen)])
        leading = [seen[index] for index in np.argsort(expected, kind="stable")[: self._config.starts].tolist()]

        def values(genotypes: Sequence[Genotype]) -> Array:
            mean, deviation = forest.predict(self._features.rows(genotypes))
            return log_improvement(mean, np.maximum(deviation, _SURE), float(expected.min()))

        return self._climbed(leading, values, rng)

    def _climbed(
        self, leading: Sequence[Genotype], values: Callable[[Sequence[Genotype]], Array], rng: np.random.Generator
    ) -> list[Genotype]:
        decisions = self._problem.decisions
        found = Climb(decisions, values, rng)
        found.look_at([decisions.sample(rng) for _ in range(self._config.samples)])
        starts = found.ranked()[: self._config.starts]
        found.look_at(leading)
        found.climb([*leading, *starts], self._config.candidates)
        return found.ranked()


class Climb:
    """Local search of a function of genotypes, from many starts at once, one call of the function a step."""

    def __init__(
        self, decisions: DecisionSpace, values: Callable[[Sequence[Genotype]], Array], rng: np.random.Generator
    ) -> None:
        self._decisions = decisions
        self._values = values
        self._rng = rng
        self._known: dict[Genotype, float] = {}

    def look_at(self, genotypes: Iterable[Genotype]) -> None:
        """Evaluate those of the genotypes that are new."""
        new = [genotype for genotype in dict.fromkeys(genotypes) if genotype not in self._known]
        if new:
            self._known.update(zip(new, self._values(new).tolist(), strict=True))

    def climb(self, starts: Sequence[Genotype], most: int) -> None:
        """From each start to the best neighbour while that is better, until all stand still or `most` genotypes are known."""
        self.look_at(starts)
        places = list(dict.fromkeys(starts))
        while places and len(self._known) < most:
            around = [list(self._decisions.neighbours(place, self._rng)) for place in places]
            self.look_at(genotype for neighbours in around for genotype in neighbours)
            moves = [self._better(place, neighbours) for place, neighbours in zip(places, around, strict=True)]
            places = list(dict.fromkeys(move for move in moves if move is not None))

    def _better(self, place: Genotype, neighbours: Sequence[Genotype]) -> Genotype | None:
        best = max(neighbours, key=self._known.__getitem__, default=place)
        return best if self._known[best] > self._known[place] else None

    def ranked(self) -> list[Genotype]:
        """All known genotypes, the largest value first."""
        return sorted(self._known, key=lambda genotype: -self._known[genotype])


component = optimizer(Config, RandomForest)
