"""A worker process of the executor `processes`: builds the workload once, then runs the tasks that it is sent."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Generator
from multiprocessing.connection import Connection
from time import perf_counter

from morphml_core.errors import MorphMLError
from morphml_core.executor._messages import EXIT_ORPHAN, Broken, Cancel, Leave, Ready
from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload

_PR_SET_PDEATHSIG = 1


def main(channel: int, blob: int, parent: int, die_with_parent: bool) -> None:
    """Serve tasks over the socket `channel` until told to leave; the pickled workload is the file `blob`.

    `parent` is the process id of the executor.  With `die_with_parent` the system kills this process when the thread that started
    it ends, which must then be the main thread.
    """
    os.set_inheritable(channel, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    if die_with_parent:
        _die_with_parent(parent)
    threading.Thread(target=_watch_parent, args=(channel,), daemon=True).start()
    with Connection(channel) as connection:
        workload = _load(connection, blob)
        if workload is not None:
            with contextlib.suppress(EOFError, OSError):  # the parent is gone: there is nobody to tell
                _serve(connection, workload)


def _die_with_parent(parent: int) -> None:
    # Also ends a worker whose code holds the interpreter lock for good, where _watch_parent cannot run.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(EXIT_ORPHAN)


def _watch_parent(channel: int) -> None:
    poller = select.poll()
    poller.register(channel, 0)  # no wish but the hang-up, which is always told
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poller.poll()):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)  # this process leads a group of its own: what it started goes with it


def _load(connection: Connection, blob: int) -> Workload | None:
    try:
        with mmap.mmap(blob, 0, access=mmap.ACCESS_READ) as content:
            workload: Workload = pickle.loads(content)
    except (Exception, SystemExit) as error:
        connection.send(Broken(_sentence(error)))
        return None
    os.close(blob)
    connection.send(Ready())
    return workload


def _sentence(error: BaseException) -> str:
    named = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return str(error) if isinstance(error, MorphMLError) else named


def _serve(connection: Connection, workload: Workload) -> None:
    from morphml_core.executor._memory import MemoryGuard

    guard = MemoryGuard()
    while True:
        message = connection.recv()
        if isinstance(message, Leave):
            return
        if isinstance(message, Task):
            with guard.limit(message.resources.memory):
                outcome = _run(connection, workload, message)
            connection.send(outcome)


def _run(connection: Connection, workload: Workload, task: Task) -> Outcome:
    started = perf_counter()
    try:
        steps = workload.run(task)
        while True:
            try:
                report = next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if _cancelled(connection, report):
                return _cancel(steps, task, started)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # Ctrl-C is ignored here, so it is the evaluation's own
        # A workload should have made an outcome of it; this one did not.
        duration = perf_counter() - started
        return Outcome(task.number, task.attempt, None, Cause.ERROR, _sentence(error), duration)


def _cancelled(connection: Connection, report: Report) -> bool:
    connection.send(report)
    while connection.poll():
        message = connection.recv()
        if isinstance(message, Cancel) and (message.number, message.attempt) == (report.number, report.attempt):
            return True
    return False


def _cancel(steps: Generator[Report, None, Outcome], task: Task, started: float) -> Outcome:
    steps.close()
    return Outcome(task.number, task.attempt, duration=perf_counter() - started)
