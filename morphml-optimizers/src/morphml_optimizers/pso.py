"""Optimizer `pso`: a swarm that is drawn to the best it has seen (Kennedy and Eberhart, 1995)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import attrs
import numpy as np
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import proposed
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective
from morphml_optimizers.vectors import Vector, Vectors, place_of, reflected

_STREAM = 4  # of problem.rng: the numbers of inactive decisions
_PARTICLE = "particle "


@attrs.frozen
class Config:
    """How large the swarm is, and what draws it."""

    population: int = attrs.field(default=10, validator=attrs.validators.ge(2))
    """How many particles there are."""
    inertia: float = attrs.field(default=0.7298, validator=[attrs.validators.ge(0.0), attrs.validators.lt(1.0)])
    """How much of its last step a particle takes again."""
    cognitive: float = attrs.field(default=1.4962, validator=[attrs.validators.ge(0.0), attrs.validators.le(4.0)])
    """How much a particle is drawn to the best trial of its own."""
    social: float = attrs.field(default=1.4962, validator=[attrs.validators.ge(0.0), attrs.validators.le(4.0)])
    """How much it is drawn to the best trial of the swarm."""
    speed: float = attrs.field(default=0.5, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    """The greatest change of a number in one step, as a share of its range."""
    craziness: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that one decision changes at random after a step."""


@attrs.define(eq=False)
class _Particle:
    """Where it is, the step that took it there, and its best trial: place, standing and genotype."""

    at: Vector
    step: Vector
    best: Vector
    standing: Standing
    genotype: Genotype


class ParticleSwarm:
    """Particle swarm optimization (Kennedy and Eberhart, "Particle Swarm Optimization", ICNN 1995), constricted (Clerc and Kennedy, IEEE TEVC 2002), asynchronous.

    Random genotypes until `population` trials are over or pending: they are the particles.  Then the particles take turns: a step is a share of the last one, and random shares of
    the ways to the particle's own best trial and to that of the swarm.  When the trial is told, the particle is at its genotype, and its last step is the
    way there; nobody waits for the others.  The defaults are those of Clerc and Kennedy, with the craziness of the first paper: without it a
    swarm in a space of choices soon stands still.  A choice of three or more values is a number a value, of which the largest
    decides, so that no order of the values matters.  Numbers that leave their range are mirrored at its ends, and those of inactive decisions are drawn at random.
    Better is by (failed, constraint violation, loss); stopped trials count with what they reported, pending ones when they are told.
    Trials of others become the best of the particle whose own is worst, if they are better.  One objective.  A step to what is known or
    refused becomes a change of one decision of the particle's best.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "pso")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._vectors = Vectors(problem.decisions)
        self._swarm: list[_Particle] = []
        self._told = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, steps of the particles later.  Takes as long whatever the number of trials told."""
        return proposed(self._problem, self._fresh, numbers, pending, self._plan)

    def _plan(self, pending: int, rng: Generator) -> tuple[Callable[[], Genotype], str]:
        born = self._told + pending
        if born < self._config.population or not self._swarm:
            return partial(self._problem.decisions.sample, rng), "random"
        place = born % self._config.population % len(self._swarm)
        return partial(self._step, self._swarm[place], rng), f"{_PARTICLE}{place}"

    def _step(self, particle: _Particle, rng: Generator) -> Genotype:
        config, decisions = self._config, self._problem.decisions
        leader = min(self._swarm, key=_standing)
        own, its = rng.random((2, len(particle.at)))
        step = config.inertia * particle.step + config.cognitive * own * (particle.best - particle.at)
        step += config.social * its * (leader.best - particle.at)
        genotype = self._vectors.decode(reflected(particle.at + np.clip(step, -config.speed, config.speed)))
        if rng.random() < config.craziness:
            genotype = decisions.mutate(genotype, rng)
        return genotype if self._fresh.is_open(genotype) else decisions.mutate(particle.genotype, rng)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial is where its particle is now."""
        self._fresh.tell(trials)
        for trial in trials:
            self._told += 1
            self._move(trial, standing(self._problem, trial))

    def _move(self, trial: Trial, mine: Standing) -> None:
        at = self._vectors.encode(trial.genotype, self._problem.rng(trial.number, _STREAM))
        if len(self._swarm) < self._config.population:
            self._swarm.append(_Particle(at, np.zeros(len(at)), at, mine, trial.genotype))
            return
        place = place_of(trial, _PARTICLE, len(self._swarm))
        particle = max(self._swarm, key=_standing) if place is None else self._swarm[place]
        if place is not None:
            particle.step, particle.at = at - particle.at, at
        if mine <= particle.standing:
            particle.best, particle.standing, particle.genotype = at, mine, trial.genotype


def _standing(particle: _Particle) -> Standing:
    return particle.standing


component = optimizer(Config, ParticleSwarm)
