"""Fronts, crowding, directions: against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_optimizers.nondominated import crowding, directions, fronts, ranked
from morphml_optimizers.ranking import Standing

few = st.integers(0, 4).map(float)
points = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[few] * width), max_size=25))


def peeled(standings):
    left, found = list(range(len(standings))), []
    while left:
        front = [one for one in left if not any(standings[other].dominates(standings[one]) for other in left)]
        found.append(front)
        left = [one for one in left if one not in front]
    return found


@given(points)
def test_fronts_are_what_is_left_when_the_front_before_is_taken_away(losses):
    expected = peeled([Standing(False, 0.0, each) for each in losses])
    assert [sorted(front) for front in fronts(losses)] == expected


@given(st.lists(st.builds(Standing, st.booleans(), st.sampled_from([0.0, 1.0]), st.tuples(few, few)), max_size=20))
def test_constraints_come_before_losses(standings):
    assert [sorted(front) for front in ranked(standings)] == peeled(standings)


def test_crowding_is_the_gap_between_the_neighbours():
    assert crowding([(0.0, 4.0), (1.0, 3.0), (2.0, 2.0), (4.0, 0.0)]) == [math.inf, 1.0, 1.5, math.inf]
    assert crowding([(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]) == [math.inf, 0.0, math.inf]
    assert crowding([(math.inf, math.inf)]) == [math.inf]


@pytest.mark.parametrize(("objectives", "most", "count"), [(1, 9, 1), (2, 40, 40), (3, 91, 91), (3, 90, 78), (5, 2, 5)])
def test_directions_cover_the_simplex(objectives, most, count):
    found = directions(objectives, most)
    assert found.shape == (count, objectives)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert len(np.unique(found, axis=0)) == count
    assert {tuple(row) for row in np.eye(objectives)} <= {tuple(row) for row in found}
