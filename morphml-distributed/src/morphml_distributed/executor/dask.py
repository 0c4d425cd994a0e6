"""Executor `dask`: evaluations run on a Dask cluster, each as a task with its resources.

What is Dask's and what is ours: Dask's scheduler finds a worker with a free thread and room; the evaluation runs in a child of the worker's
process (core's executor `processes`), which gives it a timeout, a limit of memory, and an end at its next report or by force.  A task
whose worker is gone is not left to Dask to be run again: the trial is `lost`, and goes on from its checkpoint.

Resources: a task takes one thread of a worker.  Dask knows other resources only where its workers announce them (`dask worker --resources
"GPU=2,CPU=16,MEMORY=64e9,a100=1"`): `gpus` are GPU, a label is a resource of that name; `cpus` are CPU and `memory` is MEMORY where
any worker announces these, and are else not looked at.  `memory` is also our limit for the child process; a worker's own limit
(`--memory-limit`) does not see the child.  A task sees the GPUs that are free of those that its worker sees, and no others.
`gpu_memory` is not known to Dask: ask for a share of a GPU instead.

The workload goes to the workers pickled, as everything does in Dask: as its specification where the configuration has one, else with its
objects.  Each worker needs the same distributions, and reaches the folder of the configuration and the data under the same path.
Artifacts must be in a store that all workers reach; on one machine a folder will do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any

import attrs

import distributed
from morphml_core.errors import MorphMLError
from morphml_core.plugins.component import executor
from morphml_core.problem import Cause, Outcome, Report, Resources
from morphml_core.protocols import Workload
from morphml_distributed.executor._dask_worker import Search, cancel_there, run_trial
from morphml_distributed.executor._engine import Engine, first_line
from morphml_distributed.executor._flights import LABEL, Flight, Remembered, room
from morphml_distributed.executor._stand import Job

_DASK: Any = distributed  # its types are partly there
_LOG = logging.getLogger(__name__)
_CLOSING = 3.0
_ANSWER = 10.0


@attrs.frozen
class Config:
    """Which cluster, and how much of it.

    `scheduler`: its address (tcp://HOST:PORT), or `local`: a cluster of our own on this machine.  `workers`: processes of a cluster
    of our own; as many as there are CPU cores where it is not given.  `slots`: at most so many trials at once; as many as the workers
    have room for where it is not given.  `grace`: seconds that a cancelled task has to end at its next step before its process is killed.
    `patience`: seconds until a trial fails that no worker could ever run.
    """

    scheduler: str = "local"
    workers: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    slots: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    grace: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    patience: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))


class DaskExecutor(Engine):
    """Runs each task as a task of Dask."""

    machine = "worker"
    retry = 2.0

    def __init__(self, config: Config, workload: Workload) -> None:
        super().__init__(config, workload)
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._client: Any = None
        self._local: Any = None
        self._known = Remembered(self._ask)
        self._key = ""
        self._connect()

    # the cluster ------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Join the cluster and set up what a search needs there.  Raises `MorphMLError`."""
        self._key = uuid.uuid4().hex
        try:
            if self._config.scheduler == "local":
                self._local = _local_cluster(self._config)
            self._client = _DASK.Client(
                self._local or self._config.scheduler, timeout=_ANSWER, set_as_default=False, name="morphml"
            )
            key, inbox = self._key, self._inbox
            self._client.subscribe_topic(key, lambda event: inbox.put((key, *event[1])))
            self._client.subscribe_topic("all", lambda event: _removed(key, inbox, event[1]))
            self._client.register_plugin(Search(key, self._content), name=f"morphml-{key}")
            self._known = Remembered(self._ask)
            hosts = {worker["host"] for worker in self._workers()}
        except Exception as error:  # whatever Dask raises when there is no cluster, or its workers lack what is needed
            self._disconnect()
            raise MorphMLError(f"{self._cluster} cannot be used: {first_line(error)}") from error
        self._warn_of_folders(len(hosts))

    @property
    def _cluster(self) -> str:
        return f"the Dask cluster at '{self._config.scheduler}'"

    def _workers(self) -> list[Mapping[str, Any]]:
        found = self._client.sync(self._client.scheduler.identity, callback_timeout=_ANSWER)
        return list(found["workers"].values())

    def _machines(self) -> list[dict[str, float]]:
        return self._known()

    def _ask(self) -> list[dict[str, float]]:
        return [{**worker["resources"], _THREADS: float(worker["nthreads"])} for worker in self._workers()]

    def _asked(self, resources: Resources) -> dict[str, float]:
        """The resources of a task by the names that the workers announce."""
        announced = {name for machine in self._machines() for name in machine}
        asked = {"GPU": resources.gpus, **dict.fromkeys(resources.labels, LABEL)}
        asked |= {"CPU": resources.cpus} if "CPU" in announced else {}
        asked |= {"MEMORY": float(resources.memory or 0)} if "MEMORY" in announced else {}
        return {name: amount for name, amount in asked.items() if amount > 0}

    def _room(self, resources: Resources) -> int:
        return room({**self._asked(resources), _THREADS: 1.0}, self._machines())

    def _disconnect(self) -> None:
        client, self._client, local, self._local = self._client, None, self._local, None
        try:
            if client is not None:
                if client.status == "running":
                    client.unsubscribe_topic("all")  # or the scheduler would tell us of our own end
                    client.unsubscribe_topic(self._key)
                    client.unregister_worker_plugin(f"morphml-{self._key}")
                client.close(timeout=_CLOSING)
        except Exception as error:  # it is gone already
            _LOG.debug("the Dask cluster was not left in order: %s", error)
        if local is not None:
            with contextlib.suppress(Exception):
                local.close(timeout=_ANSWER)

    # what goes to it, and comes from it -------------------------------------------------------------

    def _start(self, flight: Flight) -> None:
        task = flight.task
        flight.handle = self._client.submit(
            run_trial, Job(self._key, task, self._config.grace), key=f"morphml-{uuid.uuid4().hex}", pure=False, retries=0,
            resources=self._asked(task.resources) or None, priority=task.priority,
        )  # fmt: skip
        self._watch(flight)

    def _cancel(self, flight: Flight) -> None:
        if flight.place:
            self._tell(flight.place, flight.task.number, flight.task.attempt)
        else:
            self._give_up(flight)
            self._flights.fail(flight, "")

    def _watch(self, flight: Flight) -> None:
        key, inbox, number, attempt = self._key, self._inbox, flight.task.number, flight.task.attempt
        # The future itself is not kept in the callback: the flight alone says how long Dask remembers the task.
        flight.handle.add_done_callback(lambda future: inbox.put((key, "over", number, attempt, *_how(future))))

    def _tell(self, where: str, number: int, attempt: int) -> None:
        """Tell a worker to end a task, without waiting for its answer."""
        client, key = self._client, self._key

        def tell() -> None:
            with contextlib.suppress(Exception):  # the worker, or the cluster, is gone
                client.run(cancel_there, key, number, attempt, workers=[where])

        threading.Thread(target=tell, name="dask-cancel", daemon=True).start()

    def _give_up(self, flight: Flight) -> None:
        with contextlib.suppress(Exception):  # the cluster is gone
            if flight.handle is not None and not self._gone:
                flight.handle.cancel()

    def _hear(self, limit: float) -> None:
        with contextlib.suppress(Empty):
            self._read(*self._inbox.get(timeout=limit) if limit > 0 else self._inbox.get_nowait())
            while not self._gone:
                self._read(*self._inbox.get_nowait())

    def _read(self, key: str, kind: str, *content: Any) -> None:
        """Take in one message; one of a cluster that was left is not heard."""
        read: Mapping[str, Callable[..., None]] = {
            "began": self._begin,
            "report": self._report,
            "outcome": self._end,
            "over": self._over,
            "removed": self._lose,
        }
        if key == self._key:
            read[kind](*content)

    def _begin(self, number: int, attempt: int, where: str) -> None:
        flight = self._flights.get(number, attempt)
        if flight is not None and not flight.place:
            flight.place = where
            return
        if flight is not None:  # Dask runs it again, because it lost it
            self._flights.fail(flight, f"the Dask worker {flight.place} lost it")
            self._give_up(flight)
        self._tell(where, number, attempt)

    def _report(self, number: int, attempt: int, step: int, metrics: Mapping[str, float]) -> None:
        self._flights.report(Report(number, attempt, step, dict(metrics)))

    def _end(self, number: int, attempt: int, fields: Mapping[str, Any]) -> None:
        cause = fields["cause"]
        self._flights.end(Outcome(number, attempt, **{**fields, "cause": None if cause is None else Cause(cause)}))

    def _over(self, number: int, attempt: int, status: str, words: str) -> None:
        """Dask has a task no longer; one that has told its outcome is not in flight any more."""
        flight = self._flights.get(number, attempt)
        if status == "disconnected":
            self._lose_cluster(ConnectionError("the connection to its scheduler broke"))
        elif flight is not None:
            self._flights.fail(flight, f"Dask could not run it: {words}")

    def _lose(self, where: str) -> None:
        """A worker has left the cluster, with what it ran."""
        for flight in self._flights.all():
            if flight.place == where:
                self._flights.fail(
                    flight, f"the Dask worker {where} that ran it left the cluster: its process or its machine died"
                )
                self._give_up(flight)


_THREADS = " threads"
"""The threads of a worker, beside its resources; the space keeps it apart from these."""


def _removed(key: str, inbox: SimpleQueue[tuple[Any, ...]], message: Any) -> None:
    if isinstance(message, Mapping) and message.get("action") == "remove-worker":
        inbox.put((key, "removed", message["worker"]))


def _how(future: Any) -> tuple[str, str]:
    """How a future ended: its status, and a sentence where it went wrong."""
    status = str(future.status)
    try:
        error = future.exception(timeout=0) if status == "error" else None
    except Exception as found:
        error = found
    if status in ("cancelled", "lost"):
        reason = getattr(getattr(future, "_state", None), "exception", None)
        broken = getattr(reason, "reason", "") == "scheduler-connection-lost" or "lost the connection" in str(reason)
        return ("disconnected" if broken else status), f"the task was {status}"
    words = f"{type(error).__name__}: {first_line(error)}" if error is not None else "it ended without a word"
    return status, words


def _local_cluster(config: Config) -> Any:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _DASK.LocalCluster(
        n_workers=config.workers or cores, threads_per_worker=1, processes=True, dashboard_address=None,
        worker_dashboard_address=None, memory_limit=None, silence_logs=logging.CRITICAL,
    )  # fmt: skip


component = executor(Config, DaskExecutor)
