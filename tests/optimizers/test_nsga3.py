"""NSGA-III: the suite, and who lives; test_steady.py has what it shares with others."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, problem, sampled
from morphml_optimizers.nsga3 import Config, Nsga3


class TestNsga3(OptimizerSuite):
    @pytest.fixture(params=[Config(6), Config(), Config(8, crossover=0.0)], ids=["small", "default", "one parent"])
    def make(self, request):
        return lambda problem: Nsga3(request.param, problem)


def parents(proposals):
    """The trials that the children come from."""
    return {int(one) for found in proposals for one in found.origin.removeprefix("child of ").split(" and ")}


def test_each_direction_keeps_one_of_a_front():
    given = problem("flat", BOTH)
    front_of_nine = [
        attrs.evolve(trial, metrics={"accuracy": float(place), "cost": float(place)})
        for place, trial in enumerate(sampled(given, 9))
    ]
    front_of_nine.sort(key=lambda trial: trial.number % 4)
    optimizer = Nsga3(Config(3), given)
    optimizer.tell(front_of_nine)
    assert parents(optimizer.ask(range(1000, 1100), [])) == {0, 4, 8}
