"""Tasks that a worker has kept, through a broken connection or a restart of the master, and whether they go on."""

from __future__ import annotations

from functools import partial

import attrs

from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.tasks import WAITING, Entry
from morphml_distributed.dispatch.workers import WorkerState


@attrs.frozen
class Offer:
    """A kept task that no submitted trial belongs to yet."""

    worker: WorkerState
    session: int
    held: m.Held

    @property
    def stands(self) -> bool:
        """Whether the worker still has it."""
        stray = self.worker.strays.get(self.held.lease)
        return self.worker.session == self.session and stray is not None and stray.offered


class Adoption:
    """A kept task goes on under a new lease where its trial waits, or where it is further than the copy that runs elsewhere.

    Where its trial is not submitted, and may yet be, it is offered for a while.  Otherwise it is cancelled.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._offers: dict[int, list[Offer]] = {}

    def held(self, worker: WorkerState, held: m.Held) -> None:
        """A worker has a task under a lease that does not count."""
        office = self._office
        self._forgive(worker, held)
        if held.lease in office.counted:
            return  # its result has come: it is only to be acknowledged again
        entry = office.tasks.get(held.number)
        if entry is not None and entry.worker is worker:
            return  # the assignment that renews its lease is on its way
        stray = office.stray(worker, held.lease, held.running, held.number)
        if entry is not None and self._better(entry, held):
            self._adopt(entry, worker, held)
        elif entry is None and self._may_come(held.number):
            stray.offered = True
            offer = Offer(worker, worker.session, held)
            self._offers.setdefault(held.number, []).append(offer)
            office.at(office.now + office.rules.adoption, partial(self._expire, offer))
        else:
            office.out.append(m.Cancel(worker.name, held.lease, held.number))

    def submitted(self, entry: Entry) -> bool:
        """A trial was submitted: whether it goes on where it was kept."""
        if not self._offers:
            return False
        offers = [offer for offer in self._offers.pop(entry.number, ()) if offer.stands]
        offers.sort(key=lambda offer: (offer.held.running, offer.held.step))
        if not offers:
            return False
        best = offers.pop()
        self._adopt(entry, best.worker, best.held)
        for offer in offers:
            self._cancel(offer)
        return True

    def _forgive(self, worker: WorkerState, held: m.Held) -> None:
        """A worker that was taken for lost has not died with the task."""
        trial = self._office.trials.get(held.number) or self._office.over.get(held.number)
        if trial is not None and trial.losses:
            trial.losses = [loss for loss in trial.losses if (loss.lease, loss.worker) != (held.lease, worker.name)]

    def _may_come(self, number: int) -> bool:
        trial = self._office.over.get(number)
        return trial is None or trial.ended == "lost"

    def _better(self, entry: Entry, held: m.Held) -> bool:
        """Whether the kept copy is further.  Where both have come as far, one of before a restart of the master has run for longer, or has ended."""
        if entry.cancelled:
            return False
        if entry.state is WAITING:
            return True
        earlier = held.lease.term != self._office.term
        return held.running and (held.step > entry.step or (earlier and held.step == entry.step))

    def _adopt(self, entry: Entry, worker: WorkerState, held: m.Held) -> None:
        office = self._office
        if entry.worker is not None:
            office.cancel_copy(entry)
        office.board.remove(entry)
        former = office.formers.get(held.lease)
        gpus = former.gpus if former is not None else ()
        worker.drop_stray(held.lease)
        need = entry.task.resources
        room = worker.has_room(need)
        office.lease(entry, worker, held.running or room, gpus or (worker.choose(need) or ()))
        office.tell(entry, "adopted", f"trial {entry.number} goes on on {worker.name}, which has kept it", worker.name)
        if held.running:
            office.begin(entry)
        entry.step = held.step

    def _expire(self, offer: Offer) -> None:
        offers = self._offers.get(offer.held.number)
        if offers is not None and offer in offers:
            offers.remove(offer)
            if not offers:
                del self._offers[offer.held.number]
        if offer.stands:
            self._cancel(offer)

    def _cancel(self, offer: Offer) -> None:
        offer.worker.strays[offer.held.lease].offered = False
        self._office.out.append(m.Cancel(offer.worker.name, offer.held.lease, offer.held.number))
