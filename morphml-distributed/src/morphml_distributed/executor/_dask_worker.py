"""What the executor `dask` has in the processes of Dask's workers."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

import distributed
from morphml_core.executor._gpus import Devices, Gpus, device_ids
from morphml_core.problem import Cause, Outcome, Report
from morphml_distributed.executor._stand import STANDS, Job, evaluate
from morphml_distributed.worker.waker import Waker

_BEAT = 60.0


class _Searches:
    """The searches that this process takes part in, and what runs here."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.contents: dict[str, bytes] = {}
        self.running: dict[tuple[str, int, int], Waker] = {}
        self.cancelled: set[tuple[str, int, int]] = set()
        self.gpus: Gpus | None = None


_SEARCHES = _Searches()


class Search(distributed.WorkerPlugin):
    """Takes the workload to each worker, also to one that joins later, and leaves nothing behind at the end."""

    def __init__(self, key: str, content: bytes) -> None:
        self.key = key
        self.content = content

    def setup(self, worker: Any) -> None:
        """A worker takes part in the search."""
        _SEARCHES.contents[self.key] = self.content

    def teardown(self, worker: Any) -> None:
        """The search is over, or the worker ends."""
        _SEARCHES.contents.pop(self.key, None)
        for running in [each for each in list(_SEARCHES.running) if each[0] == self.key]:
            cancel_there(*running)
        STANDS.clear(self.key)


def cancel_there(key: str, number: int, attempt: int) -> None:
    """End that task, in the process that runs it."""
    with _SEARCHES.lock:
        if (waker := _SEARCHES.running.get((key, number, attempt))) is not None:
            _SEARCHES.cancelled.add((key, number, attempt))
            waker.wake()


def run_trial(job: Job) -> None:
    """The task, in a thread of a Dask worker: what happens is told as events, in order."""
    worker = distributed.get_worker()
    task = job.task
    content = _SEARCHES.contents.get(job.key)
    if content is None:
        raise RuntimeError("this worker takes no part in the search")

    def tell(reports: Sequence[Report]) -> bool:
        for report in reports:
            worker.log_event(job.key, ("report", report.number, report.attempt, report.step, dict(report.metrics)))
        return (job.key, task.number, task.attempt) in _SEARCHES.cancelled

    with _registered((job.key, task.number, task.attempt)) as waker:
        worker.log_event(job.key, ("began", task.number, task.attempt, worker.address))
        with _devices(worker, task.resources.gpus) as devices:
            if devices is None:
                message = (
                    f"the worker {worker.address} has fewer than the {task.resources.gpus:g} GPUs that the trial needs"
                )
                outcome = Outcome(task.number, task.attempt, None, Cause.LOST, message)
            else:
                outcome = evaluate(job, content, devices, tell, _BEAT, (waker.fileno(),))
    worker.log_event(job.key, ("outcome", task.number, task.attempt, _fields(outcome)))


@contextlib.contextmanager
def _registered(name: tuple[str, int, int]) -> Iterator[Waker]:
    waker = Waker()
    with _SEARCHES.lock:
        _SEARCHES.running[name] = waker
    try:
        yield waker
    finally:
        with _SEARCHES.lock:
            del _SEARCHES.running[name]
            _SEARCHES.cancelled.discard(name)
        waker.close()


@contextlib.contextmanager
def _devices(worker: Any, need: float) -> Iterator[Devices | None]:
    """GPUs for a task, of those that this process sees; none where it needs none, None where there are too few."""
    with _SEARCHES.lock:
        if _SEARCHES.gpus is None:
            _SEARCHES.gpus = Gpus(_visible(worker))
        gpus = _SEARCHES.gpus
        devices = gpus.choose(need) if need else ()
        if devices:
            gpus.take(devices, need)
    try:
        yield devices
    finally:
        if devices:
            with _SEARCHES.lock:
                gpus.release(devices, need)


def _visible(worker: Any) -> Devices:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    announced = math.ceil(worker.state.total_resources.get("GPU", 0.0))
    count = announced if shown is None else len([part for part in shown.split(",") if part.strip() not in ("", "-1")])
    return device_ids(count, os.environ)


def _fields(outcome: Outcome) -> dict[str, Any]:
    """The fields of an outcome beside its number and attempt, as plain values."""
    fields = attrs.asdict(outcome, recurse=False)
    del fields["number"], fields["attempt"]
    metrics, cause = outcome.metrics, outcome.cause
    return {
        **fields,
        "metrics": None if metrics is None else dict(metrics),
        "cause": None if cause is None else cause.value,
    }
