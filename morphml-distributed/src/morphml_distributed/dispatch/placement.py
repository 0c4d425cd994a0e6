"""Which waiting task goes to which worker, by the scheduler's ranks; and who takes over what another has prefetched."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from morphml_core.protocols import Patient, Stealing
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.board import Lane
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.tasks import Entry
from morphml_distributed.dispatch.workers import WorkerState

_THIEVES = 8
"""So many idle workers are looked at after one event; the next ones have their turn after the next."""


class Placement:
    """`place` gives out what can be given out."""

    def __init__(self, office: Office) -> None:
        self._office = office
        scheduler = office.scheduler
        self._patient = scheduler if isinstance(scheduler, Patient) else None
        self._stealing = scheduler if isinstance(scheduler, Stealing) else None

    def place(self) -> None:
        """Give waiting tasks to workers until nothing fits."""
        board = self._office.board
        if board.ranking:
            board.go_on()
        board.refresh()
        if board.waiting:
            while (found := board.next()) is not None:
                self._give(*found)
                board.refresh()
        if self._stealing is not None and board.idle and board.hoarders:
            self._steal(self._stealing)

    def _give(self, lane: Lane, entry: Entry) -> None:
        office = self._office
        losses = entry.trial.losses
        shunned = {loss.worker for loss in losses} if losses else ()
        worker = lane.first(lane.room, shunned)
        allocated = worker is not None and (self._patient is None or not self._waits(lane, entry, worker, shunned))
        if not allocated:
            worker = lane.first(lane.credit, shunned)
        assert worker is not None
        gpus = (worker.choose(lane.need) or ()) if allocated else ()
        office.board.remove(entry)
        office.lease(entry, worker, allocated, gpus)
        office.mark(entry, "assigned", worker.name)

    def _waits(self, lane: Lane, entry: Entry, free: WorkerState, shunned: Iterable[str]) -> bool:
        """Whether the task goes to a busy worker although another is free."""
        if self._patient is None or not lane.credit:
            return False
        busy = lane.first(lane.credit, shunned)
        return busy is not None and self._patient.waits(
            entry.queued, free.seen or free.view(), busy.seen or busy.view()
        )

    # stealing ---------------------------------------------------------------------------------------------

    def _steal(self, scheduler: Stealing) -> None:
        board = self._office.board
        for thief in list(islice(board.idle.values(), _THIEVES)):
            if not board.hoarders:
                return
            victim: WorkerState = board.hoarders.first[2]
            entry = _last(victim)
            fits = entry is not None and thief.has_room(entry.task.resources)
            if entry is None or not fits or not scheduler.steals(thief.view(), victim.view()):
                board.idle[thief.name] = board.idle.pop(thief.name)  # to the end of the line
                continue
            self._revoke(entry, thief.name)
            thief.expecting = 1
            board.touch(thief)
            board.refresh()

    def _revoke(self, entry: Entry, thief: str) -> None:
        assert entry.worker is not None
        assert entry.lease is not None
        entry.revoked = thief
        entry.worker.stealable.pop(entry.number, None)
        self._office.board.touch(entry.worker)
        self._office.out.append(m.Revoke(entry.worker.name, entry.lease, entry.number))

    def returned(self, entry: Entry) -> None:
        """A worker has given a task back: whoever it was revoked for gets it, if it still can."""
        office = self._office
        thief = office.workers.get(entry.revoked or "")
        victim = entry.worker
        assert victim is not None
        if entry.revoked is None and not entry.cancelled:
            victim.resting = True  # nobody has asked for it: it wants none until its next heartbeat
        if thief is None or entry.cancelled:
            office.give_back(entry)
            return
        entry.move("return")
        office.detach(entry)
        need = entry.task.resources
        if not (thief.willing and thief.has_room(need)):
            office.wait(entry)
            return
        office.lease(entry, thief, True, thief.choose(need) or ())
        office.tell(entry, "stolen", f"trial {entry.number} goes from {victim.name} to {thief.name}", thief.name)


def _last(victim: WorkerState) -> Entry | None:
    for entry in reversed(victim.prefetched.values()):
        if entry.revoked is None and not entry.cancelled:
            return entry
    return None
