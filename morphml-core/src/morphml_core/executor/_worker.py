"""One worker process, as the executor `processes` sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from morphml_core.executor._gpus import Devices
from morphml_core.executor._messages import EXIT_MEMORY, Cancel, Leave
from morphml_core.problem import Cause, Outcome, Task

# The parent's search path, so that what the parent can import, the worker can.
_PROGRAM = """\
import sys
sys.path[:] = {path!r}
from morphml_core.executor._child import main
main({channel}, {blob}, {parent}, {die})
"""


class Worker:
    """A process with a socket to it, and at most one task: reserved for it while it starts, then running.

    `deadline` (monotonic seconds) is when the process is to be killed for what its task did.
    """

    def __init__(self, name: str, devices: Devices, blob: int, environment: Mapping[str, str]) -> None:
        self.name = name
        self.devices = devices
        self.ready = False
        self.task: Task | None = None
        self.deadline: float | None = None
        self._started = 0.0
        self._cancelled = False
        self._expired = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _launch(theirs.fileno(), blob, environment)
            except BaseException:
                ours.close()
                raise
        self.connection = Connection(ours.detach())
        self._pidfd = _pidfd(self._process.pid)

    @property
    def watched(self) -> list[Any]:
        """What becomes readable when the process says something or ends."""
        return [self.connection] if self._pidfd is None else [self.connection, self._pidfd]

    @property
    def idle(self) -> bool:
        """Whether it could run a task at once."""
        return self.ready and self.task is None and not self._expired

    def run(self, task: Task) -> None:
        """Hand over a task; the process must be ready."""
        self.task = task
        self._started = monotonic()
        self._cancelled = False
        self.deadline = None if task.timeout is None else self._started + task.timeout
        self._send(task)

    def done(self) -> None:
        """Its task has its outcome."""
        self.task = self.deadline = None

    def cancel(self, grace: float) -> None:
        """Ask the running task to end at its next step, and give it `grace` seconds for that."""
        assert self.task is not None
        if not self._cancelled:
            self._cancelled = True
            self.deadline = monotonic() + grace
            self._send(Cancel(self.task.number, self.task.attempt))

    def leave(self) -> None:
        """Ask an idle process to end."""
        self._send(Leave())

    def expire(self) -> None:
        """Kill the process, because its deadline has passed."""
        self._expired = True
        self.deadline = None
        self.kill()

    def kill(self) -> None:
        """End the process, and those that it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    def bury(self) -> None:
        """Kill what is left of the process and release everything."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that the system cannot end now is left behind
            self._process.wait(timeout=1.0)
        self.connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def epitaph(self) -> Outcome:
        """The outcome of its task, now that the process is over without having told one."""
        assert self.task is not None
        cause, message = self._verdict(self.task)
        duration = monotonic() - self._started
        return Outcome(self.task.number, self.task.attempt, None, cause, message, duration, self.name)

    def _verdict(self, task: Task) -> tuple[Cause | None, str]:
        if self._cancelled:
            return None, ""
        if self._expired:
            return Cause.TIMEOUT, f"the evaluation took longer than the {task.timeout:g} s that it may take"
        if self._process.returncode == EXIT_MEMORY and task.resources.memory is not None:
            limit = f"{task.resources.memory / 2**20:,.0f} MiB"
            return Cause.OUT_OF_MEMORY, f"the evaluation needed more than the {limit} of memory that it may have"
        return Cause.LOST, f"the worker process {self.fate()}"

    def fate(self) -> str:
        """How the process ended, in words."""
        code = self._process.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        return f"was killed by signal {-code} ({name})"

    def _send(self, message: object) -> None:
        # A process that has died cannot be told; the executor hears of its end on its next look.
        with contextlib.suppress(OSError):
            self.connection.send(message)


def _launch(channel: int, blob: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    program = _PROGRAM.format(
        path=sys.path, channel=channel, blob=blob, parent=os.getpid(),
        die=threading.current_thread() is threading.main_thread(),
    )  # fmt: skip
    # A process group of its own: Ctrl-C in the terminal does not reach it, and killing it takes along what it started.
    # Its standard output goes to ours for errors, because the parent's may be JSON that something reads.
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environment, pass_fds=(channel, blob), process_group=0,
        stdin=subprocess.DEVNULL, stdout=2,
    )  # fmt: skip


def _pidfd(pid: int) -> int | None:
    # Readable when the process ends, also where a process that it started still holds the socket.
    try:
        return os.pidfd_open(pid) if sys.platform == "linux" else None
    except OSError:
        return None
