"""`Machine`: the mind of the master.  Events go in, instructions come out; it knows no network, no clock and no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from morphml_core.problem import Outcome, Resources
from morphml_core.protocols import QueuedTask, Scheduler
from morphml_distributed.dispatch import invariants, shown
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.adoption import Adoption
from morphml_distributed.dispatch.membership import Membership
from morphml_distributed.dispatch.office import Office
from morphml_distributed.dispatch.placement import Placement
from morphml_distributed.dispatch.results import Results
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.dispatch.tasks import DispatchError, Entry
from morphml_distributed.dispatch.workers import WorkerState

_ASLEEP = 2.5
"""Heartbeats without any event, ticks included, after which the master must have been asleep itself."""


class Machine:
    """Decides which task runs where, and what becomes of tasks whose worker is gone.

    Every submitted task yields exactly one delivered outcome, whatever happens.  Events of a worker's former session, and of workers
    that are not known, are not listened to; except results, which are looked at by their lease.

    `term` must be higher than that of every master before it on the same experiment.  `seed` is that of the pauses before retries.
    """

    def __init__(self, rules: Rules, scheduler: Scheduler, term: int, seed: int = 0) -> None:
        self._office = Office(rules, scheduler, term, seed)
        self._adoption = Adoption(self._office)
        self._membership = Membership(self._office, self._adoption)
        self._results = Results(self._office)
        self._placement = Placement(self._office)
        self._started = False
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            m.Submitted: self._submitted,
            m.Cancelled: self._cancelled,
            m.Joined: self._membership.joined,
            m.Disconnected: self._disconnected,
            m.Left: self._of_session(lambda worker, _: self._membership.left(worker)),
            m.Draining: self._of_session(self._membership.draining),
            m.Heartbeat: self._of_session(self._membership.heartbeat),
            m.Began: self._of_session(self._began),
            m.Reported: self._of_session(self._reported),
            m.Resulted: self._resulted,
            m.Returned: self._of_session(self._returned),
            m.Ticked: lambda event: None,
        }

    def handle(self, event: m.Event, now: float) -> list[m.Instruction]:
        """What is to be done about an event, in order.  Time must not go back.

        Raises `DispatchError` where the search breaks its side of the contract, with the story of the trial.
        """
        return self.handle_all((event,), now)

    def handle_all(self, events: Iterable[m.Event], now: float) -> list[m.Instruction]:
        """What is to be done about events that have come together: waiting tasks are given out when all of them are known."""
        office, handlers = self._office, self._handlers
        self._wake(now)
        timers = office.timers
        due = timers.due
        if due is not None and due <= office.now:
            for call in timers.ripe(office.now):
                call()
        for event in events:
            handlers[type(event)](event)
        self._placement.place()
        out, office.out = office.out, []
        return out

    def hush(self, hushed: bool) -> None:
        """Whether to leave out the notes that come with each task (assigned, began, finished), as nobody listens."""
        self._office.hushed = hushed

    def _wake(self, now: float) -> None:
        office = self._office
        gap = now - office.now
        office.now = max(now, office.now)
        if gap > _ASLEEP * office.rules.heartbeat and self._started:
            self._membership.forgive(gap)
        self._started = True

    @property
    def due(self) -> float | None:
        """When a `Ticked` is wanted; None where no time matters."""
        return self._office.timers.due

    @property
    def term(self) -> int:
        """The term of its leases."""
        return self._office.term

    def raise_term(self, term: int) -> bool:
        """Have at least this term, as a worker shows a lease of the one before: the clock was set back.  False: it has given leases already."""
        office = self._office
        if office.serial == 0:
            office.term = max(office.term, term)
        return office.term >= term

    # the search -------------------------------------------------------------------------------------------

    def _submitted(self, event: m.Submitted) -> None:
        office, task = self._office, event.task
        former = office.tasks.get(task.number)
        if former is not None:
            self._supersede(former, event)
        trial = office.trial(task.number)
        trial.ended = ""
        office.submissions += 1
        office.typical = task.resources
        entry = Entry(QueuedTask(task, office.now, event.features), trial, office.submissions)
        office.tasks[task.number] = entry
        trial.tell(office.now, "submitted", str(task.attempt))
        if self._results.submitted(entry) or self._adoption.submitted(entry):
            return
        pause = office.pause(trial) if trial.cause else 0.0
        if trial.cause:
            office.retries[trial.cause] += 1
            after = f" in {pause:.1f} s" if pause else ""
            office.tell(entry, "retried", f"trial {task.number} is tried again{after}, for the {task.attempt}. time")
        if pause > 0.0:
            office.wait_until(entry, office.now + pause)
        else:
            office.wait(entry)
        office.look_around()

    def _supersede(self, former: Entry, event: m.Submitted) -> None:
        """The search submits a further attempt at a trial before it has heard of the last one's end."""
        if event.task.attempt <= former.task.attempt:
            raise DispatchError(former.complaint(f"attempt {event.task.attempt} was submitted while this one is open"))
        office = self._office
        if former.worker is not None:
            office.cancel_copy(former)
        office.end(former, "supersede", Outcome(former.number, former.task.attempt))

    def _cancelled(self, event: m.Cancelled) -> None:
        office = self._office
        entry = office.tasks.get(event.number)
        if entry is None or entry.cancelled:
            return
        if entry.worker is None:
            office.tell(entry, "cancelled", f"trial {entry.number} was cancelled while it waited")
            office.end(entry, "cancel", Outcome(entry.number, entry.task.attempt))
            return
        assert entry.lease is not None
        entry.move("cancel")
        entry.cancelled = True
        office.settle(entry)
        office.out.append(m.Cancel(entry.worker.name, entry.lease, entry.number))
        office.at(office.now + office.rules.cancel_limit, partial(self._cancel_is_late, entry))

    def _cancel_is_late(self, entry: Entry) -> None:
        office = self._office
        if office.tasks.get(entry.number) is not entry:
            return
        name = entry.worker.name if entry.worker is not None else ""
        office.tell(entry, "cancelled", f"trial {entry.number} was cancelled; {name} has not ended it in time", name)
        if entry.worker is not None:
            office.detach(entry, stray=True)
        office.end(entry, "expire", Outcome(entry.number, entry.task.attempt))

    # workers ----------------------------------------------------------------------------------------------

    def _of_session(self, handler: Callable[[WorkerState, Any], None]) -> Callable[[Any], None]:
        membership = self._membership

        def handle(event: Any) -> None:
            worker = membership.current(event.worker, event.session)
            if worker is not None:
                membership.heard(worker)
                handler(worker, event)

        return handle

    def _disconnected(self, event: m.Disconnected) -> None:
        worker = self._membership.current(event.worker, event.session)
        if worker is not None:
            self._membership.disconnected(worker)

    def _leased(self, worker: WorkerState, lease: m.Lease, number: int) -> Entry | None:
        """The task of a lease that counts."""
        if lease.term != self._office.term:
            return None
        entry = worker.entries.get(lease.serial)
        return entry if entry is not None and entry.number == number else None

    def _began(self, worker: WorkerState, event: m.Began) -> None:
        entry = self._leased(worker, event.lease, event.number)
        if entry is not None:
            self._office.begin(entry)

    def _reported(self, worker: WorkerState, event: m.Reported) -> None:
        entry = self._leased(worker, event.lease, event.report.number)
        if entry is not None:
            self._office.begin(entry)
            self._office.report(entry, event.report)
        else:
            self._results.reported(event)

    def _resulted(self, event: m.Resulted) -> None:
        worker = self._membership.current(event.worker, event.session)
        if worker is not None:
            self._membership.heard(worker)
        self._results.resulted(event)

    def _returned(self, worker: WorkerState, event: m.Returned) -> None:
        entry = self._leased(worker, event.lease, event.number)
        if entry is not None:
            self._placement.returned(entry)
        elif worker.drop_stray(event.lease) is not None:
            self._office.board.touch(worker)

    # looking on -------------------------------------------------------------------------------------------

    def slots(self, need: Resources) -> int:
        """How many tasks of that need may be in flight, those that workers prefetch included; at least 1."""
        return max(1, self._office.places_for(need))

    def snapshot(self, now: float) -> dict[str, Any]:
        """What there is, as JSON."""
        return shown.snapshot(self._office, now)

    def story(self, number: int) -> list[str]:
        """What has happened to a trial, a line each; empty where nothing is remembered."""
        return shown.story(self._office, number)

    def check(self) -> None:
        """Raises `AssertionError` where something does not fit together.  For tests: it looks at everything."""
        invariants.check(self._office)
