"""What the executors on somebody else's engine (Ray, Dask) do alike: they hand tasks over, hear what becomes of them, and outlive the cluster."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

from morphml_core.errors import MorphMLError
from morphml_core.executor.processes import packed
from morphml_core.problem import Cause, Outcome, Report, Resources, Task
from morphml_core.protocols import Workload
from morphml_distributed.executor._flights import Flight, Flights, cancelled_by, in_words, unshared

_LOG = logging.getLogger(__name__)
_CLOSING = 3.0


class Engine(ABC):
    """Runs each task as a task of the engine.  `machine` is what the engine calls one of its machines, `retry` the seconds between two looks for a
    cluster that is gone.

    A timeout counts from when the evaluation begins.  While the cluster cannot be reached there are no slots: a search waits
    until it is there again; what was running in it is lost.
    """

    machine: str
    retry: float

    def __init__(self, config: Any, workload: Workload) -> None:
        self._config = config
        self._content = packed(workload)
        self._flights = Flights()
        self._need = Resources()
        self._unshared = unshared(workload)
        self._gone = self._closed = False
        self._again = 0.0

    @property
    def slots(self) -> int:
        """How many tasks may be in flight: as many as there is room for, or the configuration says; none while there is no cluster."""
        if self._gone:
            return 0
        limit = self._config.slots
        try:
            found = max(1, self._room(self._need)) if self._answers() else 0
        except Exception as error:  # whatever the engine raises once its cluster is gone
            self._lose_cluster(error)
            return 0
        return found if limit is None else min(limit, found)

    def submit(self, task: Task) -> None:
        """Start, or queue, one task.  Raises `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        self._need = task.resources
        flight = self._flights.add(task, None)
        if self._gone:
            self._flights.fail(flight, f"{self._cluster} cannot be reached")
            return
        try:
            self._start(flight)
        except Exception as error:
            self._lose_cluster(error)

    def poll(self, timeout: float) -> Sequence[Report | Outcome]:
        """What has happened since the last call, in order; waits at most `timeout` seconds for the first of it."""
        until = monotonic() + timeout
        self._look(0.0)
        while not self._flights.events and (left := until - monotonic()) > 0:
            self._look(min(left, 1.0))
        return self._flights.take()

    def cancel(self, number: int) -> None:
        """End the task of that trial at its next step, or kill its process when that takes too long."""
        flight = self._flights.get(number)
        if flight is None or flight.deadline is not None:
            return
        flight.deadline = cancelled_by(self._config.grace)
        try:
            self._cancel(flight)
        except Exception as error:
            self._lose_cluster(error)

    def close(self) -> None:
        """End everything within a few seconds; a cluster of our own too."""
        if self._closed:
            return
        self._closed = True
        for flight in self._flights.all():
            self.cancel(flight.task.number)
        until = monotonic() + min(self._config.grace, _CLOSING) + _CLOSING
        while len(self._flights) and not self._gone and monotonic() < until:
            self._look(max(0.0, min(1.0, until - monotonic())))
        for flight in self._flights.all():
            self._give_up(flight)
            self._flights.fail(flight, "")
        self._disconnect()

    # what each engine does in its own way ------------------------------------------------------------

    @property
    @abstractmethod
    def _cluster(self) -> str:
        """The cluster, for messages."""

    @abstractmethod
    def _connect(self) -> None:
        """Join the cluster and set up what a search needs there.  Raises `MorphMLError`."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Leave it.  Raises nothing."""

    def _answers(self) -> bool:
        """Whether the cluster may be asked now."""
        return True

    @abstractmethod
    def _machines(self) -> list[dict[str, float]]:
        """What its machines have in all, by the engine's names."""

    @abstractmethod
    def _room(self, resources: Resources) -> int:
        """How many tasks of that need it has room for."""

    @abstractmethod
    def _start(self, flight: Flight) -> None:
        """Hand the task over."""

    @abstractmethod
    def _cancel(self, flight: Flight) -> None:
        """Let the task end at its next step; at once where it has not begun."""

    @abstractmethod
    def _give_up(self, flight: Flight) -> None:
        """The engine is to end the task by force, and not to run it again.  Raises nothing."""

    @abstractmethod
    def _hear(self, limit: float) -> None:
        """Wait, at most `limit` seconds, until something has come from the cluster, and take it in."""

    # a cluster that is gone --------------------------------------------------------------------------

    def _look(self, limit: float) -> None:
        if self._gone:
            self._return(limit)
            return
        try:
            self._hear(limit)
            for flight in [] if self._gone else self._flights.expire():
                self._give_up(flight)
            if not self._gone and self._answers():
                self._refuse_unplaceable()
        except Exception as error:  # whatever the engine raises once its cluster is gone
            self._lose_cluster(error)

    def _refuse_unplaceable(self) -> None:
        late = monotonic() - self._config.patience
        for flight in [each for each in self._flights.all() if not each.place and each.since < late]:
            if self._machines() and self._room(flight.task.resources) == 0:
                self._give_up(flight)
                needed = in_words(flight.task.resources)
                message = f"no {self.machine} of {self._cluster} can ever run it: it needs {needed}"
                self._flights.fail(flight, message, Cause.ERROR, final=True)

    def _lose_cluster(self, error: BaseException) -> None:
        words = first_line(error)
        self._flights.fail_all(f"{self._cluster} is gone: {words}")
        if not self._gone:
            self._gone, self._again = True, monotonic() + self.retry
            _LOG.warning("%s is gone, and is looked for again: %s", self._cluster, words)
            self._disconnect()

    def _return(self, limit: float) -> None:
        """Look for the cluster again, now and then."""
        if self._closed or monotonic() < self._again:
            sleep(max(0.0, min(limit, self._again - monotonic())))
            return
        try:
            self._connect()
            self._gone = False
            _LOG.warning("%s is there again", self._cluster)
        except MorphMLError:
            self._again = monotonic() + self.retry

    def _warn_of_folders(self, count: int) -> None:
        """Say that checkpoints may not be found, where the artifacts are in a folder and there are several machines."""
        if count > 1 and self._unshared:
            _LOG.warning(
                "%s has %d %ss, and the artifacts are in a folder: unless all of them share it, a trial that goes on elsewhere does "
                "not find its checkpoint; let 'artifacts' name a shared one", self._cluster, count, self.machine,
            )  # fmt: skip


def first_line(error: BaseException) -> str:
    """The first line of an engine's long error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]
