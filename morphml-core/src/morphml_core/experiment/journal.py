"""Opening an experiment and writing its log: who holds it, and what happens when another takes it over."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from morphml_core.errors import ConflictError, HeldError, StorageError
from morphml_core.experiment import events
from morphml_core.experiment.events import Event
from morphml_core.experiment.settings import Settings
from morphml_core.experiment.state import State
from morphml_core.problem import Problem, TrialState
from morphml_core.protocols import Storage

Clock = Callable[[], float]

_LOG = logging.getLogger(__name__)


class Listener(Protocol):
    """Who is told what happens to an experiment."""

    def notify(self, event: Event, state: State) -> None:
        """Called after the event is stored; `state` holds at least everything up to it."""


class Journal:
    """The log of one experiment with its state: `add` folds an event in, `commit` stores all that was added at once.

    Nothing may leave the process (to an executor or an optimizer) between the two.  Raises `HeldError` from `commit` when another
    process has taken the experiment.
    """

    def __init__(self, storage: Storage, state: State, name: str, listener: Listener | None = None) -> None:
        self.state = state
        self.name = name
        self._storage = storage
        self._listener = listener
        self._added: list[Event] = []
        self.broken = False

    def add(self, event: Event) -> None:
        """Take the event into the state; it is stored with the next commit."""
        self.state.apply(event)
        self._added.append(event)

    def commit(self) -> None:
        """Store what was added, all or nothing, then tell the listener."""
        added = self._added
        if not added:
            return
        self._added = []
        self.broken = True
        try:
            self._storage.append(added, self.state.index - len(added))
        except ConflictError:
            raise HeldError(self._taken(self.state.index - len(added))) from None
        self.broken = False
        if self._listener is not None:
            self._tell(added, self._listener)

    def _tell(self, added: Sequence[Event], listener: Listener) -> None:
        for event in added:
            try:
                listener.notify(event, self.state)
            except Exception as error:  # a listener never harms a search
                _LOG.error("a listener failed on %s: %s: %s", type(event).__name__, type(error).__name__, error)

    def _taken(self, index: int) -> str:
        opened = [event for event in self._storage.read(index) if isinstance(event, events.Opened)]
        by = f"process {opened[-1].pid} on host {opened[-1].host}" if opened else "another process"
        return f"experiment '{self.name}' was taken over by {by}; this process has stopped, and the other goes on with the search"


def open_journal(
    storage: Storage,
    settings: Settings,
    problem: Problem | None,
    listener: Listener | None = None,
    clock: Clock = time.time,
) -> Journal:
    """Read the log, make sure that nobody holds the experiment, and take it.

    Trials that were running are put back into the queue.  Raises `HeldError` where a living process holds it.
    """
    state = State.of(storage.read(), problem)
    if state.holder is not None:
        _refuse_living(state.holder, settings)
    journal = Journal(storage, state, settings.name, listener)
    if state.started is None:
        journal.add(events.Started(settings.configuration, settings.versions, clock()))
    journal.add(this_process(clock()))
    suspend(journal, "interrupted: the process that ran the search ended", clock())
    try:
        journal.commit()
    except HeldError:
        raise HeldError(_held(state_of_holder(storage), settings)) from None
    return journal


def state_of_holder(storage: Storage) -> events.Opened | None:
    """Who opened the experiment last."""
    opened = [event for event in storage.read() if isinstance(event, events.Opened)]
    return opened[-1] if opened else None


def suspend(journal: Journal, message: str, now: float) -> None:
    """Put running trials back into the queue; it does not count against them."""
    state = journal.state
    for number in list(state.active):
        if state.state_of(number) is TrialState.RUNNING:
            journal.add(events.Lost(number, message, now, counted=False))


def this_process(now: float) -> events.Opened:
    """The event by which this process takes an experiment."""
    import psutil

    return events.Opened(socket.gethostname(), os.getpid(), psutil.Process().create_time(), now)


def is_alive(holder: events.Opened) -> bool | None:
    """Whether the process that holds an experiment lives; None where it is on another host, so nobody here can tell."""
    import psutil

    if holder.host != socket.gethostname():
        return None
    try:
        # The start of a process is derived from the clock at boot, which may be corrected by a little.
        return abs(psutil.Process(holder.pid).create_time() - holder.process_started) < 2.0
    except psutil.Error:
        return False


def status(state: State) -> str:
    """The state's status, with a look at the process that holds it: `interrupted` where that one is dead."""
    if state.status == "running" and state.holder is not None and is_alive(state.holder) is False:
        return "interrupted"
    return state.status


def _refuse_living(holder: events.Opened, settings: Settings) -> None:
    if holder.pid == os.getpid() and holder.host == socket.gethostname():
        return
    alive = is_alive(holder)
    if alive or (alive is None and not settings.take_over):
        raise HeldError(_held(holder, settings))


def _held(holder: events.Opened | None, settings: Settings) -> str:
    if holder is None:
        return f"experiment '{settings.name}' was opened by another process at the same moment; wait for it"
    since = datetime.fromtimestamp(holder.time).strftime("%Y-%m-%d %H:%M:%S")
    held = f"experiment '{settings.name}' is held by process {holder.pid} on host {holder.host} since {since}"
    if holder.host == socket.gethostname():
        return f"{held}; wait for it, or stop it"
    return f"{held}; whether it lives cannot be seen from here: wait for it, stop it, or take the experiment over with --take-over"


def retry(
    storage: Storage, settings: Settings, numbers: Iterable[int] | None = None, clock: Clock = time.time
) -> Sequence[int]:
    """Put failed trials (these, or all) back into the queue; the next run evaluates them.  Returns their numbers.

    A trial that took over the failure of an equal one brings that one along.  Raises `StorageError` for a number that is no failed trial,
    and `HeldError` while a process holds the experiment.
    """
    state = State.of(storage.read())
    if state.started is None:
        raise StorageError(f"experiment '{settings.name}' has not started, so there is nothing to retry")
    chosen = _failed(state, numbers, settings.name)
    if not chosen:
        return []
    journal = open_journal(storage, settings, None, clock=clock)
    for number in chosen:
        journal.add(events.Retried(number, clock()))
    journal.add(events.Closed(clock()))
    journal.commit()
    return chosen


def _failed(state: State, numbers: Iterable[int] | None, name: str) -> list[int]:
    trials = state.trials
    if numbers is None:
        return [number for number, trial in trials.items() if trial.state is TrialState.FAILED]
    chosen: set[int] = set()
    for number in numbers:
        if number not in trials:
            raise StorageError(
                f"trial {number} cannot be retried: experiment '{name}' has trials 0 to {len(trials) - 1}"
            )
        trial = trials[number]
        if trial.state is not TrialState.FAILED:
            raise StorageError(
                f"trial {number} cannot be retried: it is {trial.state}, and only failed trials are retried"
            )
        chosen.add(number)
        leader = trial.duplicate_of
        if leader is not None and trials[leader].state is TrialState.FAILED:
            chosen.add(leader)
    return sorted(chosen)
