"""One task on a virtual clock: its evaluation is real, only the moments of its reports and of its end are made up."""

from __future__ import annotations

from time import perf_counter

import attrs

from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload


def expected(workload: Workload, task: Task, full: float | None) -> float | None:
    """Seconds that a task takes, or None where only trying tells.

    `full` is what a full evaluation takes, and fewer epochs in proportion; None: what the evaluator says.
    """
    if full is None:
        return workload.duration(task)
    epochs = workload.epochs(task) or task.budget.epochs or 1
    return full * task.budget.fraction * (task.budget.epochs or epochs) / epochs


def lost(task: Task, after: float, message: str) -> Outcome:
    """The outcome of a task that was lost so many seconds after its beginning."""
    return Outcome(task.number, task.attempt, cause=Cause.LOST, message=message, duration=after)


class VirtualRun:
    """A task that runs from `start` on and takes `total` seconds; None: as long as it truly takes, divided by `speed`.

    Its reports come in proportion to their epochs, or, where nobody knows how many there will be, ever nearer to the end.  It ends early where it takes longer than its timeout, or where `end_early` says so.
    """

    def __init__(
        self, workload: Workload, task: Task, start: float, total: float | None = None, speed: float = 1.0
    ) -> None:
        self.task = task
        self.start = self.now = start
        self.total = None if total is None else total / speed
        self.over = False
        self._speed = speed
        self._epochs = task.budget.epochs or workload.epochs(task)
        self._steps = workload.run(task)
        self._early: tuple[float, Outcome] | None = None
        self._dies: tuple[float, str] | None = None
        if self.total is not None and task.timeout is not None and self.total > task.timeout:
            message = f"the evaluation takes {self.total:.3g} s and may take {task.timeout:g} s"
            late = Outcome(task.number, task.attempt, cause=Cause.TIMEOUT, message=message, duration=task.timeout)
            self._early = start + task.timeout, late

    def die_at(self, share: float, message: str) -> None:
        """Let it be lost after that share of its time; where that is not known beforehand, of the time of its last step."""
        if self.total is None:
            self._dies = share, message
            return
        moment = self.start + share * self.total
        if self._early is None or moment < self._early[0]:
            self._early = moment, lost(self.task, share * self.total, message)

    def advance(self) -> tuple[float, Report | Outcome]:
        """Go on to the next report or the end: its moment, and what it is."""
        message, took = self._next()
        due = self.now + took if self.total is None else self._moment(message)
        if self._dies is not None and isinstance(message, Outcome):
            due = self.now + took * self._dies[0]
            message = lost(self.task, due - self.start, self._dies[1])
        if self._early is not None and due >= self._early[0]:
            due, message = self._early
        self.now = due
        if self.total is not None and isinstance(message, Outcome):
            message = attrs.evolve(message, duration=due - self.start)
        return due, message

    def delay(self, seconds: float) -> None:
        """It stood still for so long."""
        self.start += seconds
        self.now += seconds
        if self._early is not None:
            self._early = self._early[0] + seconds, self._early[1]

    def close(self) -> None:
        """Nothing more is wanted of it."""
        self.over = True
        self._steps.close()

    def _next(self) -> tuple[Report | Outcome, float]:
        since = perf_counter()
        try:
            message: Report | Outcome = next(self._steps)
        except StopIteration as end:
            message = end.value
        return message, (perf_counter() - since) / self._speed

    def _moment(self, message: Report | Outcome) -> float:
        assert self.total is not None
        if isinstance(message, Outcome):
            return self.start + self.total
        share = min(message.step / (self._epochs or message.step + 1), 1.0)
        return max(self.now, self.start + self.total * share)
