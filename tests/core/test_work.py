import pickle
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from morphml_core.artifacts import local
from morphml_core.errors import EvaluationError, GraphError, ShapeError, SpaceError
from morphml_core.problem import Budget, Candidate, Cause, Outcome, Report, Task
from morphml_core.protocols import Measurement, Workbench
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Integer
from morphml_core.testing.executor import behaviours, task
from morphml_core.work import Work


class NumberSpace:
    decisions = DecisionSpace([Decision("number", Integer(0, 9))])
    operations = None

    def express(self, genotype):
        if genotype.slots[0] == 9:
            raise SpaceError("nine is no candidate")
        return Candidate(None, {"number": genotype.slots[0]}, str(genotype.slots[0]))


def work(evaluate):
    """A workload whose evaluator's `evaluate` is this function of task, candidate and workbench."""
    return Work(
        NumberSpace(),
        types.SimpleNamespace(evaluate=evaluate, budget=Budget(), known=lambda candidate: {}),
        "the artifacts",
    )


def ask(number=4):
    return Task(7, Genotype((number,)), seed=1, attempt=2)


def finish(steps):
    reports = []
    while True:
        try:
            reports.append(next(steps))
        except StopIteration as end:
            return reports, end.value


def failing(error):
    def evaluate(task, candidate, workbench):
        yield Measurement(1, {})
        raise error

    return finish(work(evaluate).run(ask()))[1]


def test_reports_and_metrics():
    seen = []

    def evaluate(task, candidate, workbench):
        seen.append((task, candidate, workbench))
        yield Measurement(1, {"accuracy": 0.25})
        yield Measurement(np.int64(2), {"accuracy": np.float32(0.5)})
        return {"accuracy": 1, "loss": np.float64(0.125)}

    reports, outcome = finish(work(evaluate).run(ask()))
    assert seen == [(ask(), Candidate(None, {"number": 4}, "4"), Workbench("the artifacts"))]
    assert reports == [Report(7, 2, 1, {"accuracy": 0.25}), Report(7, 2, 2, {"accuracy": 0.5})]
    assert outcome == Outcome(7, 2, {"accuracy": 1.0, "loss": 0.125}, duration=outcome.duration)
    assert {type(value) for value in outcome.metrics.values()} == {float}
    assert type(reports[1].step) is int


def test_the_duration_counts_the_evaluation_only():
    def evaluate(task, candidate, workbench):
        time.sleep(0.05)
        yield Measurement(1, {})
        time.sleep(0.05)
        return {}

    steps = work(evaluate).run(ask())
    next(steps)
    time.sleep(0.5)
    assert 0.1 <= finish(steps)[1].duration < 0.4


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        (EvaluationError(Cause.LOST, "the node went away"), Cause.LOST, "the node went away"),
        (EvaluationError("timeout", "too slow"), Cause.TIMEOUT, "too slow"),
        (EvaluationError("bad luck", "a cause that is none"), Cause.ERROR, "a cause that is none"),
        (MemoryError(), Cause.OUT_OF_MEMORY, "MemoryError"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), Cause.OUT_OF_MEMORY, "OutOfMemoryError: CUDA"),
        (OSError(12, "Cannot allocate memory"), Cause.OUT_OF_MEMORY, "OSError: [Errno 12] Cannot allocate memory"),
        (RuntimeError("CUDA error: out of memory"), Cause.OUT_OF_MEMORY, "RuntimeError: CUDA error: out of memory"),
        (GraphError("no operation 'conf'"), Cause.INVALID, "no operation 'conf'"),
        (ShapeError(3, "conv", "too small"), Cause.INVALID, "node 3 (conv): too small"),
        (SpaceError("no such decision"), Cause.INVALID, "no such decision"),
        (SystemExit(2), Cause.ERROR, "the evaluation called sys.exit(2)"),
    ],
)
def test_what_is_raised_has_a_cause(error, cause, message):
    outcome = failing(error)
    assert (outcome.number, outcome.attempt, outcome.metrics) == (7, 2, None)
    assert (outcome.cause, outcome.message) == (cause, message)


