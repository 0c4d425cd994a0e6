"""Executor `processes`: evaluations run in processes of their own, so that none can harm another, or the search.

A pool of our own, because the libraries for it do not do what is promised here.  With pebble 5.2 the death of an idle worker
ends the whole pool; its pipes and locks outlive a killed worker, so that a half-written report would spoil all that follow; it
always kills to cancel; and it has no way for a running task to report, or for a process to have GPUs of its own.  loky ends the
whole pool when one worker dies, and cannot stop a running task.  What is left is one socket and one process a slot, and `wait`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from time import monotonic
from typing import IO, Any

import attrs
import cloudpickle

from morphml_core.errors import MorphMLError
from morphml_core.executor._gpus import Devices, Gpus, device_ids
from morphml_core.executor._messages import Broken, Ready
from morphml_core.executor._worker import Worker
from morphml_core.plugins.component import executor
from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.protocols import Workload

_FAILED_STARTS = 3
_CLOSING = 3.0
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def _check_gpus(instance: object, attribute: object, value: Any) -> None:
    device_ids(value, {})


@attrs.frozen
class Config:
    """How many processes, and which GPUs they share.

    `workers`: processes; as many as there are CPU cores where it is not given.  `gpus`: how many GPUs (2), or a list of device ids
    ([0, 3]); none where it is not given, and each process then sees what this one sees.  A task takes as much of a GPU as
    its `gpus` says, an equal share where it says nothing.  `grace`: seconds that a cancelled task has to end at its next step before
    its process is killed.
    """

    workers: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    gpus: Any = attrs.field(default=0, validator=_check_gpus)
    grace: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))


class ProcessesExecutor:
    """Runs each task in one of several processes, each with one task at a time, started when needed and again when it died.

    A timeout of a task counts from when a process begins it; the memory limit of a task is the resident memory of its process,
    interpreter and libraries included.  A process that cannot build the workload is not started again; where none can, every task
    fails with the reason.
    """

    def __init__(self, config: Config, workload: Workload) -> None:
        if os.name != "posix":
            raise MorphMLError(
                "the executor 'processes' needs Linux or macOS, but this is another system; use the executor 'inline'"
            )
        try:
            self._gpus = Gpus(device_ids(config.gpus, os.environ))
        except ValueError as error:
            raise MorphMLError(f"the executor 'processes' cannot be set up: {error}") from None
        self._grace = config.grace
        self._blob = _blob(packed(workload))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._places: list[Worker | None] = [None] * (config.workers or cores)
        self._failed_starts = [0] * len(self._places)
        self._threads = max(1, cores // len(self._places))
        self._queue: deque[Task] = deque()
        self._given: dict[int, Devices] = {}
        self._events: list[Report | Outcome] = []
        self._share = min(1.0, len(self._gpus.ids) / len(self._places))
        self._need = self._share
        self._trouble = ""
        self._closed = False

    @property
    def slots(self) -> int:
        """How many tasks can run at once: the processes that can be started, and fit on the GPUs."""
        return max(1, self._gpus.room(self._need, sum(self._usable(place) for place in range(len(self._places)))))

    @property
    def trouble(self) -> str:
        """Why no process can be set up any more; empty where one can."""
        return "" if any(self._usable(place) for place in range(len(self._places))) else self._trouble

    def submit(self, task: Task, devices: Devices | None = None) -> None:
        """Start, or queue, one task.  Raises `RuntimeError` after `close`.

        `devices`: the GPUs that the task may use, by a caller that keeps account of them itself; the task then sees these and no
        others, and a process that is started for it has as many threads as the task has CPU cores.
        """
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        if devices is not None:
            self._given[task.number] = devices
        self._need = self._need_of(task)
        if self._need > len(self._gpus.ids):
            message = f"the trial needs {self._need:g} GPUs, but the executor has {len(self._gpus.ids)}; see its option 'gpus'"
            self._events.append(Outcome(task.number, task.attempt, None, Cause.ERROR, message))
            return
        self._queue.append(task)
        self._dispatch()

    def poll(self, timeout: float = 0.0, also: Sequence[Any] = ()) -> Sequence[Report | Outcome]:
        """What has happened since the last call, in order; waits at most `timeout` seconds for the first of it.

        It also comes back when one of `also` (files, or numbers of files) can be read.
        """
        until = monotonic() + timeout
        while True:
            left = max(0.0, until - monotonic())
            waits = not self._events and (also or self._live())
            woken = self._look(left if waits else 0.0, also)
            if self._events or woken or left <= 0 or not (also or self._live()):
                break
        events, self._events = self._events, []
        return events

    def cancel(self, number: int) -> None:
        """End the task of that trial at its next step, or kill its process when that takes too long."""
        for task in [task for task in self._queue if task.number == number]:
            self._queue.remove(task)
            self._tell(Outcome(task.number, task.attempt))
        for worker in self._live():
            if worker.task is not None and worker.task.number == number:
                self._cancel(worker, self._grace)

    def close(self, grace: float | None = None) -> None:
        """End everything within a few seconds; `poll` then gives an outcome for what was still waiting or running.

        `grace`: seconds that running tasks have, in place of the configuration's; with 0 all processes are killed at once.
        """
        if self._closed:
            return
        self._closed = True
        grace = min(self._grace, _CLOSING) if grace is None else grace
        self._events.extend(Outcome(task.number, task.attempt) for task in self._queue)
        self._queue.clear()
        for worker in self._live():
            if worker.task is not None:
                self._cancel(worker, grace)
        until = monotonic() + _CLOSING + max(grace, _CLOSING)
        while any(worker.task is not None for worker in self._live()) and monotonic() < until:
            self._look(until - monotonic())
        self._dismiss(at_once=grace <= 0)
        self._blob.close()

    # what goes to the processes ---------------------------------------------------------------------

    def _dispatch(self) -> None:
        while self._queue and not self._closed:
            if not any(self._usable(place) for place in range(len(self._places))):
                message = f"no worker process can be set up: {self._trouble}"
                while self._queue:
                    task = self._queue.popleft()
                    self._tell(Outcome(task.number, task.attempt, None, Cause.ERROR, message))
            elif self._place(self._queue[0]):
                self._queue.popleft()
            else:
                return

    def _place(self, task: Task) -> bool:
        """Give the task to a process: an idle one that sees the right GPUs, a new one, or one in place of an idle one."""
        free = [
            place
            for place, worker in enumerate(self._places)
            if self._usable(place) and (worker is None or worker.idle)
        ]
        for place in free:
            worker = self._places[place]
            if worker is not None and self._sees(worker, task):
                self._occupy(worker, task)
                worker.run(task)
                return True
        devices = self._given.get(task.number)
        devices = self._gpus.choose(self._need_of(task)) if devices is None else devices
        if devices is None or not free:
            return False
        place = min(free, key=lambda place: self._places[place] is not None)
        self._start(place, devices, task)
        worker = self._places[place]
        if worker is not None:
            self._occupy(worker, task)
            worker.task = task
        return worker is not None

    def _start(self, place: int, devices: Devices, task: Task) -> None:
        if (former := self._places[place]) is not None:
            former.bury()
            self._places[place] = None
        given = task.number in self._given
        environment = _environment(max(1, int(task.resources.cpus)) if given else self._threads)
        if self._gpus.ids or given:
            environment |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(devices)}
        try:
            self._places[place] = Worker(f"process-{place}", devices, self._blob.fileno(), environment)
        except OSError as error:
            self._failed_starts[place] = _FAILED_STARTS
            self._trouble = f"{error.strerror or error}"

    def _cancel(self, worker: Worker, grace: float) -> None:
        assert worker.task is not None
        if worker.ready:
            worker.cancel(grace)
        else:
            self._finish(worker, Outcome(worker.task.number, worker.task.attempt))

    # what comes from them ---------------------------------------------------------------------------

    def _look(self, limit: float, also: Sequence[Any] = ()) -> bool:
        """Wait, at most `limit` seconds, until a process says something, ends, or has to be killed; and see to that.

        Returns whether one of `also` can be read, which ends the waiting too.
        """
        live = self._live()
        deadlines = [worker.deadline for worker in live if worker.deadline is not None]
        limit = max(0.0, min([limit, *(deadline - monotonic() for deadline in deadlines)]))
        owners = {watched: worker for worker in live for watched in worker.watched}
        ready = wait([*owners, *also], limit)
        for worker in {id(owners[found]): owners[found] for found in ready if found in owners}.values():
            over = worker.ended()
            if self._hear(worker) or over:
                self._bury(worker)
        for worker in self._live():
            if worker.deadline is not None and monotonic() >= worker.deadline:
                worker.expire()
        self._dispatch()
        return any(found in also for found in ready)

    def _hear(self, worker: Worker) -> bool:
        """Take in all that a process has said; returns whether it has hung up."""
        try:
            while worker.connection.poll():
                self._take(worker, worker.connection.recv())
        except (EOFError, OSError):
            return True
        return False

    def _take(self, worker: Worker, message: object) -> None:
        if isinstance(message, Report):
            self._events.append(message)
        elif isinstance(message, Outcome):
            self._finish(worker, attrs.evolve(message, worker=worker.name))
        elif isinstance(message, Ready):
            self._failed_starts[self._places.index(worker)] = 0
            worker.ready = True
            if worker.task is not None:
                worker.run(worker.task)
        elif isinstance(message, Broken):
            self._failed_starts[self._places.index(worker)] = _FAILED_STARTS
            self._trouble = message.message

    def _finish(self, worker: Worker, outcome: Outcome) -> None:
        if worker.task is None:
            return  # said twice, by a copy that the evaluation forked
        self._vacate(worker, worker.task)
        worker.done()
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self._given.pop(outcome.number, None)
        self._events.append(outcome)

    def _bury(self, worker: Worker) -> None:
        """A process is over: its task has its outcome, or, when it never came to begin it, waits for another process."""
        worker.bury()
        place = self._places.index(worker)
        self._places[place] = None
        if not worker.ready:
            self._failed_starts[place] += 1
            self._trouble = self._trouble or f"it {worker.fate()} before it was ready"
            if worker.task is not None:
                self._vacate(worker, worker.task)
                self._queue.appendleft(worker.task)
        elif worker.task is not None:
            self._finish(worker, worker.epitaph())

    # odds and ends ----------------------------------------------------------------------------------

    def _live(self) -> list[Worker]:
        return [worker for worker in self._places if worker is not None]

    def _usable(self, place: int) -> bool:
        return self._failed_starts[place] < _FAILED_STARTS

    def _need_of(self, task: Task) -> float:
        return 0.0 if task.number in self._given else task.resources.gpus or self._share

    def _sees(self, worker: Worker, task: Task) -> bool:
        given = self._given.get(task.number)
        return self._gpus.fits(worker.devices, self._need_of(task)) if given is None else worker.devices == given

    def _occupy(self, worker: Worker, task: Task) -> None:
        if task.number not in self._given:
            self._gpus.take(worker.devices, self._need_of(task))

    def _vacate(self, worker: Worker, task: Task) -> None:
        if task.number not in self._given:
            self._gpus.release(worker.devices, self._need_of(task))

    def _dismiss(self, at_once: bool = False) -> None:
        until = monotonic() + _CLOSING
        for worker in self._live():
            if worker.ready and not at_once:
                worker.leave()
            else:
                worker.kill()
        while (live := [worker for worker in self._live() if not worker.ended()]) and monotonic() < until:
            wait([watched for worker in live for watched in worker.watched[-1:]], max(0.0, until - monotonic()))
        for worker in self._live():
            worker.bury()
            if worker.task is not None:
                self._finish(worker, worker.epitaph())
        self._places = [None] * len(self._places)


def packed(workload: Workload) -> bytes:
    """The workload pickled, as its specification where it has one.  Raises `MorphMLError`."""
    try:
        content: bytes = cloudpickle.dumps(workload)
    except Exception as error:  # anything that user code raises while it is pickled
        raise MorphMLError(
            f"the evaluation cannot be sent to another process: {type(error).__name__}: {error}; "
            "use the executor 'inline', or an evaluator and a space that can be pickled"
        ) from error
    return content


def _blob(content: bytes) -> IO[bytes]:
    """A file without a name that holds the pickled workload: each process reads it when it starts."""
    try:
        blob = tempfile.TemporaryFile(prefix="morphml-")  # noqa: SIM115 - open as long as the executor
    except OSError as error:
        raise MorphMLError(f"no temporary file can be made for the worker processes: {error.strerror}") from error
    try:
        blob.write(content)
        blob.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            blob.close()
        raise MorphMLError(
            f"the temporary file for the worker processes cannot be written: {error.strerror}"
        ) from error
    return blob


def _environment(threads: int) -> dict[str, str]:
    # A process's share of the cores, unless the user has said how many threads there are to be.
    return {**dict.fromkeys(_THREADS, str(threads)), **os.environ}


component = executor(Config, ProcessesExecutor)
