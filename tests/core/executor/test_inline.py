import os

import pytest

from morphml_core.executor.inline import Config, InlineExecutor
from morphml_core.problem import Cause, Outcome, Report
from morphml_core.testing.executor import ExecutorSuite, behaviours, task


class TestInline(ExecutorSuite):
    @pytest.fixture
    def make(self):
        return lambda workload: InlineExecutor(Config(), workload)


@pytest.fixture
def executor():
    return InlineExecutor(Config(), behaviours())


def test_each_poll_is_one_step(executor):
    executor.submit(task(1, steps=2))
    assert [type(executor.poll(0)[0]) for _ in range(3)] == [Report, Report, Outcome]
    assert executor.poll(0) == []


def test_the_step_after_a_cancelled_report_never_begins(executor):
    executor.submit(task(1, "exit", steps=1))
    assert isinstance(executor.poll(0)[0], Report)
    executor.cancel(1)
    [outcome] = executor.poll(0)
    assert isinstance(outcome, Outcome)
    assert (outcome.metrics, outcome.cause) == (None, None)


def test_a_timeout_is_seen_after_a_step(executor):
    executor.submit(task(1, steps=10, pause=0.02, timeout=0.03))
    executor.submit(task(2))
    assert isinstance(executor.poll(0)[0], Report)
    [outcome] = executor.poll(0)
    assert outcome.cause is Cause.TIMEOUT
    assert outcome.message == f"the evaluation took {outcome.duration:.3g} s and may take 0.03 s"
    assert executor.poll(0)[0].metrics["value"] == 2.0


def test_the_last_step_counts_for_the_timeout(executor):
    executor.submit(task(1, steps=1, pause=0.05, timeout=0.01))
    assert executor.poll(0)[0].cause is Cause.TIMEOUT


def test_a_submission_after_close_is_refused(executor):
    executor.close()
    with pytest.raises(RuntimeError, match=r"^task 3 was submitted to an executor that is closed$"):
        executor.submit(task(3))


class Interrupted:
    specification = None

    def run(self, task):
        yield Report(task.number, task.attempt, 1, {})
        raise KeyboardInterrupt


def test_an_interrupted_task_still_has_its_outcome():
    executor = InlineExecutor(Config(), Interrupted())
    executor.submit(task(5))
    executor.poll(0)
    with pytest.raises(KeyboardInterrupt):
        executor.poll(0)
    [outcome] = executor.poll(0)
    assert (outcome.number, outcome.metrics, outcome.cause) == (5, None, None)
    assert executor.poll(0) == []


def test_the_working_directory_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Wanderer:
        def run(self, task):
            os.chdir("/")
            yield Report(task.number, task.attempt, 1, {})
            return Outcome(task.number, task.attempt, {})

    executor = InlineExecutor(Config(), Wanderer())
    executor.submit(task(1))
    executor.submit(task(2))
    for _ in range(2):
        assert isinstance(executor.poll(0)[0], Report)
        assert isinstance(executor.poll(0)[0], Outcome)
        assert os.getcwd() == str(tmp_path)
    executor.submit(task(3))
    executor.poll(0)
    executor.cancel(3)
    assert os.getcwd() == str(tmp_path)
