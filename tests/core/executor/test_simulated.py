"""The simulated executor: a virtual clock, many workers, deaths by probability."""

import numpy as np
import pytest

from morphml_core.executor.simulated import Config, SimulatedExecutor
from morphml_core.problem import Budget, Cause, Outcome, Report
from morphml_core.session import search
from morphml_core.testing.executor import ExecutorSuite, behaviours, task

SPACE = {"name": "parameters", "decisions": {"a": {"integer": [1, 40]}, "b": {"integer": [1, 40]}}}


class TestSimulated(ExecutorSuite):
    @pytest.fixture
    def make(self):
        return lambda workload: SimulatedExecutor(Config(workers=2, duration=10.0), workload)


class TestSimulatedByMeasuredTime(ExecutorSuite):
    @pytest.fixture
    def make(self):
        return lambda workload: SimulatedExecutor(Config(workers=3), workload)


def drain(executor):
    found = []
    while messages := executor.poll(0):
        found += [(executor.clock(), message) for message in messages]
    return found


def test_workers_share_the_clock():
    executor = SimulatedExecutor(Config(workers=2, duration=10.0), behaviours())
    for number in range(3):
        executor.submit(task(number))
    found = drain(executor)
    assert [(moment, message.number, message.duration) for moment, message in found] == [
        (10.0, 0, 10.0), (10.0, 1, 10.0), (20.0, 2, 10.0),
    ]  # fmt: skip
    assert executor.utilization == pytest.approx(30 / 40)


def test_reports_come_in_proportion_to_epochs():
    executor = SimulatedExecutor(Config(workers=1, duration=12.0), behaviours())
    executor.submit(task(0, steps=3, budget=Budget(3)))
    found = drain(executor)
    assert [(moment, type(message)) for moment, message in found] == [
        (4.0, Report), (8.0, Report), (12.0, Report), (12.0, Outcome),
    ]  # fmt: skip


def test_a_cancelled_run_frees_its_worker_at_once():
    executor = SimulatedExecutor(Config(workers=1, duration=12.0), behaviours())
    executor.submit(task(0, "exit", steps=1, budget=Budget(3)))
    executor.submit(task(1))
    [report] = executor.poll(0)
    assert isinstance(report, Report)
    executor.cancel(0)
    assert [(moment, message.number, message.metrics is None) for moment, message in drain(executor)] == [
        (4.0, 0, True), (16.0, 1, False),
    ]  # fmt: skip


def test_a_timeout_cuts_what_would_take_longer():
    executor = SimulatedExecutor(Config(workers=1, duration=12.0), behaviours())
    executor.submit(task(0, timeout=5.0))
    [(moment, outcome)] = drain(executor)
    assert (moment, outcome.cause, outcome.duration) == (5.0, Cause.TIMEOUT, 5.0)
    assert outcome.message == "the evaluation takes 12 s and may take 5 s"


def test_workers_die_with_the_given_probability_and_the_trials_run_again():
    experiment = search(
        SPACE, lambda candidate: float(candidate.values["a"]), stop=400, seed=2, trial={"retries": 20},
        executor={"name": "simulated", "workers": 8, "duration": 60.0, "failures": 0.2},
    )  # fmt: skip
    trials = experiment.trials()
    assert experiment.summary()["trials"]["finished"] == 400
    attempts = np.array([trial.attempt for trial in trials])
    assert np.mean(attempts) == pytest.approx(1 / 0.8, abs=0.08)


def test_workers_die_too_where_nobody_knows_how_long_an_evaluation_takes():
    executor = SimulatedExecutor(Config(workers=1, failures=0.5), behaviours())
    for number in range(200):
        executor.submit(task(number, steps=2, budget=Budget(2)))
    outcomes = [message for _, message in drain(executor) if isinstance(message, Outcome)]
    lost = [outcome for outcome in outcomes if outcome.cause is Cause.LOST]
    assert len(outcomes) == 200
    assert len(lost) == pytest.approx(100, abs=30)
    assert {outcome.message for outcome in lost} == {"simulated: the worker died"}


def test_many_workers_take_less_simulated_time_and_the_same_seed_repeats_it():
    def simulate(workers):
        experiment = search(
            SPACE, lambda candidate: float(candidate.values["a"]), stop=200, seed=2, optimizer="regularized_evolution",
            executor={"name": "simulated", "workers": workers, "duration": 60.0},
        )  # fmt: skip
        return experiment.state.elapsed(), [trial.genotype for trial in experiment.trials()]

    assert simulate(1)[0] == pytest.approx(12_000.0)
    assert simulate(32)[0] == pytest.approx(60.0 * 7)
    assert simulate(32) == simulate(32)


def test_the_time_limit_is_simulated_time():
    experiment = search(
        SPACE,
        lambda candidate: 1.0,
        stop={"time": 600.0},
        executor={"name": "simulated", "workers": 4, "duration": 60.0},
    )
    assert experiment.state.reason == "the time of 600 s is up"
    assert experiment.summary()["trials"]["finished"] == pytest.approx(40, abs=4)


def test_a_table_brings_its_durations(tmp_path):
    (tmp_path / "table.csv").write_text(
        "ops,accuracy,seconds\n" + "".join(f"{a},{a},{10 * a + 10}\n" for a in range(5))
    )
    experiment = search(
        {"name": "parameters", "decisions": {"a": {"choice": [0, 1, 2, 3, 4]}}},
        {"name": "table", "path": str(tmp_path / "table.csv"), "key": "ops", "metrics": {"accuracy": "accuracy"}, "duration": "seconds"},
        objectives=["accuracy"], stop=5, executor={"name": "simulated", "workers": 1},
    )  # fmt: skip
    assert experiment.state.elapsed() == pytest.approx(150.0)
    assert {trial.duration for trial in experiment.trials()} == {10.0, 20.0, 30.0, 40.0, 50.0}
