"""Quasi-random search: the suite, which point a trial gets, how even the points are, and what it refuses."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import RandomSearch
from morphml_core.problem import Constraint, Objective, Problem, Trial
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, finished, problem

qmc = pytest.importorskip("scipy.stats.qmc", reason="needs scipy")

from morphml_optimizers.quasi_random import Config, QuasiRandom


class TestQuasiRandom(OptimizerSuite):
    @pytest.fixture
    def make(self):
        return lambda problem: QuasiRandom(Config(), problem)


def cube(dimensions, seed=3):
    decisions = [Decision(f"x{index}", Real(0.0, 1.0)) for index in range(dimensions)]
    return Problem(SearchSpace(DecisionSpace(decisions)), [Objective("accuracy")], seed=seed)


def sobol(given):
    return QuasiRandom(Config(), given)


def points(optimizer, numbers):
    return np.array([proposal.genotype.slots for proposal in optimizer.ask(numbers, [])])


def test_the_points_are_those_of_scipy_by_number():
    given = cube(5)
    expected = qmc.Sobol(5, bits=30, rng=int(given.rng(0, 6).integers(2**63))).random(512)
    optimizer = sobol(given)
    assert np.array_equal(points(optimizer, range(512)), expected)
    for number in (511, 0, 300, 299, 64, 63):
        assert np.array_equal(points(optimizer, [number])[0], expected[number])
        assert np.array_equal(points(sobol(given), [number])[0], expected[number])


def test_the_seed_decides_the_points():
    assert not np.array_equal(points(sobol(cube(3, seed=1)), range(8)), points(sobol(cube(3, seed=2)), range(8)))


def test_they_fill_a_cube_more_evenly_than_random_points():
    for seed in range(3):
        given = cube(4, seed)
        drawn = points(RandomSearch(RandomConfig(), given), range(256))
        assert qmc.discrepancy(points(sobol(given), range(256))) < qmc.discrepancy(drawn) / 3


def test_every_part_of_every_decision_comes_equally_often():
    found = points(sobol(cube(6)), range(64))
    for column in found.T:
        assert sorted((column * 64).astype(int)) == list(range(64))


def test_a_random_genotype_where_the_point_is_taken():
    given = problem("small")
    optimizer = sobol(given)
    first = optimizer.ask([9], [])[0]
    assert first.origin == "sobol"
    other = optimizer.ask([9], [Trial(3, first.genotype)])[0]
    assert (other.origin, other.genotype != first.genotype) == ("random", True)
    optimizer.tell([finished(given, 3, first)])
    assert optimizer.ask([9], []) == [other]


def test_the_best_of_256_is_closer_to_the_top_than_that_of_random_search():
    top = np.array([0.37, 0.81])
    found = {"sobol": [], "random": []}
    for seed in range(12):
        given = cube(2, seed)
        for name, optimizer in (("sobol", sobol(given)), ("random", RandomSearch(RandomConfig(), given))):
            found[name].append(np.linalg.norm(points(optimizer, range(256)) - top, axis=1).min())
    assert np.mean(found["sobol"]) < np.mean(found["random"])


def test_every_objective_and_constraint_will_do():
    given = problem("mixed", BOTH, [Constraint("cost", "<=", 3.0)])
    search = Search(sobol(given), given, 3).run(40)
    assert all(given.refusal(proposal.genotype) is None for proposal in search.proposals.values())
    assert {proposal.origin for proposal in search.proposals.values()} == {"sobol", "random"}


def test_asking_takes_as_long_after_100_000_trials_as_after_100():
    given = cube(20)
    optimizer = sobol(given)
    times = {}
    for start in (100, 100_000):
        times[start] = []
        for number in range(start, start + 400):
            begin = time.perf_counter()
            proposal = optimizer.ask([number], [])[0]
            times[start].append(time.perf_counter() - begin)
            optimizer.tell([Trial(number, proposal.genotype)])
    early, late = (sorted(found)[100] for found in times.values())
    assert late < 1.5 * early
    assert early < 0.001


def test_a_space_without_decisions():
    given = Problem(SearchSpace(DecisionSpace([])), [Objective("accuracy")])
    assert len(sobol(given).ask(range(3), [])) == 1


def test_more_dimensions_than_the_sequence_has():
    decisions = DecisionSpace(Decision(f"d{index}", Choice((1, 2))) for index in range(21_202))
    with pytest.raises(ConfigurationError) as error:
        sobol(Problem(SearchSpace(decisions), [Objective("accuracy")]))
    assert str(error.value) == (
        "optimizer: the optimizer 'quasi_random' knows Sobol points of at most 21201 dimensions, but the space has 21202; choose 'random'"
    )


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ConfigurationError) as error:
        sobol(cube(2))
    assert str(error.value) == (
        "optimizer: the optimizer 'quasi_random' needs scipy, which is not installed; pip install 'morphml-optimizers[models]'"
    )
