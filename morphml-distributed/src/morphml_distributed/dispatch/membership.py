"""Workers come, fall silent, go, and come back: who is there, who is lost, and what becomes of what they had."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.adoption import Adoption
from morphml_distributed.dispatch.health import complaint
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.suspicion import deviations_of
from morphml_distributed.dispatch.tasks import RUNNING, Entry
from morphml_distributed.dispatch.workers import DISCONNECTED, LEFT, LOST, READY, SUSPECTED, WorkerState

_REMEMBERED = 1000
"""So many workers that are gone are shown, and known should they come back; where machines come and go for months there are many more."""


class Membership:
    """Handles the events that are about workers.  `current` gives a worker whose session is the present one."""

    def __init__(self, office: Office, adoption: Adoption) -> None:
        self._office = office
        self._adoption = adoption
        self._orders = itertools.count()
        self._departed: OrderedDict[str, None] = OrderedDict()
        rules = office.rules
        self._suspect = deviations_of(rules.suspect_phi)
        self._lost = deviations_of(rules.lost_phi)
        self._longest = rules.longest_silence * rules.heartbeat

    def current(self, name: str, session: int) -> WorkerState | None:
        """The worker, where the session is its present one and it is connected."""
        worker = self._office.workers.get(name)
        if worker is None or worker.session != session or worker.state not in (READY, SUSPECTED):
            return None
        return worker

    def heard(self, worker: WorkerState) -> None:
        """Anything has come from it: it lives."""
        worker.suspicion.heard = self._office.now
        if worker.state is SUSPECTED:
            worker.state = READY
            self._office.say("recovered", f"{worker.name} is heard again", worker.name)
            self._office.changed(worker)
            self._watch(worker)

    # coming -----------------------------------------------------------------------------------------------

    def joined(self, event: m.Joined) -> None:
        """A worker was let in."""
        office = self._office
        worker = office.workers.get(event.worker)
        if worker is None:
            worker = WorkerState(event.worker, next(self._orders), office.rules)
            office.workers[event.worker] = worker
            kind = "joined"
        elif event.session == worker.session and worker.connected:
            return
        else:
            kind = "rejoined"
        self._departed.pop(event.worker, None)
        worker.join(event.session, event.capacity, office.now)
        kept = f", with {len(event.held)} tasks that it has kept" if event.held else ""
        office.say(kind, f"{worker.name} has {kind}{kept}", worker.name)
        self._compare(worker, event.held)
        self._watch(worker)
        office.board.touch(worker)
        office.crowd_changed()

    def _compare(self, worker: WorkerState, held: tuple[m.Held, ...]) -> None:
        """What it has kept against what it should have."""
        office = self._office
        kept = {each.lease for each in held}
        for entry in list(worker.entries.values()):
            if entry.lease not in kept:
                self._missing(entry, bool(held))
        for each in held:
            entry_here = self._entry(worker, each)
            if entry_here is None:
                self._adoption.held(worker, each)
            elif each.running:
                office.begin(entry_here)

    def _missing(self, entry: Entry, same: bool) -> None:
        """`same`: it is surely the same process, for it holds something; so what it does not hold and had not begun never arrived."""
        if entry.state is RUNNING or (entry.allocated and not same):
            self._office.lose(entry, "the worker has started anew, without it")
        else:
            self._office.give_back(entry)

    def _entry(self, worker: WorkerState, held: m.Held) -> Entry | None:
        if held.lease.term != self._office.term:
            return None
        entry = worker.entries.get(held.lease.serial)
        return entry if entry is not None and entry.number == held.number else None

    # heartbeats -------------------------------------------------------------------------------------------

    def heartbeat(self, worker: WorkerState, event: m.Heartbeat) -> None:
        """A worker lives, and says what it has."""
        worker.suspicion.beat(self._office.now)
        worker.received = max(worker.received, event.received)
        if worker.resting:
            worker.resting = False
            self._office.board.touch(worker)
        self._examine(worker, event.health)
        if worker.entries or worker.strays or event.held:
            self._reconcile(worker, event)

    def _examine(self, worker: WorkerState, health: m.Health) -> None:
        office = self._office
        worker.health = health
        found = complaint(health, office.rules, bool(worker.unhealthy))
        if found and not worker.unhealthy:
            office.say("unhealthy", f"{worker.name} gets no new tasks: {found}", worker.name)
        elif worker.unhealthy and not found:
            office.say("healthy", f"{worker.name} is healthy again", worker.name)
        changed, worker.unhealthy = bool(found) != bool(worker.unhealthy), found
        if changed:
            office.changed(worker)

    def _reconcile(self, worker: WorkerState, event: m.Heartbeat) -> None:
        office = self._office
        held = {each.lease for each in event.held}
        for serial, entry in list(worker.entries.items()):
            if serial <= event.received and entry.lease not in held:
                self._gone(entry)
        for lease in list(worker.strays):
            arrived = lease.term != office.term or lease.serial <= event.received
            kept = worker.strays[lease].ended and worker.strays[lease].offered
            if arrived and lease not in held and not kept:
                worker.drop_stray(lease)
                office.board.touch(worker)
        for each in event.held:
            entry_here = self._entry(worker, each)
            if entry_here is None:
                if each.lease not in worker.strays:
                    self._adoption.held(worker, each)
            elif each.running and entry_here.state is not RUNNING:
                office.begin(entry_here)

    def _gone(self, entry: Entry) -> None:
        """It had arrived, it is not there, and no result has come."""
        if entry.state is RUNNING:
            self._office.lose(entry, "the worker does not have it any more, and has no result of it", blamed=False)
        else:
            self._office.give_back(entry)

    # going ------------------------------------------------------------------------------------------------

    def draining(self, worker: WorkerState, event: m.Draining) -> None:
        """It wants no more tasks."""
        if not worker.draining:
            worker.draining = True
            self._office.say("draining", f"{worker.name} wants no more tasks: {event.reason}", worker.name)
            self._office.changed(worker)

    def left(self, worker: WorkerState) -> None:
        """It has said goodbye."""
        self._office.say("left", f"{worker.name} has left", worker.name)
        self._part(worker, LEFT, "the worker left before it had ended", blamed=False)

    def disconnected(self, worker: WorkerState) -> None:
        """Its connection is gone: it may come back."""
        grace = self._office.rules.reconnect
        worker.state = DISCONNECTED
        worker.back_by = self._office.now + grace
        self._office.changed(worker)
        self._watch(worker)

    def _part(self, worker: WorkerState, state: str, how: str, blamed: bool) -> None:
        """A worker is gone: what it ran is lost, what it had not begun waits again."""
        office = self._office
        worker.state = state
        worker.strays.clear()
        # Looked up before anything ends, for what ends lets prefetched tasks take its place in the account.
        begun = [entry for entry in worker.entries.values() if entry.state is RUNNING or (blamed and entry.allocated)]
        for entry in begun:
            office.lose(entry, how, blamed)
        for entry in list(worker.entries.values()):
            office.give_back(entry)
        worker.recount()
        office.board.touch(worker)
        self._departed[worker.name] = None
        if len(self._departed) > _REMEMBERED:
            del office.workers[self._departed.popitem(last=False)[0]]
        office.crowd_changed()

    def lose(self, worker: WorkerState, why: str) -> None:
        """A worker is taken for lost."""
        self._office.say("lost", f"{worker.name} is lost: {why}", worker.name)
        self._part(worker, LOST, f"the worker {worker.name} was lost: {why}", blamed=True)

    # silence ----------------------------------------------------------------------------------------------

    def _deadline(self, worker: WorkerState) -> float:
        if worker.state is READY:
            return worker.suspicion.until(self._suspect, self._longest)
        if worker.state is SUSPECTED:
            return worker.suspicion.until(self._lost, self._longest)
        return worker.back_by if worker.state is DISCONNECTED else math.inf

    def _watch(self, worker: WorkerState) -> None:
        """Look again when its silence will be too long, unless that is to be done before anyway."""
        deadline = self._deadline(worker)
        if deadline < worker.timer:
            worker.timer = deadline
            look: Callable[[], None] = partial(self._look, worker, deadline)
            self._office.at(deadline, look)

    def _look(self, worker: WorkerState, timer: float) -> None:
        if worker.timer != timer:
            return
        worker.timer = math.inf
        now = self._office.now
        if self._deadline(worker) <= now:
            self._act(worker)
        self._watch(worker)

    def _act(self, worker: WorkerState) -> None:
        office, name = self._office, worker.name
        if worker.state is READY:
            worker.state = SUSPECTED
            silence = office.now - worker.suspicion.heard
            office.say("suspected", f"{name} has been silent for {silence:.2f} s and gets no new tasks", name)
            office.changed(worker)
        elif worker.state is SUSPECTED:
            silence = office.now - worker.suspicion.heard
            office.out.append(m.Evict(name, worker.session, f"nothing was heard for {silence:.2f} s"))
            self.lose(worker, f"nothing was heard of it for {silence:.2f} s")
        elif worker.state is DISCONNECTED:
            self.lose(worker, f"its connection broke, and it did not come back within {office.rules.reconnect:g} s")

    def forgive(self, gap: float) -> None:
        """The master itself was asleep: nobody's silence meanwhile counts."""
        for worker in self._office.workers.values():
            if worker.connected:
                worker.suspicion.forgive(self._office.now)
                worker.back_by += gap
                self._watch(worker)
