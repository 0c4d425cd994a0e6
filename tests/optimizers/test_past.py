"""What models learn from: losses, the best, and a part that does not grow."""

from __future__ import annotations

import math

import attrs
import pytest

from morphml_core.problem import Constraint, Proposal
from morphml_core.testing.problems import failed, problem, sampled
from morphml_optimizers.past import Past


def trials(given, values):
    return [
        attrs.evolve(trial, metrics={"accuracy": value})
        for trial, value in zip(sampled(given, len(values)), values, strict=True)
    ]


def test_failed_and_infeasible_trials_are_infinitely_bad():
    given = problem("flat")
    given.constraints = (Constraint("cost", "<=", 1.0),)
    good, costly = trials(given, [0.5, 0.9])
    past = Past(given, 30)
    past.tell([attrs.evolve(good, metrics={"accuracy": 0.5, "cost": 1.0})])
    past.tell([attrs.evolve(costly, metrics={"accuracy": 0.9, "cost": 2.0}), failed(given, 7, Proposal(good.genotype))])
    past.tell([attrs.evolve(good, metrics={})])
    assert list(past.losses) == [-0.5, math.inf, math.inf, math.inf]
    assert past.best == [0, 1, 2, 3]
    assert past.knows(costly.genotype)
    assert not past.knows(problem("small").decisions.decode([0.5] * 4))


@pytest.mark.parametrize("size", [1, 7])
def test_a_part_is_chosen_where_there_are_many(size):
    given = problem("flat")
    told = trials(given, [float((index * 37) % 101) for index in range(101)])
    past = Past(given, 30)
    for start in range(0, len(told), size):
        past.tell(told[start : start + size])
    chosen = past.chosen()
    best = [index for index in range(101) if (index * 37) % 101 > 90]
    assert set(best) <= set(chosen)
    assert set(range(91, 101)) <= set(chosen)
    assert {0, 10, 20, 30} <= set(chosen)
    assert len(chosen) <= 30
    assert chosen == sorted(set(chosen))


def test_the_choice_of_the_first_few_does_not_hang_on_what_came_later():
    given = problem("flat")
    told = trials(given, [float((index * 37) % 101) for index in range(101)])
    early, late = Past(given, 30), Past(given, 30)
    early.tell(told[:60])
    late.tell(told)
    assert late.chosen(60) == early.chosen() == early.chosen(60)
    assert late.chosen(20) == list(range(20))