def test_the_memory_errors_of_torch():
    torch = pytest.importorskip("torch")

    def evaluate(task, candidate, workbench):
        yield from ()
        torch.empty(2**50)

    outcome = finish(work(evaluate).run(ask()))[1]
    assert outcome.cause is Cause.OUT_OF_MEMORY
    assert failing(torch.OutOfMemoryError("CUDA out of memory.")).cause is Cause.OUT_OF_MEMORY


def test_another_exception_is_an_error_with_where_it_was_raised():
    def deep(count):
        return deep(count - 1) if count else 1 / 0

    def evaluate(task, candidate, workbench):
        yield from ()
        deep(20)

    first, *lines = finish(work(evaluate).run(ask()))[1].message.splitlines()
    assert first == "ZeroDivisionError: division by zero"
    assert 1 <= len(lines) <= 6
    assert any("return deep(count - 1) if count else 1 / 0" in line for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_an_error_with_its_sentence(tmp_path):
    store = local.component.create(local.Config(str(tmp_path)), "x")
    (tmp_path / "model").write_bytes(b"weights")

    def evaluate(task, candidate, workbench):
        yield Measurement(1, {"accuracy": 0.5})
        store.get("model", Path("/dev/full"))

    _, outcome = finish(work(evaluate).run(ask()))
    assert outcome.cause is Cause.ERROR
    assert outcome.message == (
        f"the artifact 'model' of {tmp_path} cannot be copied to /dev/full: No space left on device; "
        "free some space, then `morphml retry` runs the trial again"
    )


def test_an_exception_whose_message_is_broken_or_endless():
    class BrokenError(Exception):
        def __str__(self):
            raise ValueError

    assert failing(BrokenError()).message.startswith("BrokenError: (its message cannot be shown)\n")
    assert len(failing(ValueError("x" * 10**6)).message) < 10_000


def test_a_candidate_that_cannot_be_expressed_is_invalid():
    outcome = finish(behaviours().run(Task(1, Genotype(("finish", 0, 0.0)), 0)))[1]
    assert outcome.cause is None

    def never(task, candidate, workbench):
        raise AssertionError("it is not evaluated")

    outcome = finish(work(never).run(ask(9)))[1]
    assert (outcome.cause, outcome.message) == (Cause.INVALID, "nine is no candidate")


def test_an_evaluator_that_raises_before_its_first_step():
    def evaluate(task, candidate, workbench):
        raise EvaluationError("error", "not even a generator")

    assert finish(work(evaluate).run(ask()))[1].message == "not even a generator"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "the evaluator returned a NoneType as its metrics; it must be numbers by name"),
        (0.5, "the evaluator returned a float as its metrics; it must be numbers by name"),
        ({"accuracy": "0.5"}, "the evaluator returned '0.5' as the metric 'accuracy'; it must be a number"),
        ({"accuracy": None}, "the evaluator returned None as the metric 'accuracy'; it must be a number"),
        ({"a": -(10**309)}, f"the evaluator returned -1{'0' * 198} as the metric 'a'; it must be a number"),
        ({"accuracy": [1, 2]}, "the evaluator returned [1, 2] as the metric 'accuracy'; it must be a number"),
    ],
)
def test_metrics_that_are_none(returned, message):
    def evaluate(task, candidate, workbench):
        yield from ()
        return returned

    outcome = finish(work(evaluate).run(ask()))[1]
    assert (outcome.cause, outcome.message) == (Cause.ERROR, message)


@pytest.mark.parametrize(
    ("yielded", "message"),
    [
        ({"accuracy": 0.5}, "the evaluator yielded a dict; it must yield a Measurement(step, metrics)"),
        (Measurement(1, 0.5), "the evaluator yielded a float as its metrics; it must be numbers by name"),
        (
            Measurement(10**30, {}),
            "the evaluator yielded the step 1000000000000000000000000000000; steps are whole numbers from 0 to 2147483647",
        ),
        (Measurement(-1, {}), "the evaluator yielded the step -1; steps are whole numbers from 0 to 2147483647"),
        (Measurement(1, {"a": "b"}), "the evaluator yielded 'b' as the metric 'a'; it must be a number"),
    ],
)
def test_measurements_that_are_none(yielded, message):
    closed = []

    def evaluate(task, candidate, workbench):
        try:
            yield yielded
        finally:
            closed.append(True)

    reports, outcome = finish(work(evaluate).run(ask()))
    assert (reports, outcome.cause, outcome.message) == ([], Cause.ERROR, message)
    assert closed == [True]


