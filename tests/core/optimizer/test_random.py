"""Random search: the suite, and that it draws what `problem.sample` draws."""

from __future__ import annotations

import pytest

from morphml_core.optimizer.random import Config, RandomSearch
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import problem, sampled


class TestRandomSearch(OptimizerSuite):
    @pytest.fixture
    def make(self):
        return lambda problem: RandomSearch(Config(), problem)


def test_draws_evenly_and_independent_of_results():
    given = problem("mixed")
    fresh, told = RandomSearch(Config(), given), RandomSearch(Config(), given)
    told.tell(sampled(given, 30))
    expected = [given.sample(given.rng(number)) for number in range(20)]
    assert [proposal.genotype for proposal in fresh.ask(range(20), [])] == expected
    assert [proposal.genotype for proposal in told.ask(range(20), [])] == expected
