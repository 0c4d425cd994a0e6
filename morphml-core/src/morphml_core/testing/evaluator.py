"""What every evaluator promises: `EvaluatorSuite`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from morphml_core.artifacts.local import Config, LocalArtifacts
from morphml_core.problem import Budget, Metrics, Objective, Problem, Task
from morphml_core.protocols import Evaluator, Measurement, Measuring, Space, Workbench

Make = Callable[[], tuple[Evaluator, Space]]


class EvaluatorSuite:
    """Tests of one evaluator.  Give it a fixture `make` that returns a function of nothing to (evaluator, space).

    Each call of that function makes a new evaluator.  `candidates` is how many random candidates are evaluated, `deterministic = False` says that
    equal seeds need not give equal results, `least_epochs` is the smallest budget
    that it knows.  Choose a space, data and budget that keep one evaluation short.
    """

    candidates = 2
    deterministic = True
    least_epochs = 1

    @pytest.fixture
    def make(self) -> Make:
        """A function to an evaluator and a space that it can evaluate."""
        raise NotImplementedError(
            "an EvaluatorSuite needs a fixture 'make' that returns a function of () to (evaluator, space)"
        )

    @pytest.fixture
    def workbench(self, tmp_path: Path) -> Workbench:
        """A workbench whose artifacts are in a temporary folder."""
        return _bench(tmp_path)

    def test_budget_of_a_full_evaluation(self, make: Make) -> None:
        """It says what a full evaluation uses."""
        budget = make()[0].budget
        assert isinstance(budget, Budget)
        assert budget.epochs is None or budget.epochs >= 1

    def test_reports_grow_and_metrics_are_finite_numbers(self, make: Make, workbench: Workbench) -> None:
        """Steps count up from 1; every metric has a name and is a finite float."""
        evaluator, space = make()
        for task in _tasks(space, self.candidates):
            reports, metrics = _evaluate(evaluator, space, task, workbench)
            steps = [report.step for report in reports]
            assert all(isinstance(step, int) and step >= 1 for step in steps), f"steps count from 1, but are {steps}"
            assert all(before < after for before, after in pairwise(steps)), f"steps grow, but are {steps}"
            assert metrics, "the result has no metrics"
            for found in (metrics, *(report.metrics for report in reports)):
                _check(found)
            if isinstance(evaluator, Measuring):
                named = {*evaluator.metrics}
                assert metrics.keys() <= named, f"`metrics` names {sorted(named)}, but a result has {sorted(metrics)}"

    def test_same_seed_same_result(self, make: Make, tmp_path: Path) -> None:
        """The task's seed is all the randomness: two evaluators, with the global generators elsewhere, agree."""
        if not self.deterministic:
            pytest.skip("this evaluator does not promise it")
        found = []
        for attempt in (1, 2):
            random.seed(attempt)
            np.random.seed(attempt)  # noqa: NPY002 - the global state is what is tested
            folder = tmp_path / str(attempt)
            evaluator, space = make()
            results = [_evaluate(evaluator, space, task, _bench(folder)) for task in _tasks(space, self.candidates)]
            found.append([(reports, _lasting(metrics)) for reports, metrics in results])
        assert found[0] == found[1]

    def test_order_of_evaluations_does_not_matter(self, make: Make, tmp_path: Path) -> None:
        """What was evaluated before has no influence."""
        if not self.deterministic:
            pytest.skip("this evaluator does not promise it")
        found = []
        for turn in (1, -1):
            folder = tmp_path / str(turn)
            evaluator, space = make()
            tasks = _tasks(space, self.candidates)[::turn]
            results = [_evaluate(evaluator, space, task, _bench(folder)) for task in tasks]
            found.append([_lasting(metrics) for _, metrics in results][::turn])
        assert found[0] == found[1]

    def test_closing_after_a_report(self, make: Make, workbench: Workbench) -> None:
        """A stopped trial's generator closes without a word, and the evaluator goes on to the next."""
        evaluator, space = make()
        first, second = _tasks(space, 2)
        evaluation = evaluator.evaluate(first, space.express(first.genotype), workbench)
        assert isinstance(evaluation, Generator), "evaluate must be a generator, or return one"
        next(evaluation, None)
        evaluation.close()
        with pytest.raises(StopIteration):
            next(evaluation)
        assert _evaluate(evaluator, space, second, workbench)[1]

    def test_closing_before_it_began(self, make: Make, workbench: Workbench) -> None:
        """Cancelled before its first step: nothing happens."""
        evaluator, space = make()
        task = _tasks(space, 1)[0]
        evaluator.evaluate(task, space.express(task.genotype), workbench).close()

    def test_known_metrics_are_pure(self, make: Make, workbench: Workbench) -> None:
        """What is known without evaluation is the same before, after and in another instance; it agrees with the result."""
        evaluator, space = make()
        for task in _tasks(space, self.candidates):
            candidate = space.express(task.genotype)
            known = dict(evaluator.known(candidate))
            _check(known)
            _, metrics = _evaluate(evaluator, space, task, workbench)
            assert dict(evaluator.known(candidate)) == known
            assert dict(make()[0].known(candidate)) == known
            assert {name: value for name, value in metrics.items() if name in known}.items() <= known.items()

    def test_a_smaller_budget(self, make: Make, workbench: Workbench) -> None:
        """Where a full evaluation has epochs, fewer are a budget too: no report comes after the last of them."""
        evaluator, space = make()
        if evaluator.budget.epochs is None:
            pytest.skip("this evaluator has no epochs")
        task = _tasks(space, 1, Budget(self.least_epochs))[0]
        reports, metrics = _evaluate(evaluator, space, task, workbench)
        assert all(report.step <= self.least_epochs for report in reports)
        _check(metrics)


def _bench(folder: Path) -> Workbench:
    return Workbench(LocalArtifacts(Config(str(folder)), "suite"))


def _tasks(space: Space, count: int, budget: Budget | None = None) -> list[Task]:
    problem = Problem(space, [Objective("value")], seed=3)
    genotypes = [space.decisions.sample(problem.rng(number)) for number in range(count)]
    return [
        Task(number, genotype, problem.seed_of(number), budget=budget or Budget())
        for number, genotype in enumerate(genotypes)
    ]


def _evaluate(
    evaluator: Evaluator, space: Space, task: Task, workbench: Workbench
) -> tuple[list[Measurement], Metrics]:
    evaluation = evaluator.evaluate(task, space.express(task.genotype), workbench)
    reports: list[Measurement] = []
    while True:
        try:
            reports.append(next(evaluation))
        except StopIteration as end:
            return reports, end.value


def _check(metrics: Metrics) -> None:
    assert isinstance(metrics, Mapping), f"metrics are a mapping, but are {metrics!r}"
    for name, value in metrics.items():
        assert isinstance(name, str)
        assert isinstance(value, float | int), f"{name} is {value!r} ({type(value).__name__}), not a number"
        assert math.isfinite(value), f"{name} is {value}"


def _lasting(metrics: Metrics) -> Metrics:
    """The metrics that do not measure time."""
    return {name: value for name, value in metrics.items() if not name.endswith(("_s", "_ms", "seconds"))}
