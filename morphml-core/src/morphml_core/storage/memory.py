"""The storage `memory`: a list in this process.  It lives as long as the process; nothing is written anywhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs

from morphml_core.errors import ConflictError
from morphml_core.experiment.events import Event
from morphml_core.plugins.component import storage


class Memory:
    """A place that holds the logs of experiments by name; `open` gives the storage of one of them.  Safe for threads."""

    def __init__(self) -> None:
        self._logs: dict[str, list[Event]] = {}
        self._lock = threading.Lock()

    def open(self, experiment: str) -> MemoryStorage:
        """The storage of an experiment; opened again, it has the same events."""
        return MemoryStorage(self._logs.setdefault(experiment, []), self._lock)


class MemoryStorage:
    """The log of one experiment in a list."""

    def __init__(self, log: list[Event], lock: threading.Lock) -> None:
        self._log = log
        self._lock = lock

    def read(self, after: int = 0) -> Sequence[Event]:
        """The events from index `after` on."""
        with self._lock:
            return self._log[after:]

    def append(self, events: Sequence[Event], expected: int) -> None:
        """Store the events, the first at index `expected`.  Raises `ConflictError` when the log does not end there."""
        with self._lock:
            if len(self._log) != expected:
                raise ConflictError(
                    f"events were to be stored from index {expected} on, but the log ends at index {len(self._log)}: "
                    "another process has appended to this experiment"
                )
            self._log.extend(events)

    def close(self) -> None:
        """Nothing to release."""


@attrs.frozen
class Config:
    """No options: the events are kept in memory and lost with the process."""


component = storage(Config, lambda config, experiment: Memory().open(experiment))
