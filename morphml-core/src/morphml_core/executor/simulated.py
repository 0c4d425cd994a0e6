"""Executor `simulated`: any number of workers on a virtual clock, so that hours of a cluster pass in seconds.

The evaluations are real, but should be quick (a table, a function); what they would take comes from the evaluator
(`duration(task)`, as a table with a duration column has it), from the option `duration`, or, without either, from the time that they
truly took.  The search sees the virtual clock: its events, and `stop.time`, count simulated seconds.

The quickest way to ask what more workers would bring: equal workers, nothing between them and the search.  `simulated_cluster` of
morphml-distributed simulates the cluster itself: its master and scheduler, unequal machines, the network and its faults.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence

import attrs
import numpy as np

from morphml_core.executor.virtual import VirtualRun, expected
from morphml_core.plugins.component import executor
from morphml_core.problem import Outcome, Report, Task
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


class SimulatedExecutor:
    """Runs tasks in the order of a virtual clock.  `poll` goes on to the next thing that happens, and never waits."""

    def __init__(self, config: Config, workload: Workload) -> None:
        self._config, self._workload = config, workload
        self._now = 0.0
        self._busy = 0.0
        self._heap: list[tuple[float, int, VirtualRun | None, Report | Outcome]] = []
        self._order = itertools.count()
        self._queue: deque[Task] = deque()
        self._running: dict[int, VirtualRun] = {}
        self._resting: VirtualRun | None = None
        self._closed = False

    @property
    def workers(self) -> int:
        """How many evaluations run at once."""
        return self._config.workers

    @property
    def slots(self) -> int:
        """The number of workers."""
        return self.workers

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
            if run is not None and run.over:
                continue
            self._now = max(self._now, due)
            if isinstance(message, Report):
                self._resting = run
            elif run is not None:
                self._finish(run)
            return [message]
        return []

    def cancel(self, number: int) -> None:
        """End the task of that trial now; its outcome comes with the next `poll`."""
        for task in [task for task in self._queue if task.number == number]:
            self._queue.remove(task)
            self._push(None, self._now, Outcome(task.number, task.attempt))
        run = self._running.get(number)
        if run is not None:
            self._finish(run)
            self._push(None, self._now, Outcome(number, run.task.attempt, duration=self._now - run.start))

    def close(self) -> None:
        """End everything; `poll` then gives an outcome for what was still waiting or running."""
        self._closed = True
        for number in [*self._running, *(task.number for task in self._queue)]:
            self.cancel(number)

    # one run -------------------------------------------------------------------------------------------

    def _start_waiting(self) -> None:
        while self._queue and len(self._running) < self._config.workers:
            task = self._queue.popleft()
            run = VirtualRun(self._workload, task, self._now, expected(self._workload, task, self._config.duration))
            self._running[task.number] = run
            rng = np.random.default_rng([self._config.seed, task.number, task.attempt])
            if rng.random() < self._config.failures:
                run.die_at(rng.random(), "simulated: the worker died")
            self._push(run, *run.advance())

    def _go_on(self) -> None:
        """After a report was seen: the run that made it goes on, unless it was cancelled."""
        run, self._resting = self._resting, None
        if run is not None and not run.over:
            self._push(run, *run.advance())

    def _push(self, run: VirtualRun | None, due: float, message: Report | Outcome) -> None:
        heapq.heappush(self._heap, (due, next(self._order), run, message))

    def _finish(self, run: VirtualRun) -> None:
        run.close()
        if self._running.pop(run.task.number, None) is not None:
            self._busy += self._now - run.start


component = executor(Config, SimulatedExecutor)
