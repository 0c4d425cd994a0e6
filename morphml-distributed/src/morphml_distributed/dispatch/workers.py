"""What the dispatcher knows of each worker, and the account of what its tasks take of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import attrs

from morphml_core.problem import Resources
from morphml_core.protocols import WorkerView
from morphml_distributed.dispatch import needs
from morphml_distributed.dispatch.breaker import CLOSED, OPEN, Breaker
from morphml_distributed.dispatch.messages import Capacity, Health, Lease
from morphml_distributed.dispatch.needs import EPSILON
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.dispatch.suspicion import Suspicion
from morphml_distributed.dispatch.tasks import RUNNING, Entry

READY, SUSPECTED, DISCONNECTED, LOST, LEFT = "ready", "suspected", "disconnected", "lost", "left"


@attrs.define(eq=False)
class Stray:
    """A task that a worker has although its lease is not one that counts: offered for adoption, or cancelled and still to end.

    `ended`: it runs no more, and the worker keeps its result.
    """

    number: int
    need: Resources
    gpus: tuple[str, ...] = ()
    running: bool = True
    offered: bool = False
    ended: bool = False


class WorkerState:
    """One worker.  `order` is that of the first joining.  What it holds: `entries` by the serial of their lease, and strays.

    The account: a task that was assigned because there was room holds its resources from then on.  A prefetched one holds none; when
    another ends, the prefetched ones that then fit are given resources in the order of their serials, as the worker itself lets
    them begin.  Where the worker lets another one begin, it is right, and the account follows: it may then be overdrawn for a moment,
    in which the worker gets nothing.  Tasks that need GPUs are not prefetched: their GPUs are chosen when they are assigned.
    """

    __slots__ = (
        "assigned",
        "back_by",
        "breaker",
        "capacity",
        "cpus",
        "credit",
        "draining",
        "duration",
        "entries",
        "expecting",
        "finished",
        "gpu_memory",
        "gpu_share",
        "has",
        "health",
        "held",
        "keys",
        "lost",
        "memory",
        "name",
        "order",
        "prefetched",
        "received",
        "resting",
        "rules",
        "runs",
        "seen",
        "session",
        "state",
        "stealable",
        "strays",
        "suspicion",
        "timer",
        "total",
        "unhealthy",
    )  # fmt: skip

    def __init__(self, name: str, order: int, rules: Rules) -> None:
        self.name, self.order, self.rules = name, order, rules
        self.breaker = Breaker(rules)
        self.assigned = self.finished = self.lost = self.total = 0
        self.duration: float | None = None
        self.credit = rules.prefetch or 0
        self.entries: dict[int, Entry] = {}
        self.prefetched: dict[int, Entry] = {}
        self.runs: dict[int, None] = {}
        self.stealable: dict[int, None] = {}
        self.seen: WorkerView | None = None
        self.strays: dict[Lease, Stray] = {}
        self.keys: dict[Any, Any] = {}
        self.held = 0
        self.state = LEFT
        self.session = 0
        self.expecting = 0
        self.timer = math.inf
        self.back_by = math.inf
        self.health = Health()
        self.unhealthy = ""

    def join(self, session: int, capacity: Capacity, now: float) -> None:
        """It is here, for the first time or again; its tasks stay what they were."""
        self.session, self.capacity, self.state = session, capacity, READY
        self.has = Resources(capacity.cpus, capacity.memory, float(len(capacity.gpus)), max((gpu.memory for gpu in capacity.gpus), default=0), capacity.labels)  # fmt: skip
        self.suspicion = Suspicion(self.rules.heartbeat, now)
        self.received = self.expecting = 0
        self.draining = self.resting = False
        self.health, self.unhealthy = Health(), ""
        self.strays.clear()
        self.recount()

    # what it can take -------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it is here, or may be back at once."""
        return self.state in (READY, SUSPECTED, DISCONNECTED)

    @property
    def willing(self) -> bool:
        """Whether it may get tasks at all."""
        return (
            self.state is READY
            and not (self.draining or self.resting or self.unhealthy)
            and (self.breaker.state is CLOSED or self.breaker.allows(len(self.entries) + len(self.strays)))
        )

    def places(self, need: Resources) -> int:
        """How many tasks of that need it may have at once, those that it prefetches included."""
        if self.state is not READY or self.draining or self.unhealthy or self.breaker.state is OPEN:
            return 0
        count = needs.count(self.capacity, need)
        return count + (self.credit if count and need.gpus <= EPSILON else 0)

    def has_room(self, need: Resources) -> bool:
        """Whether it can begin such a task now."""
        if self.cpus + EPSILON < need.cpus or self.memory < (need.memory or 0):
            return False
        if need.labels and not need.labels <= self.capacity.labels:
            return False
        return need.gpus <= EPSILON or self.choose(need) is not None

    def has_credit(self, need: Resources) -> bool:
        """Whether it can prefetch such a task now."""
        return len(self.prefetched) < self.credit and need.gpus <= EPSILON and needs.holds(self.capacity, need)

    def choose(self, need: Resources) -> tuple[str, ...] | None:
        """GPUs for such a task: for a share the fullest that has it, so that whole ones stay free; None where there is no room."""
        count, memory = needs.devices(need), need.gpu_memory or 0
        if count <= 0:
            return ()
        share = min(1.0, need.gpus) if count == 1 else 1.0
        fitting = [gpu.id for gpu in self.capacity.gpus if self.gpu_share[gpu.id] + EPSILON >= share and self.gpu_memory[gpu.id] >= memory]  # fmt: skip
        if len(fitting) < count:
            return None
        fitting.sort(key=lambda device: (self.gpu_share[device], self.gpu_memory[device]))
        return tuple(fitting[:count])

    # the account ------------------------------------------------------------------------------------------

    def take(self, need: Resources, gpus: tuple[str, ...], sign: int = -1) -> None:
        """A task holds what it needs from now on (or no longer, with the sign 1)."""
        self.cpus += sign * need.cpus
        if need.memory:
            self.memory += sign * need.memory
        for device in gpus:
            if device in self.gpu_share:
                self.gpu_share[device] += sign * (min(1.0, need.gpus) if len(gpus) == 1 else 1.0)
                self.gpu_memory[device] += sign * (need.gpu_memory or 0)

    def recount(self) -> None:
        """Make the account anew of what it holds."""
        capacity = self.capacity
        self.cpus, self.memory = capacity.cpus, capacity.memory
        self.gpu_share = dict.fromkeys((gpu.id for gpu in capacity.gpus), 1.0)
        self.gpu_memory = {gpu.id: gpu.memory for gpu in capacity.gpus}
        for need, gpus in self._holders():
            self.take(need, gpus)

    def _holders(self) -> Iterator[tuple[Resources, tuple[str, ...]]]:
        for entry in self.entries.values():
            if entry.allocated:
                yield entry.task.resources, entry.gpus
        for stray in self.strays.values():
            if stray.running:
                yield stray.need, stray.gpus

    def add(self, entry: Entry, serial: int, allocated: bool) -> None:
        """It has the task now."""
        self.entries[serial] = entry
        entry.worker, entry.allocated = self, allocated
        if allocated:
            self.runs[entry.number] = None
            self.take(entry.task.resources, entry.gpus)
        else:
            self.stealable[entry.number] = None
            self.prefetched[serial] = entry

    def allocate(self, entry: Entry, serial: int) -> None:
        """A prefetched task holds resources from now on."""
        if not entry.allocated:
            del self.prefetched[serial]
            self.stealable.pop(entry.number, None)
            self.runs[entry.number] = None
            entry.allocated = True
            self.take(entry.task.resources, entry.gpus)

    def remove(self, entry: Entry) -> None:
        """It has the task no more."""
        assert entry.lease is not None
        serial = entry.lease.serial
        del self.entries[serial]
        entry.worker = None
        if not entry.allocated:
            del self.prefetched[serial]
            self.stealable.pop(entry.number, None)
        else:
            entry.allocated = False
            del self.runs[entry.number]
            self.take(entry.task.resources, entry.gpus, 1)
            self.promote()

    def drop_stray(self, lease: Lease) -> Stray | None:
        """It has that stray no more."""
        stray = self.strays.pop(lease, None)
        if stray is not None and stray.running:
            self.take(stray.need, stray.gpus, 1)
            self.promote()
        return stray

    def end_stray(self, stray: Stray) -> None:
        """The worker has its result, and keeps it."""
        stray.ended = True
        if stray.running:
            stray.running = False
            self.take(stray.need, stray.gpus, 1)
            self.promote()

    def promote(self) -> None:
        """Let prefetched tasks hold resources, as far as they fit: the worker begins them now."""
        if not self.entries and not self.strays:
            self.cpus, self.memory = self.capacity.cpus, self.capacity.memory  # forgets what rounding has left
            if self.gpu_share:
                self.recount()
        while self.prefetched:
            fitting = next(self._fitting(), None)
            if fitting is None:
                break
            self.allocate(*fitting)

    def _fitting(self) -> Iterator[tuple[Entry, int]]:
        """The prefetched tasks that fit now, in the order of their serials."""
        for serial, entry in self.prefetched.items():
            if self.cpus <= EPSILON < entry.task.resources.cpus:
                return
            if self.has_room(entry.task.resources):
                yield entry, serial

    # what it has shown --------------------------------------------------------------------------------------

    def observe(self, duration: float) -> bool:
        """A task took so long.  Whether it prefetches another number of tasks from now on."""
        self.duration = duration if self.duration is None else 0.8 * self.duration + 0.2 * duration
        if self.rules.prefetch is not None:
            return False
        rules, mean = self.rules, self.duration
        credit = 0
        if mean <= rules.longest_prefetched:
            wanted = max(1.0, rules.ahead / max(mean, 1e-6) * max(1, len(self.entries) - len(self.prefetched)))
            credit = min(rules.prefetch_cap, 1 << (math.ceil(wanted) - 1).bit_length())
        changed, self.credit = credit != self.credit, credit
        return changed

    def view(self) -> WorkerView:
        """What schedulers see of it now; `seen` is what they saw last."""
        has, seen = self.has, self.seen
        if has.gpus:
            free = Resources(self.cpus, self.memory, sum(self.gpu_share.values()), max(self.gpu_memory.values()), has.labels)  # fmt: skip
        elif (
            seen is not None and seen.capacity is has and (seen.free.cpus, seen.free.memory) == (self.cpus, self.memory)
        ):
            free = seen.free
        else:
            free = Resources(self.cpus, self.memory, 0.0, 0, has.labels)
        seen = self.seen = WorkerView(self.name, has, free, tuple(self.runs), tuple(self.stealable), self.assigned)
        return seen

    @property
    def begun(self) -> int:
        """How many of its tasks are known to run."""
        return sum(entry.state is RUNNING for entry in self.entries.values())
