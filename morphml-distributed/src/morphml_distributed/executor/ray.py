"""Executor `ray`: evaluations run on a Ray cluster, each as a task with its resources.

What is Ray's and what is ours: Ray finds a node with room, and starts a process there; the evaluation runs in a child of that process
(core's executor `processes`), which gives it a timeout, a limit of memory, and an end at its next report or by force.  Ray's own
retries are off.

Resources: `cpus` and `gpus` are Ray's; a task sees the GPUs that Ray gave it, and no others.  `memory` is Ray's `memory`, by which it
chooses the node, and our limit for the child process.  When a node as a whole runs out of memory, Ray kills one of its processes, and
the trial in it is `lost`.  `gpu_memory` is not known to Ray: ask for a share of a GPU instead.  A label is a custom resource of that name:
`ray start --resources '{"a100": 1}'`.

The workload goes to the nodes pickled, as everything does in Ray: as its specification where the configuration has one, else with its objects.
Each node needs the same distributions, and reaches the folder of the configuration and the data under the same path.  Artifacts must
be in a store that all nodes reach; on one machine a folder will do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import attrs
import ray
from ray import exceptions

from morphml_core.errors import MorphMLError
from morphml_core.plugins.component import executor
from morphml_core.problem import Outcome, Report, Resources, Task
from morphml_core.protocols import Workload
from morphml_distributed.executor._engine import Engine, first_line
from morphml_distributed.executor._flights import LABEL, Flight, Remembered, room
from morphml_distributed.executor._stand import Job, evaluate, place

_LOG = logging.getLogger(__name__)
_BEAT = 0.5
_ASK = 20.0
_SILENCE = 10.0
_REMEMBERED = 100_000
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@attrs.frozen
class Config:
    """Which cluster, and how much of it.

    `address`: `auto` (a cluster that runs on this machine or that RAY_ADDRESS names, else one of our own), `local` (one of our own),
    HOST:PORT, or `ray://HOST:PORT`.  `cpus`: cores of a cluster of our own; as many as there are where it is not given.  `slots`: at most so
    many trials at once; as many as the nodes have room for where it is not given.  `grace`: seconds that a cancelled task has to end at
    its next step before its process is killed.  `patience`: seconds until a trial fails that no node could ever run.
    """

    address: str = "auto"
    cpus: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    slots: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    grace: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    patience: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))


class Mailbox:
    """An actor in the cluster that takes in the reports of running tasks, and tells them when they are cancelled."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, int, str, Sequence[Report]]] = []
        self._cancelled: dict[tuple[int, int], None] = {}
        self._filled = asyncio.Event()

    async def tell(self, number: int, attempt: int, where: str, reports: Sequence[Report]) -> bool:
        """A task has begun, or has reported; or, without either, asks whether it is cancelled."""
        if where or reports:
            self._letters.append((number, attempt, where, reports))
            self._filled.set()
        return (number, attempt) in self._cancelled

    async def cancel(self, number: int, attempt: int) -> None:
        """That task is to end."""
        self._cancelled[number, attempt] = None
        if len(self._cancelled) > _REMEMBERED:  # those that were cancelled first have ended long ago
            del self._cancelled[next(iter(self._cancelled))]

    async def take(self, wait: float) -> list[tuple[int, int, str, Sequence[Report]]]:
        """What has come; waits at most `wait` seconds for the first of it."""
        try:
            await asyncio.wait_for(self._filled.wait(), wait)
        except TimeoutError:
            return []
        self._filled.clear()
        letters, self._letters = self._letters, []
        return letters


def run_trial(job: Job, content: bytes, mailbox: Any) -> tuple[Outcome, int]:
    """The task, in a process of Ray: its outcome, and how many reports it has told."""
    number, attempt, told = job.task.number, job.task.attempt, 0

    def tell(reports: Sequence[Report], where: str = "") -> bool:
        nonlocal told
        told += len(reports)
        return bool(voice.submit(ray.get, mailbox.tell.remote(number, attempt, where, reports)).result())

    # A task whose main thread waits in ray.get lends its CPU to another one; this one is never to do that.
    with ThreadPoolExecutor(1) as voice:
        if tell((), place()):
            return Outcome(number, attempt), 0
        devices = tuple(str(each) for each in ray.get_runtime_context().get_accelerator_ids().get("GPU", ()))
        return evaluate(job, content, devices, tell, _BEAT), told


