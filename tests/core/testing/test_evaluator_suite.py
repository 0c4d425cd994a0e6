"""`EvaluatorSuite` catches what breaks its promises (that it holds for good ones is in their own tests)."""

from __future__ import annotations

import random

import pytest

from morphml_core.problem import Budget
from morphml_core.protocols import Measurement
from morphml_core.testing import EvaluatorSuite
from morphml_core.testing.problems import flat, measure

from .probe import failing


class Good:
    """Reports a growing share of a known function, epoch after epoch."""

    budget = Budget(3)

    def __init__(self):
        self.space = flat()

    def known(self, candidate):
        return {"cost": self.all(candidate)["cost"]}

    def all(self, candidate):
        return measure(self.space.decisions, self.space.decisions.genotype(candidate.values))

    def evaluate(self, task, candidate, workbench):
        found = dict(self.all(candidate), noise=task.seed / 2**31)
        for epoch in range(1, (task.budget.epochs or 3) + 1):
            yield Measurement(epoch, {"accuracy": found["accuracy"] * epoch / 3})
        return found


class Global(Good):
    """Has its noise from the global generator."""

    def evaluate(self, task, candidate, workbench):
        found = yield from super().evaluate(task, candidate, workbench)
        return {**found, "noise": random.random()}


class Backwards(Good):
    """Counts its epochs down."""

    def evaluate(self, task, candidate, workbench):
        for epoch in (3, 2, 1):
            yield Measurement(epoch, {})
        return self.all(candidate)


class FromZero(Good):
    """Counts its epochs from zero."""

    def evaluate(self, task, candidate, workbench):
        yield Measurement(0, {})
        return self.all(candidate)


class Infinite(Good):
    """Measures infinity."""

    def evaluate(self, task, candidate, workbench):
        found = yield from super().evaluate(task, candidate, workbench)
        return {**found, "accuracy": float("inf")}


class Silent(Good):
    """Returns nothing."""

    def evaluate(self, task, candidate, workbench):
        yield from super().evaluate(task, candidate, workbench)
        return {}


class Stubborn(Good):
    """Goes on when it is closed."""

    def evaluate(self, task, candidate, workbench):
        try:
            yield Measurement(1, {})
        except GeneratorExit:
            yield Measurement(2, {})
        return self.all(candidate)


class Plain(Good):
    """Is no generator."""

    def evaluate(self, task, candidate, workbench):
        return self.all(candidate)


class Moody(Good):
    """Knows something else each time."""

    calls = 0

    def known(self, candidate):
        self.calls += 1
        return {"cost": float(self.calls)}


class Cumulative(Good):
    """Adds up over evaluations."""

    total = 0.0

    def evaluate(self, task, candidate, workbench):
        found = yield from super().evaluate(task, candidate, workbench)
        self.total += found["accuracy"]
        return {**found, "accuracy": self.total}


class Spendthrift(Good):
    """Does not look at the task's budget."""

    def evaluate(self, task, candidate, workbench):
        for epoch in (1, 2, 3):
            yield Measurement(epoch, {})
        return self.all(candidate)


class Once(Good):
    """Can be used once."""

    used = False

    def evaluate(self, task, candidate, workbench):
        assert not self.used
        self.used = True
        return (yield from super().evaluate(task, candidate, workbench))


class Boundless(Good):
    """Says no budget."""

    budget = None


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Good, set()),
        (Global, {"same_seed_same_result"}),
        (Backwards, {"reports_grow_and_metrics_are_finite_numbers"}),
        (FromZero, {"reports_grow_and_metrics_are_finite_numbers"}),
        (Infinite, {"reports_grow_and_metrics_are_finite_numbers"}),
        (Silent, {"reports_grow_and_metrics_are_finite_numbers"}),
        (Stubborn, {"closing_after_a_report"}),
        (Plain, {"closing_before_it_began"}),
        (Moody, {"known_metrics_are_pure"}),
        (Cumulative, {"order_of_evaluations_does_not_matter"}),
        (Spendthrift, {"a_smaller_budget"}),
        (Once, {"closing_after_a_report"}),
        (Boundless, {"budget_of_a_full_evaluation"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_broken_evaluators_are_caught(broken, caught, tmp_path):
    def make():
        evaluator = broken()
        return evaluator, evaluator.space

    assert failing(EvaluatorSuite, make, tmp_path, among=caught) == caught
