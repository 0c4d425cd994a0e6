"""Executor `inline`: evaluations run in the calling process, one at a time, one step at each `poll`."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Generator, Sequence
from time import perf_counter

import attrs

from morphml_core.plugins.component import executor
from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload


@attrs.frozen
class Config:
    """No options: there is one slot."""


class InlineExecutor:
    """Runs one task at a time in the process and thread of the caller.

    `poll` goes on with the running task until its next report, or its end, and ignores its timeout of waiting: so the caller sees
    each report, and may cancel, before the next step begins.  A task's own timeout is looked at after each step, counts only the
    time inside the evaluation, and cannot interrupt a step; nor is there a memory limit: use `processes` for both.
    """

    def __init__(self, config: Config, workload: Workload) -> None:
        self._workload = workload
        self._queue: deque[Task] = deque()
        self._ended: deque[Outcome] = deque()
        self._task: Task | None = None
        self._steps: Generator[Report, None, Outcome] | None = None
        self._spent = 0.0
        self._folder = ""
        self._closed = False

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, task: Task) -> None:
        """Queue one task; `poll` runs it.  Raises `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        self._queue.append(task)

    def poll(self, timeout: float = 0.0) -> Sequence[Report | Outcome]:
        """The next report or outcome, after running the current task until then; empty when there is no task."""
        if self._ended:
            return [self._ended.popleft()]
        if self._task is None:
            if not self._queue:
                return []
            self._begin(self._queue.popleft())
        return [self._step()]

    def cancel(self, number: int) -> None:
        """End the task of that trial now; its outcome comes with the next `poll`."""
        for task in [task for task in self._queue if task.number == number]:
            self._queue.remove(task)
            self._ended.append(Outcome(task.number, task.attempt))
        if self._task is not None and self._task.number == number:
            self._cancel_running()

    def close(self) -> None:
        """End everything; `poll` then gives an outcome for what was still waiting or running."""
        self._closed = True
        if self._task is not None:
            self._cancel_running()
        self._ended.extend(Outcome(task.number, task.attempt) for task in self._queue)
        self._queue.clear()

    def _begin(self, task: Task) -> None:
        self._task = task
        self._folder = _working_directory()
        self._steps = self._workload.run(task)
        self._spent = 0.0

    def _step(self) -> Report | Outcome:
        assert self._task is not None
        assert self._steps is not None
        task, since = self._task, perf_counter()
        found: Report | Outcome
        try:
            found = next(self._steps)
        except StopIteration as end:
            found = end.value
            self._task = self._steps = None
            self._come_back()
        except BaseException:
            # Ctrl-C, mostly: the caller hears of it, and the task still gets its outcome.
            self._task = self._steps = None
            self._ended.append(Outcome(task.number, task.attempt, duration=self._spent + perf_counter() - since))
            raise
        self._spent += perf_counter() - since
        return found if task.timeout is None or self._spent <= task.timeout else self._time_out(task)

    def _time_out(self, task: Task) -> Outcome:
        self._end_running()
        message = f"the evaluation took {self._spent:.3g} s and may take {task.timeout:g} s"
        return Outcome(task.number, task.attempt, cause=Cause.TIMEOUT, message=message, duration=self._spent)

    def _cancel_running(self) -> None:
        assert self._task is not None
        self._ended.append(Outcome(self._task.number, self._task.attempt, duration=self._spent))
        self._end_running()

    def _end_running(self) -> None:
        steps, self._task, self._steps = self._steps, None, None
        if steps is not None:
            steps.close()
        self._come_back()

    def _come_back(self) -> None:
        # An evaluation that changes the working directory must not take the search along, whose paths are relative to it.
        with contextlib.suppress(OSError):
            if self._folder and self._folder != os.getcwd():
                os.chdir(self._folder)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # somebody removed it
        return ""


component = executor(Config, InlineExecutor)
