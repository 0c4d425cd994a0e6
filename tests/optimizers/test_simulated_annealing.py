"""Simulated annealing: the suite, which steps are taken, and the temperature."""

from __future__ import annotations

import re

import attrs
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import problem, sampled
from morphml_optimizers.simulated_annealing import Config, SimulatedAnnealing


class TestSimulatedAnnealing(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(2.0, 0.5, 10, 2)], ids=["default", "warm"])
    def make(self, request):
        return lambda problem: SimulatedAnnealing(request.param, problem)


def annealing(given, **options):
    return SimulatedAnnealing(Config(**options), given)


def starts(given, count):
    return [attrs.evolve(trial, origin="start") for trial in sampled(given, count)]


def origins(optimizer):
    return {proposal.origin for proposal in optimizer.ask(range(500, 510), [])}


def test_a_cold_walk_goes_to_the_better_only():
    given = problem("flat")
    optimizer = annealing(given, hot=1e-9, cold=1e-9)
    trials = starts(given, 12)
    assert origins(optimizer) == {"start"}
    optimizer.tell(trials)
    assert origins(optimizer) == {f"step from {min(trials, key=given.rank_key).number}"}


def test_a_hot_walk_goes_everywhere():
    given = problem("flat")
    optimizer = annealing(given, hot=1e9, cold=1e9)
    optimizer.tell(trials := starts(given, 12))
    assert origins(optimizer) == {f"step from {trials[-1].number}"}


def test_the_temperature_falls_by_the_same_factor():
    given = problem("flat")
    optimizer = annealing(given, hot=1.0, cold=0.01, cooling=10)
    found = []
    for trial in starts(given, 12):
        found.append(optimizer.temperature())
        optimizer.tell([trial])
    assert found == pytest.approx([10 ** (-min(told, 10) / 5) for told in range(12)])


def test_it_does_not_get_hotter():
    with pytest.raises(ValueError, match=re.escape("'cold' must be <= hot (0.2): 0.6")):
        Config(cold=0.6)
