"""Simulated annealing: the suite, which steps are taken, the temperature, and that asking stays quick."""

from __future__ import annotations

import re
import time

import attrs
import pytest

from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import RandomSearch
from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, failed, problem, sampled
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


def test_a_failed_start_is_not_climbed_from():
    given = problem("flat")
    optimizer = annealing(given)
    (trial,) = starts(given, 1)
    optimizer.tell([failed(given, 0, Proposal(trial.genotype, origin="start"))])
    assert origins(optimizer) == {"start"}


def test_it_beats_random_search():
    found = []
    for make in (lambda given: RandomSearch(RandomConfig(), given), lambda given: annealing(given)):
        given = problem("flat")
        search = Search(make(given), given, 2).run(200)
        found.append(max(trial.metrics["accuracy"] for trial in search.past()))
    assert found[0] < found[1]


def test_asking_takes_as_long_after_20_000_trials_as_after_100():
    given = problem("mixed")
    short, long = annealing(given), annealing(given)
    past = starts(given, 100)
    short.tell(past)
    for start in range(0, 20_000, 100):
        long.tell([attrs.evolve(trial, number=start + trial.number) for trial in past])
    times = {"short": [], "long": []}
    for number in range(300):
        for name, optimizer in (("short", short), ("long", long)):
            begin = time.perf_counter()
            optimizer.ask([200_000 + number], [])
            times[name].append(time.perf_counter() - begin)
    quick = {name: sorted(values)[len(values) // 4] for name, values in times.items()}
    assert quick["long"] < 1.5 * quick["short"]


@pytest.mark.parametrize("option", ["mutations", "cooling"])
def test_options_below_one(option):
    with pytest.raises(ValueError, match=re.escape(f"'{option}' must be >= 1: 0")):
        Config(**{option: 0})


def test_it_does_not_get_hotter():
    with pytest.raises(ValueError, match=re.escape("'cold' must be <= hot (0.2): 0.6")):
        Config(cold=0.6)
