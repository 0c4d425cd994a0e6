"""The evaluator `function`: what it calls, what it takes for a measurement, what it says of anything else."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import ConfigurationError, EvaluationError, PluginError
from morphml_core.evaluator.function import Config, FunctionEvaluator, component
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Candidate, Task
from morphml_core.protocols import Measurement
from morphml_core.space.decisions import Genotype
from morphml_core.testing import EvaluatorSuite
from morphml_core.testing.problems import mixed

TASK = Task(4, Genotype((1,)), seed=9, budget=Budget(3))
CANDIDATE = Candidate(None, {"x": 2.0}, "f", {"x": 2.0})


def run(function, **options):
    evaluation = FunctionEvaluator(function, **options).evaluate(TASK, CANDIDATE, None)
    reports = []
    while True:
        try:
            reports.append(next(evaluation))
        except StopIteration as end:
            return reports, end.value


def message(function):
    with pytest.raises(EvaluationError) as found:
        run(function)
    assert found.value.cause == "error"
    return str(found.value)


def number(candidate):
    return candidate.hyperparameters["rate"] * 2


def curve(candidate, task):
    for epoch in range(1, (task.budget.epochs or 4) + 1):
        yield {"accuracy": candidate.hyperparameters["rate"] * epoch}


class TestNumber(EvaluatorSuite):
    @pytest.fixture
    def make(self):
        return lambda: (
            FunctionEvaluator(number, known=lambda candidate: {"units": candidate.hyperparameters["units"]}),
            mixed(),
        )


class TestCurve(EvaluatorSuite):
    @pytest.fixture
    def make(self):
        return lambda: (FunctionEvaluator(curve, epochs=4), mixed())


def test_a_number_is_the_metric():
    assert run(lambda candidate: candidate.hyperparameters["x"]) == ([], {"value": 2.0})
    assert run(lambda candidate: 3, metric="accuracy") == ([], {"accuracy": 3.0})


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_whatever_is_a_number(value):
    _, metrics = run(lambda candidate: value)
    assert metrics == {"value": 0.5}
    assert type(metrics["value"]) is float


def test_a_dictionary_is_metrics():
    assert run(lambda candidate: {"accuracy": 1, "loss": np.float32(0.5)}) == ([], {"accuracy": 1.0, "loss": 0.5})


def test_the_task_is_given_to_a_function_that_takes_it():
    class Method:
        def measure(self, candidate, budgeted):
            return budgeted.seed

        def __call__(self, candidate):
            return 7

    assert run(lambda candidate, task: task.seed) == ([], {"value": 9.0})
    assert run(lambda candidate, task=None: task.number) == ([], {"value": 4.0})
    assert run(lambda candidate, scale=5: scale) == ([], {"value": 5.0})
    assert run(lambda *everything: len(everything)) == ([], {"value": 1.0})
    assert run(Method().measure) == ([], {"value": 9.0})
    assert run(Method()) == ([], {"value": 7.0})


def test_a_generator_reports_and_returns():
    def steps(candidate):
        yield {"accuracy": 0.1}
        yield {"accuracy": 0.2, "step": 5}
        yield {"accuracy": 0.3}
        return {"accuracy": 0.4}

    reports = [Measurement(1, {"accuracy": 0.1}), Measurement(5, {"accuracy": 0.2}), Measurement(6, {"accuracy": 0.3})]
    assert run(steps) == (reports, {"accuracy": 0.4})


def test_the_last_report_is_the_result_where_nothing_is_returned():
    def steps(candidate):
        yield 1
        yield 2

    assert run(steps) == ([Measurement(1, {"value": 1.0}), Measurement(2, {"value": 2.0})], {"value": 2.0})


def test_closing_closes_the_generator():
    closed = []

    def steps(candidate):
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    evaluation = FunctionEvaluator(steps).evaluate(TASK, CANDIDATE, None)
    next(evaluation)
    assert not closed
    evaluation.close()
    assert closed == [True]
    del evaluation
    gc.collect()


def test_what_the_function_raises_comes_through():
    def broken(candidate):
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError, match=r"^by zero$"):
        run(broken)


def test_known_metrics_and_budget():
    evaluator = FunctionEvaluator(number, epochs=12, known=lambda candidate: {"x": candidate.hyperparameters["x"]})
    assert evaluator.budget == Budget(12)
    assert evaluator.known(CANDIDATE) == {"x": 2.0}
    assert FunctionEvaluator(number).known(CANDIDATE) == {}
    assert FunctionEvaluator(number).budget == Budget()


def named(found):
    def function(candidate):
        return found

    function.__qualname__ = "f"
    return function


def yielding(*found):
    def function(candidate):
        yield from found

    function.__qualname__ = "f"
    return function


WRONG = "; give a number, or a dictionary of numbers by metric"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (named("0.9"), "returned '0.9' (str) as value" + WRONG),
        (named(None), "returned None (NoneType) as value" + WRONG),
        (named([1, 2]), "returned [1, 2] (list) as value" + WRONG),
        (named({"accuracy": "high"}), "returned 'high' (str) as accuracy" + WRONG),
        (named({"accuracy": 1j}), "returned 1j (complex) as accuracy" + WRONG),
        (named(float("nan")), "returned nan as value; metrics are finite numbers"),
        (named({"loss": np.inf}), "returned inf as loss; metrics are finite numbers"),
        (named({1: 2.0}), "returned 1 (int) as the name of a metric; names are strings"),
        (yielding({"accuracy": None}), "yielded None (NoneType) as accuracy" + WRONG),
        (yielding(), "yielded nothing and returned nothing; yield or return its metrics"),
        (
            yielding({"step": 2}, {"step": 2}),
            "yielded the step 2 after step 2; steps are whole numbers that grow, from 1",
        ),
        (yielding({"step": 0.5}), "yielded the step 0.5 after step 0; steps are whole numbers that grow, from 1"),
        (yielding({"step": True}), "yielded the step True after step 0; steps are whole numbers that grow, from 1"),
    ],
)
def test_what_is_no_measurement(function, expected):
    assert message(function) == f"the function 'f' {expected}"


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.binary(),
        st.lists(st.floats()),
        st.floats(),
        st.dictionaries(st.text(), st.floats() | st.text()),
    )
)
def test_any_value_is_metrics_or_a_sentence(value):
    try:
        _, metrics = run(lambda candidate: value)
    except EvaluationError as error:
        assert str(error).startswith("the function '")  # noqa: PT017
    else:
        assert all(np.isfinite(found) for found in metrics.values())


def test_functions_that_cannot_be_called_with_a_candidate():
    def one_too_many(candidate, task, more):
        """Takes three."""

    def keyword(candidate, *, device):
        """Needs a keyword."""

    with pytest.raises(
        PluginError, match=r"^'not a function' \(str\) cannot be called; give a function of \(candidate\)$"
    ):
        FunctionEvaluator("not a function")
    with pytest.raises(PluginError) as three:
        FunctionEvaluator(one_too_many)
    name = "test_functions_that_cannot_be_called_with_a_candidate.<locals>"
    called = "it is called with (candidate) or (candidate, task)"
    assert str(three.value) == f"the function '{name}.one_too_many' takes (candidate, task, more); {called}"
    with pytest.raises(PluginError) as key:
        FunctionEvaluator(keyword)
    assert str(key.value) == f"the function '{name}.keyword' takes (candidate, device); {called}"
    with pytest.raises(PluginError, match=r"takes \(no arguments\); it is called"):
        FunctionEvaluator(lambda: 1)


def test_from_a_configuration_with_a_file_beside_it(tmp_path):
    (tmp_path / "mine.py").write_text("def f(candidate):\n    return candidate.hyperparameters['rate']\n")
    part = Loader(folder=tmp_path).load(
        ComponentRef("evaluator", "function", {"function": "mine.py:f", "metric": "rate"})
    )
    evaluator = part.create(mixed())
    candidate = Candidate(None, {"rate": 0.25}, "f")
    evaluation = evaluator.evaluate(TASK, candidate, None)
    with pytest.raises(StopIteration) as end:
        next(evaluation)
    assert end.value.value == {"rate": 0.25}
    assert evaluator.name == "f"


def test_from_a_configuration_with_a_module():
    part = Loader().load(ComponentRef("evaluator", "function", {"function": "math:fsum"}))
    assert part.component is component
    assert isinstance(part.config, Config)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("nowhere", "'nowhere' names no Python object; write module:name or file.py:name"),
        ("nowhere:f", "'nowhere:f' cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("gone.py:f", "'{folder}/gone.py:f' cannot be imported: there is no file {folder}/gone.py"),
        ("bad.py:f", "'{folder}/bad.py:f' cannot be imported: ZeroDivisionError: division by zero"),
        ("good.py:f", "'{folder}/good.py:f' cannot be imported: {folder}/good.py has no 'f'; there are one, two"),
    ],
)
def test_names_that_lead_nowhere(tmp_path, reference, expected):
    (tmp_path / "bad.py").write_text("1 / 0")
    (tmp_path / "good.py").write_text("one = 1\ntwo = 2\n_three = 3\n")
    with pytest.raises(ConfigurationError) as found:
        Loader(folder=tmp_path).load(ComponentRef("evaluator", "function", {"function": reference}))
    assert expected.format(folder=tmp_path) in str(found.value)


def test_a_name_that_is_no_function(tmp_path):
    with pytest.raises(ConfigurationError, match="must be a function, or its name"):
        Loader(folder=tmp_path).load(ComponentRef("evaluator", "function", {"function": "math:pi"}))


def test_async_functions_are_refused():
    async def later(candidate):
        return 1.0

    with pytest.raises(PluginError) as found:
        FunctionEvaluator(later)
    assert str(found.value) == "the function 'later' is async; give a plain function, which may call asyncio.run"
