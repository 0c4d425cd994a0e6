"""Better and worse: constraints, failures, several objectives."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from morphml_core.problem import Cause, Constraint, Trial, TrialState
from morphml_core.testing.problems import BOTH, problem
from morphml_optimizers.ranking import Standing, front, standing

losses = st.tuples(st.integers(0, 3).map(float), st.integers(0, 3).map(float))
standings = st.builds(Standing, st.booleans(), st.sampled_from([0.0, 0.5, 1.0]), losses)


def trial(state=TrialState.FINISHED, **metrics):
    given = problem("flat")
    return Trial(
        0, given.sample(given.rng(0)), state, metrics=metrics, cause=Cause.ERROR if state is TrialState.FAILED else None
    )


def test_standing_of_trials():
    given = problem("flat", BOTH)
    given.constraints = (Constraint("cost", "<=", 2.0),)
    assert standing(given, trial(accuracy=0.5, cost=1.0)) == Standing(False, 0.0, (-0.5, 1.0))
    assert standing(given, trial(accuracy=0.5, cost=3.0)) == Standing(False, 0.5, (-0.5, 3.0))
    assert standing(given, trial(TrialState.STOPPED, accuracy=0.5, cost=1.0)) == Standing(False, 0.0, (-0.5, 1.0))
    assert standing(given, trial(accuracy=0.5)).failed
    assert standing(given, trial(TrialState.FAILED, cost=1.0)) == Standing(True, 0.0, (math.inf, math.inf))


def test_order_of_what_matters():
    best, worse = Standing(False, 0.0, (9.0,)), Standing(False, 0.1, (1.0,))
    failed = Standing(True, 0.0, (math.inf,))
    assert sorted([failed, worse, best]) == [best, worse, failed]
    assert best.dominates(worse)
    assert worse.dominates(failed)
    assert not failed.dominates(failed)


@given(standings, standings, standings)
def test_domination_is_a_strict_partial_order_within_the_total_one(one, two, three):
    assert not one.dominates(one)
    assert not (one.dominates(two) and two.dominates(one))
    assert one.dominates(three) or not (one.dominates(two) and two.dominates(three))
    assert one < two or not one.dominates(two)


@given(st.lists(standings, min_size=1, max_size=8))
def test_the_front_is_what_nothing_dominates(items):
    found = front(items, key=lambda item: item)
    assert found
    assert min(items) in found
    assert all(not other.dominates(item) for item in found for other in items)
    assert all(any(other.dominates(item) for other in found) for item in items if item not in found)
