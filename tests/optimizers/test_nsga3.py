"""NSGA-III: the suite, and who lives; test_steady.py has what it shares with others."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, problem, sampled
from morphml_optimizers.nsga3 import Config, Nsga3, Scale


class TestNsga3(OptimizerSuite):
    @pytest.fixture(params=[Config(6), Config(), Config(8, crossover=0.5)], ids=["small", "default", "two parents"])
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


PLANE = np.diag([2.0, 3.0, 5.0])


def test_losses_are_scaled_by_where_the_plane_of_the_extreme_points_meets_the_axes():
    inside = np.array([[0.4, 0.6, 1.0], [1.0, 0.9, 1.0]])
    points = np.vstack([PLANE, inside]) + 7.0
    scale = Scale(3)
    assert np.allclose(scale.scaled(points, range(5)), np.vstack([np.eye(3), inside / (2.0, 3.0, 5.0)]))
    assert np.allclose(scale.scaled(points[3:], range(2)), inside / (2.0, 3.0, 5.0)), "extreme points are kept"


@pytest.mark.parametrize(
    ("points", "first", "scaled"),
    [
        ([[0.0, 4.0], [0.0, 4.0], [2.0, 8.0]], [0, 1], [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]),  # one point: the greatest of all
        ([[1.0, 5.0], [1.0, 5.0]], [0, 1], [[0.0, 0.0], [0.0, 0.0]]),  # nothing but that point
        ([[0.0, 2.0], [4.0, 0.0], [8.0, 8.0]], [0, 1], [[0.0, 1.0], [1.0, 0.0], [2.0, 4.0]]),
        ([[0.0, 3.0, 1.0], [3.0, 0.0, 1.0], [1.0, 1.0, 0.0]], [0, 1, 2], [[0, 1, 1], [1, 0, 1], [1 / 3, 1 / 3, 0]]),  # the plane meets an axis nowhere
    ],
)  # fmt: skip
def test_without_such_a_plane_the_greatest_losses_are_one(points, first, scaled):
    assert np.allclose(Scale(len(points[0])).scaled(np.array(points), first), scaled)
