"""Executor `simulated`: any number of workers on a virtual clock, so that hours of a cluster pass in seconds.

The evaluations are real, but should be quick (a table, a function); what they would take comes from the evaluator
(`duration(task)`, as a table with a duration column has it), from the option `duration`, or, without either, from the time that they
truly took.  The search sees the virtual clock: its events, and `stop.time`, count simulated seconds.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from time import perf_counter

import attrs
import numpy as np

from morphml_core.plugins.component import executor
from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload


@attrs.frozen
class Config:
    """Options of the executor `simulated`."""

    workers: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    """How many evaluations run at once."""
    duration: float | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.gt(0)))
    """Seconds that a full evaluation takes; fewer epochs take less in proportion.  Replaces what the evaluator says."""
    failures: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0), attrs.validators.lt(1)])
    """Probability that a worker dies during an attempt, at a random moment; the trial is then lost, and runs again."""
    seed: int = 0
    """The seed of the failures."""


class _Run:
    """One task on a simulated worker."""

    def __init__(self, task: Task, steps: Generator[Report, None, Outcome], start: float) -> None:
        self.task = task
        self.steps = steps
        self.start = self.now = start
        self.total: float | None = None
        self.ends: tuple[float, Outcome] | None = None
        self.dies: float | None = None
        self.over = False


class SimulatedExecutor:
    """Runs tasks in the order of a virtual clock.  `poll` goes on to the next thing that happens, and never waits."""

    def __init__(self, config: Config, workload: Workload) -> None:
        self._config, self._workload = config, workload
        self._now = 0.0
        self._busy = 0.0
        self._heap: list[tuple[float, int, _Run, Report | Outcome]] = []
        self._order = itertools.count()
        self._queue: deque[Task] = deque()
        self._running: dict[int, _Run] = {}
        self._resting: _Run | None = None
        self._closed = False

    @property
    def slots(self) -> int:
        """The number of workers."""
        return self._config.workers

    @property
    def clock(self) -> Callable[[], float]:
        """Gives the simulated seconds since the executor was made."""
        return lambda: self._now

    @property
    def utilization(self) -> float:
        """The share of the workers' simulated time in which they had something to do."""
        return self._busy / (self._now * self._config.workers) if self._now else 0.0

    def submit(self, task: Task) -> None:
        """Give the task to a free worker, or queue it.  Raises `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        self._queue.append(task)

    def poll(self, timeout: float = 0.0) -> Sequence[Report | Outcome]:
        """The next report or outcome; the clock goes on to its moment.  Empty when there is no task."""
        self._go_on()
        self._start_waiting()
        while self._heap:
            due, _, run, message = heapq.heappop(self._heap)
            if run.over:
                continue
            self._now = max(self._now, due)
            if isinstance(message, Outcome):
                self._finish(run)
            else:
                self._resting = run
            return [message]
        return []

    def cancel(self, number: int) -> None:
        """End the task of that trial now; its outcome comes with the next `poll`."""
        for task in [task for task in self._queue if task.number == number]:
            self._queue.remove(task)
            self._push(_Run(task, _nothing(), self._now), self._now, Outcome(task.number, task.attempt))
        run = self._running.get(number)
        if run is not None:
            self._finish(run)
            ended = Outcome(number, run.task.attempt, duration=self._now - run.start)
            self._push(_Run(run.task, _nothing(), self._now), self._now, ended)

    def close(self) -> None:
        """End everything; `poll` then gives an outcome for what was still waiting or running."""
        self._closed = True
        for number in [*self._running, *(task.number for task in self._queue)]:
            self.cancel(number)

    # one run -------------------------------------------------------------------------------------------

    def _start_waiting(self) -> None:
        while self._queue and len(self._running) < self._config.workers:
            task = self._queue.popleft()
            run = _Run(task, self._workload.run(task), self._now)
            self._running[task.number] = run
            run.total = self._duration(task)
            run.ends = self._early_end(run)
            self._advance(run)

    def _duration(self, task: Task) -> float | None:
        """Seconds that the task takes, or None where only trying tells."""
        if self._config.duration is None:
            return self._workload.duration(task)
        full = self._workload.epochs(task) or task.budget.epochs or 1
        return self._config.duration * task.budget.fraction * (task.budget.epochs or full) / full

    def _early_end(self, run: _Run) -> tuple[float, Outcome] | None:
        """When a worker's death or the task's timeout would cut the run off, and with which outcome."""
        task, total = run.task, run.total
        rng = np.random.default_rng([self._config.seed, task.number, task.attempt])
        dies, share = rng.random() < self._config.failures, rng.random()
        run.dies = share if dies else None
        if total is None:
            return None
        ends = []
        if dies:
            ends.append((run.start + share * total, _lost(task, share * total)))
        if task.timeout is not None and total > task.timeout:
            message = f"the evaluation takes {total:.3g} s and may take {task.timeout:g} s"
            late = Outcome(task.number, task.attempt, cause=Cause.TIMEOUT, message=message, duration=task.timeout)
            ends.append((run.start + task.timeout, late))
        return min(ends, key=lambda end: end[0], default=None)

    def _go_on(self) -> None:
        """After a report was seen: the run that made it goes on, unless it was cancelled."""
        run, self._resting = self._resting, None
        if run is not None and not run.over:
            self._advance(run)

    def _advance(self, run: _Run) -> None:
        """Compute what the run says next, and when."""
        message, took = _next(run)
        if run.total is None and run.dies is not None and isinstance(message, Outcome):  # dies in its last step
            took *= run.dies
            message = _lost(run.task, run.now + took - run.start)
        due = run.now + took if run.total is None else self._moment(run, message)
        if run.ends is not None and due >= run.ends[0]:
            due, message = run.ends
        run.now = due
        if isinstance(message, Outcome) and run.total is not None:
            message = attrs.evolve(message, duration=due - run.start)
        self._push(run, due, message)

    def _moment(self, run: _Run, message: Report | Outcome) -> float:
        assert run.total is not None
        if isinstance(message, Outcome):
            return run.start + run.total
        epochs = run.task.budget.epochs or self._workload.epochs(run.task) or 1
        return max(run.now, run.start + run.total * min(message.step / epochs, 1.0))

    def _push(self, run: _Run, due: float, message: Report | Outcome) -> None:
        heapq.heappush(self._heap, (due, next(self._order), run, message))

    def _finish(self, run: _Run) -> None:
        run.over = True
        run.steps.close()
        if self._running.pop(run.task.number, None) is not None:
            self._busy += self._now - run.start


def _next(run: _Run) -> tuple[Report | Outcome, float]:
    since = perf_counter()
    try:
        message: Report | Outcome = next(run.steps)
    except StopIteration as end:
        message = end.value
    return message, perf_counter() - since


def _lost(task: Task, after: float) -> Outcome:
    return Outcome(task.number, task.attempt, cause=Cause.LOST, message="simulated: the worker died", duration=after)


def _nothing() -> Generator[Report, None, Outcome]:
    yield from ()
    raise AssertionError("a run that is over goes on")


component = executor(Config, SimulatedExecutor)
