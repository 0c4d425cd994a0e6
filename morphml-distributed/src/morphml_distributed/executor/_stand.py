"""What runs in a process of an engine (Ray, Dask): each evaluation in a child process of its own, by core's executor `processes`.

The engine's process stays alive whatever the evaluation does, and what an engine does not promise is there: a timeout that also ends
a hanging evaluation, a limit of memory, cancellation at the next report and by force.  A child ends with the engine's process.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import attrs

from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.problem import Cause, Outcome, Report, Task

Tell = Callable[[Sequence[Report]], bool]
"""Hands over reports, maybe none, and says whether the task is cancelled."""


class Parcel:
    """A pickled workload that is opened in the child process, and not in that of the engine."""

    specification: Mapping[str, Any] | None = None

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._content,)

    def run(self, task: Task) -> Generator[Report, None, Outcome]:
        """Not here: it is opened in the child process."""
        raise RuntimeError("a parcelled workload runs in a child process only")

    def duration(self, task: Task) -> float | None:
        """Not known here."""
        return None

    def epochs(self, task: Task) -> int | None:
        """Not known here."""
        return None


class Stands:
    """The idle child processes of this process, for one search at a time: those of another are ended when one is taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[str, ProcessesExecutor]] = []

    def take(self, key: str, content: bytes, grace: float) -> ProcessesExecutor:
        """A child process of the search `key`: an idle one, or a new one."""
        with self._lock:
            mine = [executor for owner, executor in self._idle if owner == key]
            others = [executor for owner, executor in self._idle if owner != key]
            self._idle = [(key, executor) for executor in mine[:-1]]
        for executor in others:
            executor.close(0.0)
        return mine[-1] if mine else ProcessesExecutor(Config(1, [], grace), Parcel(content))

    def give(self, key: str, executor: ProcessesExecutor) -> None:
        """The child process is idle again."""
        with self._lock:
            self._idle.append((key, executor))

    def clear(self, key: str) -> None:
        """End the idle child processes of that search."""
        with self._lock:
            ended = [executor for owner, executor in self._idle if owner == key]
            self._idle = [(owner, executor) for owner, executor in self._idle if owner != key]
        for executor in ended:
            executor.close(0.0)


STANDS = Stands()


def place() -> str:
    """The name of this process in outcomes and messages: HOST/PID."""
    return f"{socket.gethostname()}/{os.getpid()}"


@attrs.frozen
class Job:
    """One task of the search `key`, as it is sent to a process of the engine.

    `grace`: seconds that it has, once cancelled, until its child process is killed.
    """

    key: str
    task: Task
    grace: float


def evaluate(
    job: Job, content: bytes, devices: tuple[str, ...], tell: Tell, beat: float, also: Sequence[Any] = ()
) -> Outcome:
    """Run the task in a child process that sees the GPUs `devices`; looks for a cancellation every `beat` seconds, or when `also` can be read."""
    executor, kept = STANDS.take(job.key, content, job.grace), False
    try:
        executor.submit(job.task, devices)
        outcome = _follow(executor, job.task, tell, beat, also)
        if executor.trouble and outcome.cause is Cause.ERROR:
            # No verdict on the trial, which never began: another node may have what is missing here.
            return attrs.evolve(
                outcome, cause=Cause.LOST, message=f"{place()} cannot run it: {outcome.message}", worker=place()
            )
        # An idle child would hold on to memory of a GPU that the engine gives to another process.
        kept = not devices
    finally:
        if kept:
            STANDS.give(job.key, executor)
        else:
            executor.close(0.0)
    return attrs.evolve(outcome, worker=place())


def _follow(executor: ProcessesExecutor, task: Task, tell: Tell, beat: float, also: Sequence[Any]) -> Outcome:
    cancelled = False
    while True:
        found = executor.poll(beat, () if cancelled else also)
        reports = [event for event in found if isinstance(event, Report)]
        ended = [event for event in found if isinstance(event, Outcome)]
        if (reports or not ended) and tell(reports) and not cancelled:
            cancelled = True
            executor.cancel(task.number)
        if ended:
            return ended[0]
