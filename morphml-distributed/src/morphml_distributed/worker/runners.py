"""Where a worker's tasks run: in child processes, or in threads of its own process."""

from __future__ import annotations

import select
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol, TypeAlias

from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload
from morphml_core.work import explain
from morphml_distributed.worker.admission import Admission, Job
from morphml_distributed.worker.waker import Waker

Happened: TypeAlias = "tuple[Job, Report | Outcome | None]"
"""What has happened to a job: it has begun (None), reported, or ended."""


class Runner(Protocol):
    """Runs jobs as its admission lets them begin.  Only the thread that made it calls it."""

    @property
    def trouble(self) -> str:
        """Why nothing can be run here any more; empty where it can."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let the jobs begin, now or when there is room for them."""

    def withdraw(self, number: int) -> bool:
        """Take back the job of that trial; False where it has begun, or is not known."""

    def cancel(self, number: int) -> None:
        """End the running job of that trial at its next step; its outcome still comes."""

    def poll(self, timeout: float) -> Sequence[Happened]:
        """What has happened since the last call, in order; waits at most `timeout` seconds, or until the waker is woken.

        It clears the waker: what others have left is to be looked at after it.
        """

    def close(self, grace: float) -> None:
        """End everything; what runs has `grace` seconds for its next step."""


class Admitted(ABC):
    """A runner whose jobs wait for its admission, in one thread."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._happened: list[Happened] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let the jobs begin, now or when there is room for them."""
        for job in jobs:
            self._admission.add(job)
        self._begin()

    def withdraw(self, number: int) -> bool:
        """Take back the job of that trial; False where it has begun, or is not known."""
        return self._admission.withdraw(number) is not None

    @abstractmethod
    def _begin(self) -> None:
        """Let all jobs begin that can."""


class Processes(Admitted):
    """Each job in a child process, by core's executor `processes`."""

    def __init__(self, workload: Workload, admission: Admission, slots: int, waker: Waker, grace: float = 5.0) -> None:
        super().__init__(admission)
        self._executor = ProcessesExecutor(Config(slots, [], grace), workload)
        self._waker = waker

    @property
    def trouble(self) -> str:
        """Why no child process can be set up; empty where one can."""
        return self._executor.trouble

    def cancel(self, number: int) -> None:
        """End the running job of that trial at its next step, or kill its process when that takes too long."""
        if number in self._admission.running:
            self._executor.cancel(number)

    def poll(self, timeout: float) -> Sequence[Happened]:
        """What has happened since the last call, in order."""
        events = self._executor.poll(0.0 if self._happened else timeout, (self._waker.fileno(),))
        self._waker.clear()
        for found in events:
            job = self._admission.running[found.number]
            if isinstance(found, Outcome):
                self._admission.end(found.number)
                if found.cause is Cause.ERROR and self.trouble:  # no verdict on the trial, which never began
                    found = Outcome(found.number, found.attempt, None, Cause.LOST, found.message)
            self._happened.append((job, found))
        self._begin()
        happened, self._happened = self._happened, []
        return happened

    def close(self, grace: float) -> None:
        """End all child processes."""
        self._executor.close(grace)

    def _begin(self) -> None:
        while (job := self._admission.next()) is not None:
            self._happened.append((job, None))
            self._executor.submit(job.task, job.devices)


class Threads:
    """Jobs in threads of this process: for quick tasks.  A timeout is looked at after each step; there is no limit of memory.

    The threads stay, and take the next job themselves: no task waits for another thread to hand it over.
    """

    trouble = ""

    def __init__(self, workload: Workload, admission: Admission, slots: int, waker: Waker) -> None:
        self._workload = workload
        self._admission = admission
        self._slots = slots
        self._waker = waker
        self._change = threading.Condition()
        self._happened: deque[Happened] = deque()
        self._threads: list[threading.Thread] = []
        self._ready: deque[Job] = deque()
        self._idle = 0
        self._closed = False

    def submit(self, jobs: Sequence[Job]) -> None:
        """Let the jobs begin, now or when there is room for them."""
        with self._change:
            for job in jobs:
                self._admission.add(job)
            self._let_begin(0)

    def _let_begin(self, free: int) -> None:
        """Let jobs begin that can, and have a thread for each, of which so many are awake already."""
        while (job := self._admission.next()) is not None:
            self._ready.append(job)
            self._happened.append((job, None))
        wanted = len(self._ready) - free
        if wanted > 0:
            self._change.notify(wanted)
            for _ in range(min(wanted - self._idle, self._slots - len(self._threads))):
                thread = threading.Thread(target=self._serve, name=f"task-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                self._idle += 1
                thread.start()

    def withdraw(self, number: int) -> bool:
        """Take back the job of that trial; False where it has begun, or is not known."""
        with self._change:
            return self._admission.withdraw(number) is not None

    def cancel(self, number: int) -> None:
        """End the running job of that trial at its next step."""
        with self._change:
            if (job := self._admission.running.get(number)) is not None:
                job.cancelled = True

    def poll(self, timeout: float) -> Sequence[Happened]:
        """What has happened since the last call, in order."""
        if timeout > 0 and not self._happened:
            select.select([self._waker], [], [], timeout)
        self._waker.clear()
        return [self._happened.popleft() for _ in range(len(self._happened))]

    def close(self, grace: float) -> None:
        """End the threads; one that is amid a step is left behind after `grace` seconds."""
        with self._change:
            self._closed = True
            self._admission.waiting.clear()
            for job in self._admission.running.values():
                job.cancelled = True
            self._change.notify_all()
        until = perf_counter() + grace
        for thread in self._threads:
            thread.join(max(0.0, until - perf_counter()))

    def _serve(self) -> None:
        with self._change:
            self._idle -= 1
            job = self._take()
        while job is not None:
            self._waker.wake()
            outcome = self._run(job)
            with self._change:
                self._admission.end(job.task.number)
                self._happened.append((job, outcome))
                self._let_begin(1)
                self._waker.wake()
                job = self._take()

    def _take(self) -> Job | None:
        """The next job that may begin, waiting for it; None when there will be none."""
        while not self._closed:
            if self._ready:
                return self._ready.popleft()
            self._idle += 1
            self._change.wait()
            self._idle -= 1
        return None

    def _run(self, job: Job) -> Outcome:
        task, started = job.task, perf_counter()
        try:
            steps = self._workload.run(task)
            while True:
                try:
                    report = next(steps)
                except StopIteration as end:
                    outcome: Outcome = end.value
                    return outcome
                self._happened.append((job, report))
                self._waker.wake()
                spent = perf_counter() - started
                if job.cancelled or (task.timeout is not None and spent > task.timeout):
                    steps.close()
                    return Outcome(task.number, task.attempt, duration=spent) if job.cancelled else _late(task, spent)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # a workload should have made an outcome of it
            cause, message = explain(error)
            return Outcome(task.number, task.attempt, None, cause, message, perf_counter() - started)


def _late(task: Task, spent: float) -> Outcome:
    message = f"the evaluation took {spent:.3g} s and may take {task.timeout:g} s"
    return Outcome(task.number, task.attempt, None, Cause.TIMEOUT, message, spent)
