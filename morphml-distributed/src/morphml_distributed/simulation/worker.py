"""A virtual worker: the real worker's ledger and admission, on a machine that dies, stands still and is cut off."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

from morphml_core.protocols import Workload
from morphml_distributed.dispatch import messages as m
from morphml_distributed.simulation.network import Arrival, Connection, Route
from morphml_distributed.simulation.runner import VirtualRunner
from morphml_distributed.simulation.timeline import Timeline, Timer
from morphml_distributed.wire import codec
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.worker.admission import Admission
from morphml_distributed.worker.ledger import Ledger
from morphml_distributed.worker.log import Log

_FIRST_PAUSE, _LONGEST_PAUSE, _WELCOME = 0.1, 2.0, 30.0
_SLOTS = 4
"""So many tasks may run for each core; what they need is the limit."""


class Reception(Protocol):
    """The master, as a worker meets it.  Each is called when it arrives there."""

    def accept(self, worker: VirtualWorker, connection: Connection) -> None:
        """A connection is wanted."""

    def greet(self, worker: VirtualWorker, connection: Connection, held: tuple[m.Held, ...]) -> None:
        """The hello."""

    def hear(self, connection: Connection, frames: list[pb.WorkerFrame]) -> None:
        """A message."""


class VirtualWorker:
    """One machine with one worker.  It is its runner's host.

    `make_runner` makes the runner of a worker's process; `poison` says after which share of its time a trial's task kills the process.
    """

    def __init__(
        self, name: str, capacity: m.Capacity, timeline: Timeline, route: Route, rng: random.Random, master: Reception,
        heartbeat: float,
    ) -> None:  # fmt: skip
        self.name = name
        self.capacity = capacity
        self.route = route
        self.alive = False
        self.frozen = False
        self.busy = 0.0
        self.begun = 0
        self.runner: VirtualRunner | None = None
        self.on_death: Callable[[VirtualWorker], object] = lambda worker: None
        self._timeline = timeline
        self._rng = rng
        self._master = master
        self._heartbeat = heartbeat
        self._timers: dict[int, tuple[Timer, Callable[[], object]]] = {}
        self._keys = itertools.count()
        self._inbox: list[Arrival] = []
        self._out: list[pb.WorkerFrame] = []
        self._life = 0
        self._connection: Connection | None = None
        self._joined = False
        self._term = self._received = 0
        self._pause = _FIRST_PAUSE
        self._make: Callable[[], VirtualRunner] = self._unmade
        self._poison: Callable[[int], float | None] = lambda number: None
        self._ledger = Ledger(self._send, _Quiet())

    def equip(
        self, workload: Workload, full: float | None, speed: float, poison: Callable[[int], float | None]
    ) -> None:
        """What it runs, and how quickly."""
        slots = max(1, int(_SLOTS * self.capacity.cpus))
        self._make = lambda: VirtualRunner(workload, Admission(self.capacity, slots), self, full, speed)
        self._poison = poison

    def _unmade(self) -> VirtualRunner:
        raise AssertionError(f"{self.name} has nothing to run")

    # its machine ----------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The time."""
        return self._timeline.now

    @property
    def idle(self) -> bool:
        """Whether it has no task, and no result that is not acknowledged."""
        return self._ledger.empty

    @property
    def cpu_seconds(self) -> float:
        """What its tasks have used, those that have died included."""
        return self.busy + (self.runner.busy if self.runner else 0.0)

    @property
    def evaluations(self) -> int:
        """How many have begun."""
        return self.begun + (self.runner.begun if self.runner else 0)

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Plan something on this machine: it is put off while the machine stands still, and forgotten when the process dies."""
        self._plan(next(self._keys), self._timeline.now + seconds, call)

    def _plan(self, key: int, due: float, call: Callable[[], object]) -> None:
        self._timers[key] = self._timeline.at(due, partial(self._happen, key, call)), call

    def _happen(self, key: int, call: Callable[[], object]) -> None:
        del self._timers[key]
        call()

    def poisoned(self, number: int) -> float | None:
        """After which share of its time the task of that trial kills the process; None where it does not."""
        return self._poison(number)

    def boot(self) -> None:
        """The worker's process begins, with nothing."""
        if self.alive:
            return
        self.alive = True
        self._life += 1
        self._ledger = Ledger(self._send, _Quiet())
        self._ledger.runner = self.runner = self._make()
        self._pause = _FIRST_PAUSE
        self._connect()

    def die(self, silently: bool = False) -> None:
        """The process dies, with all that it has; `silently`: the machine with it, so that no connection is closed."""
        if not self.alive:
            return
        self.alive = self.frozen = self._joined = False
        for timer, _ in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._inbox.clear()
        self._out.clear()
        if self.runner is not None:
            self.runner.close()
            self.busy += self.runner.busy
            self.begun += self.runner.begun
            self.runner = None
        if self._connection is not None:
            self._connection.close_worker(silently)
            self._connection = None
        self.on_death(self)

    def stall(self, seconds: float) -> None:
        """The machine stands still for so long; what arrives meanwhile is heard afterwards."""
        if not self.alive or self.frozen:
            return
        self.frozen = True
        for key, (timer, call) in list(self._timers.items()):
            timer.cancel()
            self._plan(key, timer.due + seconds, call)
        if self.runner is not None:
            self.runner.delay(seconds)
        life = self._life
        self._timeline.after(seconds, lambda: self._wake(life))

    def _wake(self, life: int) -> None:
        if life != self._life or not self.frozen:
            return
        self.frozen = False
        inbox, self._inbox = self._inbox, []
        for call in inbox:
            call()
        self.turn()

    def crash(self) -> bool:
        """One of its evaluations loses its process; False where none runs."""
        if not self.alive or self.frozen or self.runner is None or not self.runner.crash(self._rng):
            return False
        self.turn()
        return True

    # its connection -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        connection = Connection(self.route, self._arrived, self._lost)
        self._connection = connection
        connection.up(lambda: self._master.accept(self, connection))
        self.after(_WELCOME, lambda: self._give_up(connection))

    def _arrived(self, call: Arrival) -> None:
        if self.frozen:
            self._inbox.append(call)
        else:
            call()

    def _give_up(self, connection: Connection) -> None:
        if connection is self._connection and not self._joined:
            self.drop()

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self.drop()

    def drop(self) -> None:
        """Without a master: it goes on, keeps what it has, and looks for the master again."""
        if self._connection is not None:
            self._connection.close_worker()
        self._connection, self._joined = None, False
        self._out.clear()
        self.after(self._pause * self._rng.uniform(0.5, 1.0), self._connect)
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def challenged(self, connection: Connection) -> None:
        """The master wants to know who it is."""
        if connection is self._connection:
            held = tuple(self._ledger.held(results=True))
            connection.up(lambda: self._master.greet(self, connection, held))

    def welcomed(self, connection: Connection, term: int, ready: Arrival) -> None:
        """The master lets it in."""
        if connection is not self._connection:
            return
        self._pause = _FIRST_PAUSE
        self._term, self._received = term, 0
        self._joined = True
        connection.up(ready)
        self._ledger.rejoin()
        self._out.append(self._beat())
        self.turn()
        self.after(self._heartbeat, lambda: self._pulse(connection))

    def _pulse(self, connection: Connection) -> None:
        if connection is self._connection and self._joined:
            self._out.append(self._beat())
            self.after(self._heartbeat, lambda: self._pulse(connection))
            self.turn()

    def _beat(self) -> pb.WorkerFrame:
        share = len(self.runner.running) / max(1.0, self.capacity.cpus) if self.runner else 0.0
        held = self._ledger.held(results=False)
        return codec.heartbeat_frame(m.Health(cpu=min(1.0, share)), self._received, held)

    def _send(self, frame: pb.WorkerFrame, began: m.Lease | None = None, ended: m.Lease | None = None) -> None:
        if self._joined:
            self._out.append(frame)

    # its work -------------------------------------------------------------------------------------------

    def hear(self, connection: Connection, instructions: list[m.Instruction]) -> None:
        """Follow what the master says."""
        if connection is not self._connection:
            return
        for said in instructions:
            if isinstance(said, m.Evict):
                self.drop()
                break
            if isinstance(said, m.Assign) and said.lease.term == self._term:
                self._received = max(self._received, said.lease.serial)
            self._ledger.hear(said)
        self.turn()

    def turn(self) -> None:
        """Let new tasks begin, take down what has happened, and send what is to be said, in one message."""
        ledger = self._ledger
        ledger.flush()
        while self.runner is not None and (happened := self.runner.poll()):
            ledger.take(happened)
            ledger.flush()
        if self._out and self._joined and self._connection is not None:
            frames, self._out = self._out, []
            connection = self._connection
            connection.up(lambda: self._master.hear(connection, frames))


class _Quiet(Log):
    """Says nothing."""

    def __init__(self) -> None:
        super().__init__("", io.StringIO())

    def say(self, event: str, text: str, **fields: object) -> None:
        """Nothing."""

    def trial(self, event: str, number: int, attempt: int, text: str) -> None:
        """Nothing."""
