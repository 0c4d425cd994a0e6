"""What becomes of results: those of leases that count, and late ones."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from morphml_core.problem import Cause, Outcome, Report
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.office import Office, remember
from morphml_distributed.dispatch.tasks import Entry
from morphml_distributed.dispatch.workers import WorkerState

_LATE = 200
"""The reports of so many leases that count no more are kept, for a late result that may follow."""
_LONGEST = 10_000
"""The longest curve that is kept so."""


class Results:
    """Each result counts once, however often it comes.

    A late result is one whose lease counts no more, as its worker was taken for lost.  It is used if the trial is still open.  What was
    leased by a former master is another matter: the record may have been begun anew since, with another network under that number.
    Only the worker can tell, so it gets the task again under a new lease, and repeats the result if the task is the same (`Adoption`).  Not used late are: that the task was cancelled or lost, that a worker which stood still took too long, and
    failures of an attempt before the last one.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._early: dict[int, m.Resulted] = {}
        self._said: OrderedDict[m.Lease, list[Report]] = OrderedDict()

    def resulted(self, event: m.Resulted) -> None:
        """A result has come."""
        office, lease, outcome = self._office, event.lease, event.outcome
        entry = office.leases.get(lease.serial) if lease.term == office.term else None
        if entry is None:
            self._late(event)
            return
        if entry.number != outcome.number or entry.worker is None or entry.worker.name != event.worker:
            office.out.append(m.Acknowledge(event.worker, lease, outcome.number, False))  # the lease is another's
            return
        self._count(lease, event, True)
        self._take(entry, entry.worker, outcome)

    def reported(self, event: m.Reported) -> None:
        """A report under a lease that does not count: it belongs to the curve of a late result."""
        said = self._said.get(event.lease)
        if said is None:
            said = []
            remember(self._said, event.lease, said, _LATE)
        if len(said) < _LONGEST:
            said.append(event.report)

    def _count(self, lease: m.Lease, event: m.Resulted, used: bool) -> None:
        office = self._office
        remember(office.counted, lease, used, 10 * office.rules.remembered)
        office.out.append(m.Acknowledge(event.worker, lease, event.outcome.number, used))

    # in time ----------------------------------------------------------------------------------------------

    def _take(self, entry: Entry, worker: WorkerState, outcome: Outcome) -> None:
        office = self._office
        if outcome.metrics is not None:
            self._finished(entry, worker, outcome)
        elif outcome.cause is Cause.LOST:
            office.lose(entry, outcome.message or "its process died", process=True)
            self._trip(worker, entry, lost=True)
        elif outcome.cause is not None:
            name = worker.name
            office.tell(entry, "failed", f"trial {entry.number} has failed on {name} ({outcome.cause})", name)
            office.end(entry, "fail", outcome)
            if outcome.cause is not Cause.INVALID:
                self._trip(worker, entry, lost=False)
        elif entry.cancelled:
            office.tell(entry, "cancelled", f"trial {entry.number} was cancelled on {worker.name}", worker.name)
            office.end(entry, "expire", outcome)
        else:
            office.lose(entry, "the worker has ended it without being asked to", blamed=False)
        office.board.touch(worker)

    def _finished(self, entry: Entry, worker: WorkerState, outcome: Outcome) -> None:
        office = self._office
        worker.finished += 1
        if worker.breaker.succeeded():
            office.say("breaker_closed", f"{worker.name} gets tasks again", worker.name)
            office.places.clear()
        credit = worker.credit
        if worker.observe(outcome.duration):
            office.credit_changed(worker, credit)
        office.mark(entry, "finished", worker.name)
        office.end(entry, "finish", outcome)
        if office.scheduler.observe(entry.queued, worker.seen or worker.view(), outcome.duration):
            office.board.rank_again()

    # the breaker ------------------------------------------------------------------------------------------

    def _trip(self, worker: WorkerState, entry: Entry, lost: bool) -> None:
        office, breaker = self._office, worker.breaker
        if entry.cancelled:
            return
        others = any(
            other.finished and not other.breaker.failures for other in office.workers.values() if other is not worker
        )
        if not breaker.failed(entry.number, lost, office.now, others):
            return
        text = (
            f"{worker.name} gets no tasks for {breaker.cooldown:g} s: {breaker.failures} trials failed on it in a row"
        )
        office.say("breaker_open", text, worker.name)
        office.changed(worker)
        office.at(breaker.until, partial(self._half_open, worker))
        for waiting in worker.prefetched.values():
            if waiting.revoked is None and waiting.lease is not None:
                waiting.revoked = ""
                worker.stealable.pop(waiting.number, None)
                office.out.append(m.Revoke(worker.name, waiting.lease, waiting.number))

    def _half_open(self, worker: WorkerState) -> None:
        if worker.breaker.try_again(self._office.now):
            self._office.say("breaker_half_open", f"{worker.name} gets one task to try it", worker.name)
            self._office.changed(worker)

    # late -------------------------------------------------------------------------------------------------

    def _late(self, event: m.Resulted) -> None:
        office, lease, outcome = self._office, event.lease, event.outcome
        worker = office.workers.get(event.worker)
        if lease.term < office.term and worker is not None and self._is_kept(worker, event):
            return
        if worker is not None and worker.drop_stray(lease) is not None:
            office.board.touch(worker)
        known = office.counted.get(lease)
        if known is not None:
            office.out.append(m.Acknowledge(event.worker, lease, outcome.number, known))
            return
        entry = office.tasks.get(outcome.number)
        if not self._may_count(event.worker, lease, outcome):
            self._discard(event)
        elif entry is not None:
            self._use(entry, event)
        elif self._may_come(outcome.number):
            former = self._early.pop(outcome.number, None)
            if former is not None:
                self._discard(former)
            self._early[outcome.number] = event
            office.at(office.now + office.rules.adoption, partial(self._too_early, event))
        else:
            self._discard(event)

    def _is_kept(self, worker: WorkerState, event: m.Resulted) -> bool:
        """Whether the worker has offered the task: then it says all of it again under a new lease, if the search wants the very same task."""
        stray, entry = worker.strays.get(event.lease), self._office.tasks.get(event.outcome.number)
        if stray is not None and stray.offered:
            worker.end_stray(stray)
            self._office.board.touch(worker)
            return True
        return entry is not None and entry.worker is worker

    def _may_count(self, worker: str, lease: m.Lease, outcome: Outcome) -> bool:
        office = self._office
        former = office.formers.get(lease)
        if former is None or (former.number, former.worker) != (outcome.number, worker):
            return False  # this master has not given it that lease
        return outcome.metrics is not None or outcome.cause not in (None, Cause.LOST, Cause.TIMEOUT)

    def _may_come(self, number: int) -> bool:
        """Whether the search may still submit the trial: it has not been over in this term."""
        trial = self._office.over.get(number)
        return trial is None or trial.ended == "lost"

    def _use(self, entry: Entry, event: m.Resulted) -> None:
        office, outcome = self._office, event.outcome
        if entry.cancelled or (outcome.metrics is None and outcome.attempt < entry.task.attempt - 1):
            self._discard(event)
            return
        self._count(event.lease, event, True)
        for report in self._said.pop(event.lease, ()):
            if report.number == entry.number:
                office.report(entry, report)
        text = f"a late result of trial {entry.number} from {event.worker} is used"
        office.tell(entry, "late_used", text, event.worker)
        if entry.worker is not None and entry.worker.name != event.worker:
            office.cancel_copy(entry)
        office.end(entry, "finish" if outcome.metrics is not None else "fail", outcome)

    def _discard(self, event: m.Resulted) -> None:
        office, number = self._office, event.outcome.number
        self._count(event.lease, event, False)
        text = f"a late result of trial {number} from {event.worker} is not used"
        office.say("late_discarded", text, event.worker, number, event.outcome.attempt)

    def _too_early(self, event: m.Resulted) -> None:
        if self._early.get(event.outcome.number) is event:
            del self._early[event.outcome.number]
            self._discard(event)

    def submitted(self, entry: Entry) -> bool:
        """A trial was submitted: whether a result of it was here already."""
        event = self._early.pop(entry.number, None)
        if event is None:
            return False
        self._use(entry, event)
        return entry.number not in self._office.tasks
