"""The master of a simulated cluster: the dispatch machine between the connections and the search."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable

import attrs

from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.simulation.network import Connection
from morphml_distributed.simulation.timeline import Timeline, Timer
from morphml_distributed.simulation.worker import VirtualWorker
from morphml_distributed.wire import codec
from morphml_distributed.wire import morphml_pb2 as pb

_NOTES = 2000


@attrs.define(eq=False)
class Session:
    """A connected worker."""

    worker: VirtualWorker
    connection: Connection
    number: int
    held: tuple[m.Held, ...]
    heard: float
    leases: set[m.Lease]
    ready: bool = False


@attrs.define(eq=False)
class Open:
    """A task whose outcome the search waits for.  `ahead`: how many attempts the machine's is ahead of the search's."""

    task: Task
    features: tuple[float, ...]
    ahead: int = 0


class VirtualMaster:
    """Feeds the machine and does what it says, as the real master does.

    `make_machine` makes the machine of a term.  When the master restarts it submits what is open again, as a next attempt, which is what a
    resumed search does; the search hears of its own attempt.  `outbox` is what it gets.  With `checking`, the machine checks itself after each event.
    """

    def __init__(
        self, timeline: Timeline, make_machine: Callable[[int], Machine], heartbeat: float, checking: bool = False
    ) -> None:
        self.outbox: list[Report | Outcome] = []
        self.open: dict[int, Open] = {}
        self.notes: deque[tuple[float, m.Note]] = deque(maxlen=_NOTES)
        self.counts: Counter[str] = Counter()
        self.up = True
        self.term = 1
        self.machine = make_machine(1)
        self._timeline = timeline
        self._make_machine = make_machine
        self._heartbeat = heartbeat
        self._checking = checking
        self._sessions: dict[str, Session] = {}
        self._by_connection: dict[Connection, Session] = {}
        self._numbers = itertools.count(1)
        self._timer: Timer | None = None

    # the search -----------------------------------------------------------------------------------------

    def submit(self, task: Task, features: tuple[float, ...]) -> None:
        """The search wants a task run."""
        self.open[task.number] = Open(task, features)
        if self.up:
            self._feed(m.Submitted(task, features))

    def cancel(self, number: int) -> None:
        """The search does not want it any more."""
        if self.up and number in self.open:
            self._feed(m.Cancelled(number))
        elif number in self.open:
            self.outbox.append(Outcome(number, self.open.pop(number).task.attempt))

    # its own life ---------------------------------------------------------------------------------------

    def fall(self, seconds: float) -> None:
        """It dies with all that it knows, and is back after so long, under a new term."""
        if not self.up:
            return
        self.up = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sessions, self._sessions = self._sessions, {}
        self._by_connection.clear()
        for session in sessions.values():
            session.connection.close_master()
        self.counts["restarts"] += 1
        self._timeline.after(seconds, self._rise)

    def _rise(self) -> None:
        self.up = True
        self.term += 1
        self.machine = self._make_machine(self.term)
        for entry in list(self.open.values()):
            entry.ahead += 1
            task = attrs.evolve(entry.task, attempt=entry.task.attempt + entry.ahead)
            self._feed(m.Submitted(task, entry.features))

    # the workers ----------------------------------------------------------------------------------------

    def accept(self, worker: VirtualWorker, connection: Connection) -> None:
        """A worker wants a connection."""
        if not self.up:
            connection.close_master()
            return
        connection.down(lambda: worker.challenged(connection))

    def greet(self, worker: VirtualWorker, connection: Connection, held: tuple[m.Held, ...]) -> None:
        """A worker's hello: it is let in, unless its name is taken by one that lives."""
        if not self.up or self._taken(worker.name, held):
            connection.close_master()
            return
        former = self._sessions.pop(worker.name, None)
        session = Session(
            worker, connection, next(self._numbers), held, self._timeline.now, {each.lease for each in held}
        )
        self._sessions[worker.name] = self._by_connection[connection] = session
        connection.master_lost = lambda: self._end(session)
        connection.down(lambda: worker.welcomed(connection, self.term, lambda: self._ready(session)))
        if former is not None:
            self._close(former)

    def _taken(self, name: str, held: tuple[m.Held, ...]) -> bool:
        former = self._sessions.get(name)
        if former is None or (former.ready and self._timeline.now - former.heard > 1.5 * self._heartbeat):
            return False
        return not any(each.lease in former.leases for each in held)

    def _ready(self, session: Session) -> None:
        worker = session.worker
        session.ready = True
        session.heard = self._timeline.now
        self._feed(m.Joined(worker.name, session.number, worker.capacity, session.held))

    def hear(self, connection: Connection, frames: list[pb.WorkerFrame]) -> None:
        """A worker's message."""
        session = self._by_connection.get(connection)
        if session is None or not session.ready:
            return
        session.heard = self._timeline.now
        name, number = session.worker.name, session.number
        events = [codec.event_of(name, number, frame) for frame in frames]
        self._feed(*events)

    def _end(self, session: Session) -> None:
        name = session.worker.name
        self._by_connection.pop(session.connection, None)
        if self._sessions.get(name) is session:
            del self._sessions[name]
        if session.ready and self.up:
            self._feed(m.Disconnected(name, session.number))

    def _close(self, session: Session) -> None:
        session.connection.close_master()
        self._end(session)

    # the machine ----------------------------------------------------------------------------------------

    def _feed(self, *events: m.Event) -> None:
        now = self._timeline.now
        batches: dict[str, list[m.Instruction]] = {}
        for event in events:
            instructions = self.machine.handle(event, now)
            if self._checking:
                self.machine.check()
            for said in instructions:
                if isinstance(said, m.Note):
                    self.counts[said.kind] += 1
                    self.notes.append((now, said))
                elif isinstance(said, m.Deliver):
                    self._deliver(said.message)
                else:
                    batches.setdefault(said.worker, []).append(said)
        for name, batch in batches.items():
            self._send(name, batch)
        self._arm()

    def _deliver(self, message: Report | Outcome) -> None:
        entry = self.open.get(message.number)
        assert entry is not None, f"the machine delivers {message}, for which nobody waits"
        attempt = entry.task.attempt + entry.ahead
        assert message.attempt == attempt, f"the machine delivers {message}; attempt {attempt} was submitted"
        if isinstance(message, Outcome):
            del self.open[message.number]
        self.outbox.append(attrs.evolve(message, attempt=entry.task.attempt) if entry.ahead else message)

    def _send(self, name: str, batch: list[m.Instruction]) -> None:
        session = self._sessions.get(name)
        if session is None:
            return
        for said in batch:
            if isinstance(said, m.Assign):
                session.leases.add(said.lease)
            elif isinstance(said, m.Acknowledge):
                session.leases.discard(said.lease)
        worker, connection = session.worker, session.connection
        connection.down(lambda: worker.hear(connection, batch))
        if any(isinstance(said, m.Evict) and said.session == session.number for said in batch):
            session.connection.close_master()
            self._end(session)

    def _arm(self) -> None:
        """Have the machine told the time when it wants to be, and no later than a heartbeat from now."""
        now = self._timeline.now
        due = self.machine.due
        until = now + self._heartbeat if due is None else min(max(due, now), now + self._heartbeat)
        if self._timer is not None:
            if self._timer.due <= until:
                return
            self._timer.cancel()
        self._timer = self._timeline.at(max(until, now + 0.001), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.up:
            self._feed(m.Ticked())
