"""What every executor promises: `ExecutorSuite`, and the workload that it runs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from morphml_core.errors import EvaluationError, GraphError
from morphml_core.graph.operations import OperationSet
from morphml_core.problem import Candidate, Cause, Metrics, Outcome, Report, Resources, Task
from morphml_core.protocols import Evaluation, Executor, Measurement, Workbench, Workload
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.work import Work

BEHAVIOURS = (
    "finish", "raise", "known_cause", "no_memory", "invalid", "exit", "kill", "segfault", "hang", "hang_with_lock", "hoard", "burst",
    "sys_exit",
)  # fmt: skip


class BehaviourSpace:
    """How an evaluation behaves, after how many reports, with which pause (seconds) before each."""

    def __init__(self) -> None:
        self.decisions = DecisionSpace(
            [
                Decision("behaviour", Choice(BEHAVIOURS)),
                Decision("steps", Integer(0, 10_000)),
                Decision("pause", Real(0.0, 60.0)),
            ]
        )
        self.operations: OperationSet | None = None

    def express(self, genotype: Genotype) -> Candidate:
        """The decisions as hyperparameters."""
        values = self.decisions.values(genotype)
        return Candidate(None, values, repr(genotype.slots), values)


class BehaviourEvaluator:
    """Does what the candidate says, for real: it finishes, raises, exits, hangs, fills the memory."""

    def __init__(self) -> None:
        self.budget = Task(0, Genotype(()), 0).budget

    def known(self, candidate: Candidate) -> Metrics:
        """Nothing."""
        return {}

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """Reports `steps` times, then behaves; a result has the metrics `value` (the trial's number) and `pid`."""
        values = candidate.hyperparameters
        for step in range(1, values["steps"] + 1):
            if values["pause"]:
                time.sleep(values["pause"])
            yield Measurement(step, {"value": float(step)})
        _behave(values["behaviour"])
        return {"value": float(task.number), "pid": float(os.getpid())}


def _behave(behaviour: str) -> None:
    action: Mapping[str, Callable[[], object]] = {
        "finish": lambda: None,
        "raise": _raise(ValueError("this candidate raises")),
        "known_cause": _raise(EvaluationError(Cause.OUT_OF_MEMORY, "the device is full")),
        "no_memory": _raise(MemoryError()),
        "invalid": _raise(GraphError("there is no such network")),
        "exit": lambda: os._exit(3),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "segfault": _segfault,
        "hang": lambda: time.sleep(3600),
        "hang_with_lock": _hang_with_lock,
        "hoard": _hoard,
        "burst": lambda: bytearray(2**36),
        "sys_exit": lambda: sys.exit(4),
    }
    action[behaviour]()


def _raise(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def _segfault() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    ctypes.string_at(0)


def _hang_with_lock() -> None:
    # Holds the interpreter lock, so that no thread of the process can run.
    ctypes.PyDLL(None).sleep(3600)


def _hoard() -> None:
    held = []
    while True:
        held.append(os.urandom(2**20))


def behaviours() -> Work:
    """The workload of the suite; importable, so that another process can build it: its specification is none."""
    return Work(BehaviourSpace(), BehaviourEvaluator(), _NoArtifacts())


class _NoArtifacts:
    """A store in which nothing is kept: the suite's evaluations store nothing."""

    def put(self, name: str, source: Any) -> None:
        """Not used by these evaluations."""
        raise OSError("this store keeps nothing")

    def get(self, name: str, target: Any) -> bool:
        """There is nothing."""
        return False

    def names(self, prefix: str = "") -> Sequence[str]:
        """There is nothing."""
        return ()

    def delete(self, name: str) -> None:
        """There is nothing."""


def task(number: int, behaviour: str = "finish", steps: int = 0, pause: float = 0.0, **options: Any) -> Task:
    """A task of the suite's workload; `options` are fields of `Task`."""
    return Task(number, Genotype((behaviour, steps, pause)), seed=number, **options)


def collect(executor: Executor, count: int, seconds: float = 60.0) -> list[Report | Outcome]:
    """Polls until `count` outcomes have come (and fails after so many seconds), then looks once more for surplus ones."""
    found: list[Report | Outcome] = []
    until = time.monotonic() + seconds
    while sum(isinstance(event, Outcome) for event in found) < count:
        assert time.monotonic() < until, f"{count} outcomes were due within {seconds} s; there are {found}"
        found += executor.poll(0.5)
    return [*found, *executor.poll(0.0)]


def outcomes(events: Sequence[Report | Outcome]) -> dict[int, Outcome]:
    """The outcomes by trial number; fails where one has two."""
    found = [event for event in events if isinstance(event, Outcome)]
    assert len({outcome.number for outcome in found}) == len(found), f"more than one outcome for a task: {found}"
    return {outcome.number: outcome for outcome in found}


class ExecutorSuite:
    """Subclass it, and give the fixture `make`: a function from a workload to an executor.

    `isolates`: a task that ends or fills its process harms only itself.  `slow` is how many seconds an outcome may take.
    """

    isolates = False
    slow = 60.0

    @pytest.fixture
    def make(self) -> Callable[[Workload], Executor]:
        """A function from a workload to an executor."""
        raise NotImplementedError(
            "an ExecutorSuite needs the fixture 'make': a function from a workload to an executor"
        )

    @pytest.fixture
    def executor(self, make: Callable[[Workload], Executor]) -> Iterator[Executor]:
        """An executor of the suite's workload, closed at the end."""
        executor = make(behaviours())
        yield executor
        executor.close()

    def run(self, executor: Executor, *tasks: Task) -> dict[int, Outcome]:
        """Submit the tasks and return their outcomes by number."""
        for each in tasks:
            executor.submit(each)
        return outcomes(collect(executor, len(tasks), self.slow))

    def check_alive(self, executor: Executor) -> None:
        """The executor still evaluates."""
        assert self.run(executor, task(999))[999].metrics is not None

    def test_a_task_that_finishes_has_its_metrics(self, executor: Executor) -> None:
        """Metrics, no cause, the attempt of the task, a duration."""
        outcome = self.run(executor, task(7, attempt=2))[7]
        assert outcome.metrics is not None
        assert outcome.metrics["value"] == 7.0
        assert (outcome.attempt, outcome.cause, outcome.message) == (2, None, "")
        assert 0 <= outcome.duration < self.slow

    @pytest.mark.parametrize(
        ("behaviour", "cause", "message"),
        [
            ("raise", Cause.ERROR, "ValueError: this candidate raises"),
            ("known_cause", Cause.OUT_OF_MEMORY, "the device is full"),
            ("no_memory", Cause.OUT_OF_MEMORY, "MemoryError"),
            ("invalid", Cause.INVALID, "there is no such network"),
            ("sys_exit", Cause.ERROR, "the evaluation called sys.exit(4)"),
        ],
    )
    def test_a_task_that_raises_has_its_cause(
        self, executor: Executor, behaviour: str, cause: Cause, message: str
    ) -> None:
        """The cause, and the message of the exception in the first line."""
        outcome = self.run(executor, task(1, behaviour))[1]
        assert (outcome.metrics, outcome.cause, outcome.message.split("\n")[0]) == (None, cause, message)
        self.check_alive(executor)

    def test_more_tasks_than_slots(self, executor: Executor) -> None:
        """Each has its one outcome, failing and finishing ones mixed."""
        tasks = [task(number, "raise" if number % 3 == 0 else "finish", steps=number % 2) for number in range(40)]
        assert executor.slots >= 1
        found = self.run(executor, *tasks)
        assert sorted(found) == list(range(40))
        assert [number for number in found if found[number].cause is not None] == [n for n in found if n % 3 == 0]

    def test_reports_come_in_order_and_before_the_outcome(self, executor: Executor) -> None:
        """Every step once, with the number and the attempt of its task."""
        for number in (1, 2):
            executor.submit(task(number, steps=5, attempt=3))
        events = collect(executor, 2, self.slow)
        for number in (1, 2):
            mine = [event for event in events if event.number == number]
            assert mine[:-1] == [Report(number, 3, step, {"value": float(step)}) for step in range(1, 6)]
            assert isinstance(mine[-1], Outcome)

    def test_reports_come_while_the_task_runs(self, executor: Executor) -> None:
        """The first report is there long before the task ends."""
        executor.submit(task(1, steps=10_000, pause=0.01))
        events = self.wait_for_a_report(executor)
        assert not any(isinstance(event, Outcome) for event in events)

    def wait_for_a_report(self, executor: Executor) -> list[Report | Outcome]:
        """Poll until something has come."""
        found: list[Report | Outcome] = []
        until = time.monotonic() + self.slow
        while not found:
            assert time.monotonic() < until, "no report has come"
            found += executor.poll(0.5)
        return found

    def test_a_running_task_is_cancelled(self, executor: Executor) -> None:
        """Its outcome has neither metrics nor a cause, and comes soon."""
        executor.submit(task(1, steps=10_000, pause=0.01))
        self.wait_for_a_report(executor)
        executor.cancel(1)
        executor.cancel(1)
        outcome = outcomes(collect(executor, 1, self.slow))[1]
        assert (outcome.metrics, outcome.cause) == (None, None)
        self.check_alive(executor)

    def test_a_queued_task_is_cancelled(self, executor: Executor) -> None:
        """It never runs, and the others go on."""
        count = executor.slots + 1
        for number in range(count):
            executor.submit(task(number, steps=20, pause=0.01))
        executor.cancel(count - 1)
        found = outcomes(collect(executor, count, self.slow))
        assert (found[count - 1].metrics, found[count - 1].cause) == (None, None)
        assert all(found[number].metrics is not None for number in range(count - 1))

    def test_an_unknown_number_is_ignored(self, executor: Executor) -> None:
        """Cancelling a task that is over, or never was, does nothing."""
        self.run(executor, task(1))
        executor.cancel(1)
        executor.cancel(12345)
        assert list(executor.poll(0.0)) == []
        self.check_alive(executor)

    def test_poll_returns_when_nothing_happens(self, executor: Executor) -> None:
        """It waits no longer than it was told."""
        started = time.monotonic()
        assert list(executor.poll(0.1)) == []
        assert time.monotonic() - started < 5.0

    def test_close_ends_running_and_waiting_tasks(self, make: Callable[[Workload], Executor]) -> None:
        """Within seconds, with an outcome for each; twice is once."""
        executor = make(behaviours())
        count = executor.slots + 3
        for number in range(count):
            executor.submit(task(number, steps=10_000, pause=0.01))
        seen = self.wait_for_a_report(executor)
        started = time.monotonic()
        executor.close()
        executor.close()
        assert time.monotonic() - started < 15.0
        assert sorted(outcomes([*seen, *collect(executor, count, 5.0)])) == list(range(count))

    def test_close_without_tasks(self, make: Callable[[Workload], Executor]) -> None:
        """Nothing to do, nothing to wait for."""
        started = time.monotonic()
        make(behaviours()).close()
        assert time.monotonic() - started < 15.0

    def needs_isolation(self) -> None:
        """Skip where a task is not kept from harming the caller."""
        if not self.isolates:
            pytest.skip("this executor does not isolate its tasks")

    @pytest.mark.parametrize(
        ("behaviour", "part"),
        [("exit", "exit code 3"), ("kill", "signal 9 (SIGKILL)"), ("segfault", "signal 11 (SIGSEGV)")],
    )
    def test_a_task_whose_process_dies_is_lost(self, executor: Executor, behaviour: str, part: str) -> None:
        """The cause is `lost`, the message says how; other tasks and later ones are not harmed."""
        self.needs_isolation()
        found = self.run(executor, task(1, behaviour, steps=1), task(2, steps=3, pause=0.05), task(3))
        assert found[1].cause is Cause.LOST
        assert part in found[1].message
        assert found[2].metrics is not None
        assert found[3].metrics is not None
        self.check_alive(executor)

    @pytest.mark.parametrize("behaviour", ["hang", "hang_with_lock"])
    def test_a_task_that_hangs_times_out(self, executor: Executor, behaviour: str) -> None:
        """Also one that never lets another thread run."""
        self.needs_isolation()
        outcome = self.run(executor, task(1, behaviour, timeout=0.5))[1]
        assert (outcome.cause, outcome.message) == (
            Cause.TIMEOUT, "the evaluation took longer than the 0.5 s that it may take",
        )  # fmt: skip
        assert 0.4 <= outcome.duration < 10.0
        self.check_alive(executor)

    @pytest.mark.parametrize("behaviour", ["hoard", "burst"])
    def test_a_task_that_takes_too_much_memory(self, executor: Executor, behaviour: str) -> None:
        """Bit by bit, or at once."""
        self.needs_isolation()
        outcome = self.run(executor, task(1, behaviour, resources=Resources(memory=400 * 2**20)))[1]
        assert outcome.cause is Cause.OUT_OF_MEMORY
        self.check_alive(executor)

    def test_a_task_within_its_limits_finishes(self, executor: Executor) -> None:
        """Limits that are not reached change nothing."""
        limits: dict[str, Any] = {"timeout": 30.0, "resources": Resources(memory=2 * 2**30)}
        assert self.run(executor, task(1, steps=2, **limits))[1].metrics is not None