class Head:
    """Looks whether the head of the cluster answers: Ray ends this process when it has not for 60 s, so it is to be left before.

    While it does not answer, a question to it (`ray.nodes`) would wait for it.  Without an address it is taken to answer.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._heard = self._looked = monotonic()

    def answers(self, age: float = 1.0) -> bool:
        """Whether it answered when it was last looked at; that is at most `age` seconds ago."""
        now = monotonic()
        if self.address and now - self._looked >= age:
            host, _, port = self.address.rpartition(":")
            with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), 2.0):
                self._heard = monotonic()
            self._looked = monotonic()
        return not self.address or self._heard >= self._looked - 0.5

    def silent_for(self) -> float:
        """Seconds since it answered."""
        return monotonic() - self._heard


class RayExecutor(Engine):
    """Runs each task as a task of Ray."""

    machine = "node"
    retry = 5.0

    def __init__(self, config: Config, workload: Workload) -> None:
        super().__init__(config, workload)
        self._key = uuid.uuid4().hex
        self._nodes = Remembered(self._ask)
        self._ours = False
        self._mailbox: Any = None
        self._blob: Any = None
        self._taken: Any = None
        self._head = Head("")
        self._connect()

    # the cluster ------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Join the cluster and set up what a search needs there.  Raises `MorphMLError`."""
        try:
            if not ray.is_initialized():
                _join(self._config)
                self._ours = True
            self._blob = ray.put(self._content)
            self._run = ray.remote(run_trial)
            self._mailbox = ray.remote(Mailbox).options(num_cpus=0, max_restarts=0, max_concurrency=1000).remote()
            ray.get(self._mailbox.cancel.remote(-1, 0), timeout=60)
            self._taken = self._mailbox.take.remote(_ASK)
            self._nodes = Remembered(self._ask)
            self._head = Head("" if "://" in self._config.address else ray.get_runtime_context().gcs_address)
            count = len(self._nodes())
        except Exception as error:  # whatever Ray raises when there is no cluster
            self._disconnect()
            raise MorphMLError(f"{self._cluster} cannot be reached: {first_line(error)}") from error
        self._warn_of_folders(count)

    def _ask(self) -> list[dict[str, float]]:
        return _nodes() if self._head.answers(0.0) else []

    def _answers(self) -> bool:
        return self._head.answers()

    def _machines(self) -> list[dict[str, float]]:
        return self._nodes()

    def _room(self, resources: Resources) -> int:
        return room(needs(resources), self._nodes())

    @property
    def _cluster(self) -> str:
        return f"the Ray cluster at '{self._config.address}'"

    def _disconnect(self) -> None:
        mailbox, self._mailbox, self._blob, self._taken = self._mailbox, None, None, None
        try:
            if self._ours:
                ray.shutdown()
            elif mailbox is not None:
                ray.kill(mailbox)
        except Exception as error:  # it is gone already
            _LOG.debug("the Ray cluster was not left in order: %s", error)
        self._ours = False

    # what goes to it, and comes from it -------------------------------------------------------------

    def _start(self, flight: Flight) -> None:
        job = Job(self._key, flight.task, self._config.grace)
        flight.handle = self._run.options(**_options(flight.task)).remote(job, self._blob, self._mailbox)

    def _cancel(self, flight: Flight) -> None:
        self._mailbox.cancel.remote(flight.task.number, flight.task.attempt)
        if not flight.place:
            ray.cancel(flight.handle, force=False)
            self._flights.fail(flight, "")

    def _hear(self, limit: float) -> None:
        if not self._head.answers() and self._head.silent_for() > _SILENCE:
            raise ConnectionError(f"its head at {self._head.address} does not answer")
        refs = [self._taken, *(flight.handle for flight in self._flights.all() if flight.last is None)]
        ray.wait(refs, num_returns=1, timeout=limit)
        ready = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0])
        if self._taken in ready:
            self._read(self._taken)
        for flight in self._flights.all():
            if flight.handle in ready and flight.last is None:
                self._end(flight)

    def _read(self, taken: Any) -> None:
        try:
            letters = ray.get(taken)
        except exceptions.RayActorError as error:
            # The node of the mailbox is gone.  The tasks cannot be heard any more, and end by themselves.
            self._mailbox = ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000).remote()
            self._taken = self._mailbox.take.remote(_ASK)
            for flight in self._flights.all():
                self._give_up(flight)
            self._flights.fail_all(f"the node of {self._cluster} that took in the reports died: {first_line(error)}")
            return
        self._taken = self._mailbox.take.remote(_ASK)
        for number, attempt, where, reports in letters:
            begun = self._flights.get(number, attempt)
            if where and begun is not None:
                begun.place = where
            for report in reports:
                self._flights.report(report)

    def _end(self, flight: Flight) -> None:
        try:
            outcome, reports = ray.get(flight.handle)
        except exceptions.TaskCancelledError:
            self._flights.fail(flight, "somebody else cancelled the task in Ray")
        except exceptions.RayError as error:
            self._flights.fail(flight, _how(error, flight.place))
        else:
            self._flights.end_after(flight, outcome, reports)

    def _give_up(self, flight: Flight) -> None:
        if self._gone or flight.handle is None:
            return
        try:
            ray.cancel(flight.handle, force=True)
        except Exception as error:  # it is over, or the cluster is
            _LOG.debug("the task of trial %d could not be cancelled by force: %s", flight.task.number, error)