def test_an_evaluator_that_is_no_generator():
    outcome = finish(work(lambda task, candidate, workbench: {"accuracy": 0.5}).run(ask()))[1]
    assert (outcome.cause, outcome.message) == (
        Cause.ERROR,
        (
            "the evaluator's evaluate() returned a dict, not a generator; "
            "it must be a generator that yields measurements and returns the final metrics"
        ),
    )


def test_closing_closes_the_evaluation():
    seen = []

    def evaluate(task, candidate, workbench):
        try:
            yield Measurement(1, {})
        except GeneratorExit:
            seen.append("closed")
            raise

    steps = work(evaluate).run(ask())
    next(steps)
    steps.close()
    assert seen == ["closed"]


@pytest.mark.parametrize("stubborn", [True, False])
def test_closing_an_evaluation_that_resists(stubborn):
    def evaluate(task, candidate, workbench):
        try:
            yield Measurement(1, {})
        except GeneratorExit:
            if stubborn:
                yield Measurement(2, {})
            raise ValueError from None

    steps = work(evaluate).run(ask())
    next(steps)
    steps.close()


def test_ctrl_c_is_not_an_outcome():
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt())


def test_live_objects_travel_with_it():
    carried = pickle.loads(cloudpickle.dumps(behaviours()))
    assert finish(carried.run(task(3)))[1].metrics["value"] == 3.0

    class Local:
        def evaluate(self, task, candidate, workbench):
            yield from ()
            return {"seed": task.seed}

    carried = pickle.loads(cloudpickle.dumps(Work(behaviours().space, Local(), None)))
    assert carried.specification is None
    assert finish(carried.run(task(3)))[1].metrics == {"seed": 3.0}


def test_a_specification_travels_instead_of_the_objects():
    original = Work(None, threading.Lock(), None, {"space": {"name": "cnn"}})
    restore, arguments = original.__reduce__()
    assert (restore.__module__, restore.__name__) == ("morphml_core.work", "_from_specification")
    assert arguments == ({"space": {"name": "cnn"}},)
    assert b"_from_specification" in cloudpickle.dumps(original)


def test_a_trivial_evaluation_costs_microseconds():
    def evaluate(task, candidate, workbench):
        return {"value": 1.0}
        yield

    workload, wanted, best = work(evaluate), ask(), 1.0
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(200):
            for _ in workload.run(wanted):
                pass
        best = min(best, (time.perf_counter() - started) / 200)
    assert best < 40e-6


@pytest.mark.parametrize("error", [GeneratorExit, BaseException])
def test_what_is_no_ordinary_exception_is_an_error_too(error):
    def evaluate(task, candidate, workbench):
        yield from ()
        raise error

    outcome = finish(work(evaluate).run(ask()))[1]
    assert (outcome.cause, outcome.message) == (Cause.ERROR, f"the evaluation raised {error.__name__}")


def test_a_memory_error_without_a_message():
    assert failing(MemoryError()).message == "MemoryError"


def test_a_copy_of_the_process_does_not_return_from_the_evaluation(tmp_path):
    program = """
import os, types
from morphml_core.problem import Budget, Candidate, Task
from morphml_core.space.decisions import Genotype
from morphml_core.work import Work

def evaluate(task, candidate, workbench):
    yield from ()
    if os.fork():
        os.wait()
    return {"a": 1.0}

space = types.SimpleNamespace(express=lambda genotype: Candidate(None, {}, ""))
steps = Work(space, types.SimpleNamespace(evaluate=evaluate), None).run(Task(0, Genotype(()), seed=1))
try:
    next(steps)
except StopIteration as end:
    print(dict(end.value.metrics))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "{'a': 1.0}\n"
