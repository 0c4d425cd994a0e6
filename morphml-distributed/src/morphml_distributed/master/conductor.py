"""The dispatcher with its sessions: what workers and the search say goes in, what it decides goes to the streams and to the search."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

from morphml_core.problem import Cause, Outcome, Report
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.master.observers import Observer
from morphml_distributed.master.session import Session
from morphml_distributed.wire import codec, limits
from morphml_distributed.wire.joining import Greeting

Deliver = Callable[[Sequence[Report | Outcome]], None]


class Conductor:
    """Lives in one loop.

    `deliver` is called with what the search gets, a batch at a time; `broken` with an error of the dispatcher, after which it is not to be
    trusted.  `sessions` are the connected workers by name.
    """

    def __init__(
        self,
        machine: Machine,
        deliver: Deliver,
        observers: Sequence[Observer] = (),
        broken: Callable[[Exception], None] = lambda error: None,
        heartbeat: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.machine = machine
        self.heartbeat = heartbeat
        self.sessions: dict[str, Session] = {}
        self.clock = clock
        self.given = 0
        self._deliver = deliver
        self._broken = broken
        self._observers = tuple(observers)
        self._numbers = itertools.count(1)
        self._keys: dict[str, Session] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0

    # events in, instructions out --------------------------------------------------------------------

    def feed(self, events: Iterable[m.Event]) -> None:
        """Tell the dispatcher what has happened, and do what it says."""
        now = self.clock()
        self.machine.hush(not any(observer.frequent for observer in self._observers))
        try:
            self._handle(list(events), now)
        except Exception as error:
            self._broken(error)
            raise
        for observer in self._observers:
            observer.flush()
        self._arm(now)

    def _handle(self, pending: list[m.Event], now: float) -> None:
        found: list[Report | Outcome] = []
        while pending:
            again: list[m.Event] = []
            for observer in self._observers:
                for event in pending:
                    if type(event) is m.Submitted:
                        observer.submitted(event.task)
            for instruction in self.machine.handle_all(pending, now):
                if type(instruction) is m.Note:
                    for observer in self._observers:
                        observer.noted(instruction)
                elif type(instruction) is m.Deliver:
                    found.append(instruction.message)
                    for observer in self._observers:
                        observer.delivered(instruction.message)
                else:
                    again.extend(self._send(instruction))
            pending = again
        if found:
            self._deliver(found)

    def _send(self, instruction: Any) -> Iterable[m.Event]:
        session = self.sessions.get(instruction.worker)
        if session is None:
            return ()
        kind = type(instruction)
        if kind is m.Evict:
            if instruction.session == session.number:
                session.close(instruction.reason)
            return ()
        try:
            session.send(codec.frame_of(instruction))
        except codec.WireError as error:
            return self._unsendable(session, instruction, str(error))
        if kind is m.Assign:
            self.given += 1
            session.leases.add(instruction.lease)
        elif kind is m.Acknowledge:
            session.leases.discard(instruction.lease)
        return ()

    def _unsendable(self, session: Session, instruction: Any, why: str) -> Iterable[m.Event]:
        """A task that no message can hold has failed."""
        if type(instruction) is not m.Assign:
            return ()
        task = instruction.task
        outcome = Outcome(task.number, task.attempt, None, Cause.ERROR, why, worker=session.worker, final=True)
        return (m.Resulted(session.worker, session.number, instruction.lease, outcome),)

    # time -------------------------------------------------------------------------------------------

    def _arm(self, now: float) -> None:
        """Have the dispatcher told the time when it wants to be, and no later than a heartbeat from now."""
        due = self.machine.due
        until = now + self.heartbeat if due is None else min(max(due, now), now + self.heartbeat)
        if self._timer is not None:
            if self._armed <= until:
                return
            self._timer.cancel()
        self._armed = until
        self._timer = asyncio.get_running_loop().call_later(max(0.001, until - now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.feed([m.Ticked()])

    def close(self) -> None:
        """No more ticks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for observer in self._observers:
            observer.close()

    @property
    def term(self) -> int:
        """The term of this master."""
        return self.machine.term

    def outbid(self, held: Iterable[m.Held]) -> bool:
        """Have a higher term than that of any lease that a worker shows: the clock may have been set back since a former master began.

        False where it is too late for that, as leases of this term are on their way: what the worker holds is not kept then.
        """
        highest = max((each.lease.term for each in held), default=0)
        return highest <= self.machine.term or self.machine.raise_term(min(highest + 1, limits.SERIAL - 1))

    # sessions ---------------------------------------------------------------------------------------

    def open(self, greeting: Greeting, kept: bool) -> Session:
        """A session for a worker that was let in; a former one of that name is closed."""
        former = self.sessions.get(greeting.worker)
        session = Session(greeting, next(self._numbers), kept, self.clock())
        self.sessions[greeting.worker] = session
        self._keys[session.key] = session
        if former is not None:
            former.close("the worker has joined again")
        return session

    def ready(self, session: Session) -> None:
        """The worker has built the workload: it gets tasks."""
        session.state = "ready"
        self.feed([m.Joined(session.worker, session.number, session.capacity, session.held)])

    def end(self, session: Session, said_goodbye: bool) -> None:
        """The stream of a session is over."""
        self._keys.pop(session.key, None)
        was, session.state = session.state, "gone"
        if self.sessions.get(session.worker) is session:
            del self.sessions[session.worker]
        if was == "ready" and not said_goodbye:
            self.feed([m.Disconnected(session.worker, session.number)])

    def holder(self, key: str) -> Session | None:
        """The session of a key."""
        return self._keys.get(key)

    def taken(self, greeting: Greeting) -> bool:
        """Whether another process of that name is connected and lives.

        One that holds what was leased to that connection is the same process; one that has been silent for long is taken for dead.
        """
        former = self.sessions.get(greeting.worker)
        if former is None or former.closing.is_set():
            return False
        if self.clock() - former.heard > 1.5 * self.heartbeat and former.state == "ready":
            return False
        return not any(held.lease in former.leases for held in greeting.held)
