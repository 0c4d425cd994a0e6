"""Where a virtual worker's tasks run: real evaluations at made-up moments."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from morphml_core.executor.virtual import VirtualRun, expected, lost
from morphml_core.problem import Outcome, Report
from morphml_core.protocols import Workload
from morphml_distributed.worker.admission import Admission, Job
from morphml_distributed.worker.runners import Admitted, Happened


class Host(Protocol):
    """The machine that a runner is on: its clock, which stands still with it."""

    @property
    def now(self) -> float:
        """Seconds."""

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Plan something on this machine."""

    def turn(self) -> None:
        """Look at what has happened."""

    def poisoned(self, number: int) -> float | None:
        """After which share of its time the task of that trial kills the machine's worker; None where it does not."""

    def die(self) -> None:
        """The worker's process dies."""


class VirtualRunner(Admitted):
    """A worker's runner, with the worker's own admission.  `full`: seconds of a full evaluation (None: what the evaluator says).

    `busy` counts seconds of CPU cores that tasks have had; `begun` the evaluations.
    """

    trouble = ""

    def __init__(
        self, workload: Workload, admission: Admission, host: Host, full: float | None = None, speed: float = 1.0
    ) -> None:
        super().__init__(admission)
        self.busy = 0.0
        self.begun = 0
        self._workload = workload
        self._host = host
        self._full = full
        self._speed = speed
        self._runs: dict[int, VirtualRun] = {}

    @property
    def running(self) -> Sequence[Job]:
        """The jobs that run."""
        return tuple(self._admission.running.values())

    def cancel(self, number: int) -> None:
        """End the running job of that trial."""
        job = self._admission.running.get(number)
        if job is not None:
            run = self._runs[number]
            self._end(job, Outcome(number, job.task.attempt, duration=self._host.now - run.start))

    def poll(self, timeout: float = 0.0) -> Sequence[Happened]:
        """What has happened since the last call, in order.  Never waits."""
        happened, self._happened = self._happened, []
        return happened

    def close(self, grace: float = 0.0) -> None:
        """End everything at once."""
        for number, run in self._runs.items():
            self._account(self._admission.running[number], run)
            run.close()
        self._runs.clear()

    def crash(self, rng: random.Random) -> bool:
        """One of the evaluations loses its process; False where none runs."""
        if not self._runs:
            return False
        job = self._admission.running[rng.choice(list(self._runs))]
        after = self._host.now - self._runs[job.task.number].start
        self._end(job, lost(job.task, after, "simulated: the process of the evaluation died"))
        return True

    def delay(self, seconds: float) -> None:
        """The machine has stood still for so long."""
        for run in self._runs.values():
            run.delay(seconds)

    def _begin(self) -> None:
        while (job := self._admission.next()) is not None:
            task = job.task
            run = VirtualRun(
                self._workload, task, self._host.now, expected(self._workload, task, self._full), self._speed
            )
            self._runs[task.number] = run
            self._happened.append((job, None))
            self.begun += 1
            share = self._host.poisoned(task.number)
            if share is not None and run.total is not None:
                self._host.after(share * run.total, partial(self._kill, run))
            self._advance(job, run, share if run.total is None else None)

    def _advance(self, job: Job, run: VirtualRun, poison: float | None = None) -> None:
        due, message = run.advance()
        if poison is not None and isinstance(message, Outcome):
            self._host.after(poison * (due - self._host.now), partial(self._kill, run))
        self._host.after(due - self._host.now, partial(self._happens, job, run, message, poison))

    def _kill(self, run: VirtualRun) -> None:
        if not run.over:
            self._host.die()

    def _happens(self, job: Job, run: VirtualRun, message: Report | Outcome, poison: float | None) -> None:
        if run.over:
            return
        if isinstance(message, Outcome):
            self._end(job, message)
        else:
            self._happened.append((job, message))
            self._advance(job, run, poison)
        self._host.turn()

    def _end(self, job: Job, outcome: Outcome) -> None:
        number = job.task.number
        run = self._runs.pop(number)
        self._account(job, run)
        run.close()
        self._admission.end(number)
        self._happened.append((job, outcome))
        self._begin()

    def _account(self, job: Job, run: VirtualRun) -> None:
        self.busy += (self._host.now - run.start) * job.task.resources.cpus
