"""Executor `grpc`: evaluations run on workers that join over the network (`morphml worker`)."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.plugins.component import Part, executor, part
from morphml_core.plugins.units import Bytes
from morphml_core.problem import Outcome, Report, Task
from morphml_core.protocols import Artifacts, Scheduler, Workload
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.executor.features import Features
from morphml_distributed.master.admission import Offer
from morphml_distributed.master.joining import Terms
from morphml_distributed.master.logs import LogFile, Teller, logger
from morphml_distributed.master.mailbox import Mailbox
from morphml_distributed.master.observers import Observer
from morphml_distributed.master.server import Master, Setting
from morphml_distributed.scheduler import fifo
from morphml_distributed.security.settings import Security, is_loopback, port_of
from morphml_distributed.security.tokens import token_of

if TYPE_CHECKING:
    from morphml_distributed.master.http import Pages
    from morphml_distributed.master.metrics import Tally


def _between(least: float, most: float = math.inf) -> Any:
    return [attrs.validators.ge(least), attrs.validators.le(most)]


@attrs.frozen
class Config:
    """Where the master listens, who may join, which task goes where, and what happens to what is lost."""

    listen: str = "127.0.0.1:4567"
    """HOST:PORT.  Beyond this machine the next four are needed (`morphml cluster init` makes them), or `insecure: true`."""
    authority: Path | None = None
    """The certificate of the cluster's authority (ca.pem)."""
    certificate: Path | None = None
    """The master's certificate (master.pem)."""
    key: Path | None = None
    """The master's key (master.key)."""
    token_file: Path | None = None
    """The file with the cluster's token."""
    insecure: bool = False
    """Listen beyond this machine without TLS and without a token: where everybody on the network is trusted."""
    scheduler: Part[Scheduler] = part("scheduler", default="fifo")
    """Which waiting task goes to which worker."""
    rules: Rules = attrs.field(factory=Rules)
    """When somebody is lost, tried again, or put aside."""
    artifact_size: Bytes = attrs.field(default=Bytes(16 * 2**30), validator=_between(1))
    """The largest artifact that a worker may send."""
    metrics: str | None = None
    """HOST:PORT for /metrics (Prometheus), /healthz and /readyz."""
    log: Path | None = None
    """A file for what happens, as JSON lines."""
    tracing: bool = False
    """An OpenTelemetry span for each trial."""

    @rules.validator
    def _beats(self, attribute: attrs.Attribute[Rules], value: Rules) -> None:
        if not 0.05 <= value.heartbeat <= 600.0:
            raise ValueError(f"'rules.heartbeat' must be from 0.05 to 600 s: {value.heartbeat:g}")


class GrpcExecutor:
    """The master of a search: a thread listens, dispatches and hears; the search's own thread only leaves tasks and takes results.

    It listens from its construction on, and then logs where.  Raises `MorphMLError` where it cannot.
    """

    def __init__(self, config: Config, workload: Workload) -> None:
        _check_address(config.listen)
        offer = Offer.of(_specification(workload))
        security = Security(config.authority, config.certificate, config.key, config.token_file, config.insecure)
        setting = Setting(
            config.listen, security, Terms(token_of(security)), config.rules.heartbeat, config.artifact_size
        )  # fmt: skip
        term = time.time_ns()
        self._features = Features(workload)
        self._mailbox = Mailbox()
        self._closed = False
        machine = Machine(config.rules, _scheduler(config), term)
        with ExitStack() as stack:
            observers, tally = _observers(config, term, str(offer.workload.get("experiment", "")), stack)
            artifacts: Artifacts | None = getattr(workload, "artifacts", None)
            self._master = Master(setting, machine, offer, artifacts, self._mailbox, observers)
            stack.callback(self._master.close)
            self._pages = None if tally is None else _pages(str(config.metrics), self._master, tally)
            stack.pop_all()
        logger.warning("waiting for workers at %s: morphml worker %s", self.address, _joining(self.address, security))
        if self._pages is not None:
            logger.warning("metrics at http://%s/metrics", self._pages.address)

    @property
    def address(self) -> str:
        """Where workers find the master, HOST:PORT."""
        return self._master.address

    @property
    def metrics_address(self) -> str | None:
        """Where metrics are served; None where they are not."""
        return None if self._pages is None else self._pages.address

    @property
    def slots(self) -> int:
        """How many tasks like the last one the workers can have, those that they fetch ahead included; at least one."""
        return self._master.slots

    def submit(self, task: Task) -> None:
        """Hand one task to the dispatcher.  Raises `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        self._master.post(m.Submitted(task, self._features.of(task)))

    def poll(self, timeout: float = 0.0) -> Sequence[Report | Outcome]:
        """What has happened since the last call; returns early when there is room for more tasks than before."""
        return self._mailbox.take(timeout)

    def cancel(self, number: int) -> None:
        """End the task of that trial wherever it is."""
        if not self._closed:
            self._master.post(m.Cancelled(number))

    def snapshot(self) -> Mapping[str, Any]:
        """Workers, queue and leases, as `morphml cluster --json` shows them; empty where the master does not answer."""
        return self._master.snapshot() or {}

    def close(self) -> None:
        """Cancel everything, and let the workers wait for the next master; `poll` then gives an outcome for each open task."""
        if self._closed:
            return
        self._closed = True
        self._master.close()
        if self._pages is not None:
            self._pages.close()


def _specification(workload: Workload) -> Any:
    if workload.specification is None:
        raise MorphMLError(
            "the executor 'grpc' sends the configuration to other machines, but this one holds live Python objects; name space and "
            "evaluator by their names, or as 'python: file.py:name', or use the executor 'processes'"
        )
    return workload.specification


def _check_address(listen: str) -> None:
    if port_of(listen) is None:
        raise MorphMLError(
            f"the option 'listen' of the executor 'grpc' is '{listen}'; write HOST:PORT, such as 127.0.0.1:4567"
        )


def _scheduler(config: Config) -> Scheduler:
    # A configuration made in Python need not name one: a loader would have filled in the default.
    return fifo.component.create(fifo.component.config()) if config.scheduler is None else config.scheduler.create()


def _joining(address: str, security: Security) -> str:
    """The options with which a worker joins, for a person who knows where the files are."""
    host, _, port = address.rpartition(":")
    there = socket.gethostname() if host in ("0.0.0.0", "[::]") else host
    files = " --authority ca.pem --certificate worker.pem --key worker.key" if security.tls else ""
    token = " --token-file token" if security.token_file is not None else ""
    insecure = " --insecure" if security.insecure and not is_loopback(address) else ""
    return f"--master {there}:{port}{files}{token}{insecure}"


def _observers(config: Config, term: int, experiment: str, stack: ExitStack) -> tuple[list[Observer], Tally | None]:
    observers: list[Observer] = [Teller()]
    tally = None
    if config.metrics is not None:
        from morphml_distributed.master.metrics import Tally

        tally = Tally()
        observers.append(tally)
    if config.log is not None:
        observers.append(LogFile(config.log, term))
        stack.callback(observers[-1].close)
    if config.tracing:
        from morphml_distributed.master.tracing import Spans

        observers.append(Spans(experiment))
        stack.callback(observers[-1].close)
    return observers, tally


def _pages(address: str, master: Master, tally: Tally) -> Pages:
    from morphml_distributed.master.http import Pages
    from morphml_distributed.master.metrics import ClusterCollector, exposition

    collector = ClusterCollector(tally, master.snapshot)
    page: Callable[[], bytes] = lambda: exposition(collector)  # noqa: E731
    return Pages(address, page, master.trouble, master.unready)


component = executor(Config, GrpcExecutor)