def needs(resources: Resources) -> dict[str, float]:
    """The resources of a task by Ray's names."""
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": float(resources.memory or 0)}
    return {**wanted, **dict.fromkeys(resources.labels, LABEL)}


def _options(task: Task) -> dict[str, Any]:
    resources = task.resources
    return {
        "num_cpus": resources.cpus,
        # Ray gives whole GPUs above one, and a share below.
        "num_gpus": resources.gpus if resources.gpus <= 1 else -(-resources.gpus // 1),
        "memory": resources.memory,
        "resources": dict.fromkeys(resources.labels, LABEL) or None,
        "max_retries": 0,
        "retry_exceptions": False,
        "name": f"morphml trial {task.number}.{task.attempt}",
    }


def _nodes() -> list[dict[str, float]]:
    ask: Any = ray.nodes
    return [node["Resources"] for node in ask() if node["Alive"]]


def _join(config: Config) -> None:
    """Join the cluster, or start one, without a word on the standard output."""
    former = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update({name: value for name, value in _QUIET.items() if former[name] is None})
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    # Ray's processes would run at a niceness of 15, and get next to nothing beside whatever else the machine does.
    own = {**quiet, "include_dashboard": False, "num_cpus": config.cpus, "_system_config": {"worker_niceness": 0}}
    try:
        _with_signals_kept(lambda: _init(config.address, quiet, own))
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)


def _init(address: str, quiet: dict[str, Any], own: dict[str, Any]) -> None:
    if address == "local":
        ray.init(address="local", **own)
        return
    try:
        ray.init(address=address, **quiet)
    except ConnectionError:
        if address != "auto" or "RAY_ADDRESS" in os.environ:
            raise
        ray.init(address="local", **own)


def _with_signals_kept(action: Callable[[], object]) -> None:
    """Do something that sets signal handlers of its own, as `ray.init` does, and set the former ones again."""
    main = threading.current_thread() is threading.main_thread()
    former = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)} if main else {}
    try:
        action()
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def _how(error: BaseException, where: str) -> str:
    """How Ray lost a task, in a sentence."""
    on = f" on {where}" if where else ""
    kinds = [
        (exceptions.OutOfMemoryError, f"its node ran out of memory, and Ray killed its process{on}"),
        (exceptions.WorkerCrashedError, f"the process of Ray that ran it{on} died"),
        (exceptions.NodeDiedError, f"the node of Ray that ran it{on} died"),
        (exceptions.ObjectLostError, f"the node of Ray that ran it{on} died with its result"),
    ]
    known = next((words for kind, words in kinds if isinstance(error, kind)), f"Ray could not run it{on}")
    return f"{known} ({type(error).__name__}: {first_line(error)})"


component = executor(Config, RayExecutor)
