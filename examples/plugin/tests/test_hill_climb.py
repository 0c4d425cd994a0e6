import pytest
from hill_climb import Config, HillClimb

from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import finished, problem


class TestHillClimb(OptimizerSuite):
    @pytest.fixture
    def make(self):
        return lambda problem: HillClimb(Config(), problem)


def test_children_differ_from_the_best_in_one_decision():
    given = problem("flat")
    climb = HillClimb(Config(), given)
    first = [finished(given, number, Proposal(given.sample(given.rng(number)))) for number in range(5)]
    climb.tell(first)
    best = min(first, key=given.rank_key)
    for child in climb.ask(range(5, 10), []):
        differing = [one for one, other in zip(child.genotype, best.genotype, strict=True) if one != other]
        assert len(differing) == 1
