"""Particle swarms: the suite, who moves where."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest

from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, failed, problem, sampled
from morphml_optimizers.pso import Config, ParticleSwarm


class TestParticleSwarm(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(3, 0.4, 2.0, 1.0, 1.0, 0.0)], ids=["default", "small"])
    def make(self, request):
        return lambda problem: ParticleSwarm(request.param, problem)


def swarm(given, **options):
    return ParticleSwarm(Config(**options), given)


def test_random_until_the_swarm_is_there_then_the_particles_take_turns():
    given = problem("flat")
    search = Search(swarm(given, population=4), given).run(12)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins == ["random"] * 4 + [f"particle {place}" for place in (0, 1, 2, 3)] * 2


def test_a_told_trial_is_where_its_particle_is_and_its_best_only_if_it_is_better():
    given = problem("mixed")
    optimizer = swarm(given, population=2)
    best, *trials = sorted(sampled(given, 4), key=given.rank_key)
    optimizer.tell(trials[:2])
    particle = optimizer._swarm[0]
    first = particle.at
    optimizer.tell([attrs.evolve(trials[2], number=10, origin="particle 0")])
    assert particle.genotype == trials[0].genotype
    np.testing.assert_allclose(particle.at - first, particle.step)
    optimizer.tell([attrs.evolve(best, number=11, origin="particle 0")])
    assert particle.genotype == best.genotype
    np.testing.assert_array_equal(particle.best, particle.at)


def test_the_swarm_is_drawn_to_its_best():
    given = problem("flat")
    optimizer = swarm(given, population=8, inertia=0.0, cognitive=0.0, social=1.0, craziness=0.0, speed=1.0)
    trials = sampled(given, 8)
    optimizer.tell(trials)
    best = min(trials, key=given.rank_key).genotype
    found = [proposal.genotype for proposal in optimizer.ask(range(100, 140), [])]
    close = [sum(one == other for one, other in zip(genotype, best, strict=True)) for genotype in found]
    apart = [sum(one == other for one, other in zip(trial.genotype, best, strict=True)) for trial in trials]
    assert np.mean(close) > 3.0 > 2.5 > np.mean(apart)


@pytest.mark.parametrize("origin", ["elsewhere", "particle 99"])
def test_a_better_trial_of_others_becomes_the_best_of_the_worst_particle(origin):
    given = problem("flat")
    optimizer = swarm(given, population=3)
    best, *trials = sorted(sampled(given, 4), key=given.rank_key)
    optimizer.tell(trials)
    at = optimizer._swarm[2].at
    optimizer.tell([attrs.evolve(best, number=30, origin=origin)])
    assert [particle.genotype for particle in optimizer._swarm] == [
        trials[0].genotype,
        trials[1].genotype,
        best.genotype,
    ]
    assert optimizer._swarm[2].at is at


def test_failed_trials_move_a_particle_but_are_never_its_best():
    given = problem("flat")
    optimizer = swarm(given, population=2)
    trials = sampled(given, 3)
    optimizer.tell(trials[:2])
    optimizer.tell([failed(given, 7, Proposal(trials[2].genotype, origin="particle 1"))])
    particle = optimizer._swarm[1]
    assert particle.genotype == trials[1].genotype
    assert (particle.at != particle.best).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "'population' must be >= 2: 1"),
        ({"inertia": 1.0}, "'inertia' must be < 1.0: 1.0"),
        ({"cognitive": -0.1}, "'cognitive' must be >= 0.0: -0.1"),
        ({"social": 4.5}, "'social' must be <= 4.0: 4.5"),
        ({"speed": 0.0}, "'speed' must be > 0.0: 0.0"),
        ({"craziness": 1.5}, "'craziness' must be <= 1.0: 1.5"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)
