"""Optimizer `regularized_evolution`: tournament selection with aging (Real et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ranking import Standing, front, standing


@attrs.frozen
class Config:
    """Who lives, who mates, what changes."""

    population: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    """How many trials live: the last that ended."""
    sample: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    """How many of them each tournament draws, with replacement."""
    mutations: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many decisions a child changes."""

    @sample.validator
    def _fits(self, attribute: attrs.Attribute[int], value: int) -> None:
        if value > self.population:
            raise ValueError(f"'sample' must be <= population ({self.population}): {value}")


class RegularizedEvolution:
    """Regularized evolution (Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019).

    Random genotypes until `population` trials are over or pending.  From then on each child is a mutation of the winner of a tournament
    among the living.  Every trial that ends, failed ones included, pushes the oldest out; the order of ending, not the trial number, is
    age, so slow trials are young when they arrive.  The winner is the best by (failed, constraint violation, loss); with several objectives it
    is drawn from those of the tournament that no other of it dominates.  A child that is known, pending or refused is mutated anew.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._living: list[tuple[Trial, Standing]] = []
        self._told = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        busy = taken(pending)
        proposals: list[Proposal] = []
        for number in numbers:
            born = self._told + len(pending) + len(proposals)
            proposal = self._propose(self._problem.lent_rng(number), busy, born)
            if proposal is None:
                break
            busy.add(proposal.genotype)
            proposals.append(proposal)
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the living, in place of the oldest when there are `population`."""
        self._fresh.tell(trials)
        for trial in trials:
            member = (trial, standing(self._problem, trial))
            if len(self._living) < self._config.population:
                self._living.append(member)
            else:
                self._living[self._told % self._config.population] = member
            self._told += 1

    def _propose(self, rng: Generator, busy: set[Genotype], born: int) -> Proposal | None:
        decisions = self._problem.decisions
        if born < self._config.population or not self._living:
            make, origin = partial(decisions.sample, rng), "random"
        else:
            parent = self._winner(rng)
            make = partial(decisions.mutate, parent.genotype, rng, self._config.mutations)
            origin = f"mutation of {parent.number}"
        genotype = self._fresh.draw(make, busy, rng)
        return None if genotype is None else Proposal(genotype, origin=origin)

    def _winner(self, rng: Generator) -> Trial:
        drawn: list[int] = rng.integers(len(self._living), size=self._config.sample).tolist()
        group = [self._living[index] for index in drawn]
        if len(self._problem.objectives) == 1:
            return min(group, key=_standing)[0]
        best = front(group, key=_standing)
        return best[int(rng.integers(len(best)))][0]


def _standing(member: tuple[Trial, Standing]) -> Standing:
    return member[1]


component = optimizer(Config, RegularizedEvolution)
