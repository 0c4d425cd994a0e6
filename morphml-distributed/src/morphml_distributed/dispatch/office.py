"""The common ground of the dispatcher's parts: tasks, leases, workers, and the few steps that everything is made of."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import attrs

from morphml_core.problem import Cause, Outcome, Report, Resources
from morphml_core.protocols import Remembering, Scheduler
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch import needs
from morphml_distributed.dispatch.board import Board, Lane
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.dispatch.tasks import PHRASES, RUNNING, WAITING, Entry, Loss, Trial
from morphml_distributed.dispatch.timers import Timers
from morphml_distributed.dispatch.workers import Stray, WorkerState

K = TypeVar("K")
V = TypeVar("V")


def remember(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Remember something, and forget what was remembered first where that makes too much."""
    memory[key] = value
    if len(memory) > most:
        memory.popitem(last=False)


@attrs.frozen
class Former:
    """What is remembered of a lease that counts no more."""

    number: int
    worker: str
    need: Resources
    gpus: tuple[str, ...]


class Office:
    """All that the dispatcher knows.  `now` is the time of the event that is being handled, `out` what is to be done about it."""

    def __init__(self, rules: Rules, scheduler: Scheduler, term: int, seed: int) -> None:
        self.rules, self.scheduler, self.term = rules, scheduler, term
        self.now = 0.0
        self.out: list[m.Instruction] = []
        self.hushed = False
        self.timers = Timers()
        self.board = Board(scheduler)
        self.workers = self.board.workers
        self.tasks: dict[int, Entry] = {}
        self.leases: dict[int, Entry] = {}
        self.serial = self.assignments = self.submissions = 0
        self.trials: dict[int, Trial] = {}
        self.over: OrderedDict[int, Trial] = OrderedDict()
        self.formers: OrderedDict[m.Lease, Former] = OrderedDict()
        self.counted: OrderedDict[m.Lease, bool] = OrderedDict()
        self.notes: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.places: dict[Resources, int] = {}
        self.typical = Resources()
        self._random = random.Random(seed)
        self._remembering = scheduler if isinstance(scheduler, Remembering) else None
        self._alone = False
        self._alone_pause: float = rules.stalled

    # words ------------------------------------------------------------------------------------------------

    def say(self, kind: str, text: str, worker: str = "", trial: int | None = None, attempt: int | None = None) -> None:
        """Note something."""
        self.notes[kind] += 1
        self.out.append(m.Note(kind, text, worker, trial, attempt))

    def tell(self, entry: Entry, kind: str, text: str, worker: str = "") -> None:
        """Note something about a task, in its story too."""
        entry.trial.tell(self.now, text)
        self.say(kind, text, worker, entry.number, entry.task.attempt)

    def mark(self, entry: Entry, kind: str, worker: str) -> None:
        """What `tell` does, for the kinds of notes that come with each task; their words are put together when somebody reads them."""
        entry.trial.tell(self.now, kind, worker)
        self.notes[kind] += 1
        if not self.hushed:
            text = PHRASES[kind].format(entry.number, worker)
            self.out.append(m.Note(kind, text, worker, entry.number, entry.task.attempt))

    def trial(self, number: int) -> Trial:
        """What is remembered of a trial that is not over, or was lost and comes again."""
        found = self.trials.get(number)
        if found is None:
            over = self.over
            found = self.trials[number] = over.pop(number) if number in over else Trial(number)
        return found

    # waiting ----------------------------------------------------------------------------------------------

    def wait(self, entry: Entry) -> None:
        """Let a task wait for a worker."""
        self.board.add(entry)
        lane = entry.lane
        if lane is not None and len(lane.tasks.live) == 1:
            self.look_at_lane(lane)

    def wait_until(self, entry: Entry, start: float) -> None:
        """Let it wait for a while first."""
        entry.start = start
        self.timers.at(start, partial(self._wait_no_longer, entry))

    def _wait_no_longer(self, entry: Entry) -> None:
        if entry.state is WAITING and entry.lane is None and self.tasks.get(entry.number) is entry:
            self.wait(entry)

    def pause(self, trial: Trial) -> float:
        """How long a trial waits before its next attempt: at once when a worker has vanished with it for the first time.

        Otherwise exponential backoff with full jitter (Brooker, Exponential Backoff And Jitter, 2015).
        """
        if trial.cause != Cause.LOST:
            return self._backoff(trial.failures)
        losses = trial.blamed
        if not losses or not (losses[-1].process or len(losses) > 1):
            return 0.0
        return self._backoff(len(losses))

    def _backoff(self, times: int) -> float:
        rules = self.rules
        top = min(rules.backoff_cap, rules.backoff * rules.backoff_factor ** (times - 1))
        return self._random.uniform(0.0, top)

    # leases -----------------------------------------------------------------------------------------------

    def lease(self, entry: Entry, worker: WorkerState, allocated: bool, gpus: tuple[str, ...]) -> None:
        """Give a task to a worker, under a new lease."""
        entry.move("lease")
        self.serial += 1
        self.assignments += 1
        lease = entry.lease = m.Lease(self.term, self.serial)
        entry.gpus = gpus
        self.leases[self.serial] = entry
        worker.add(entry, self.serial, allocated)
        worker.assigned = self.assignments
        worker.total += 1
        self.board.touch(worker)
        self.out.append(m.Assign(worker.name, lease, entry.task, gpus))

    def detach(self, entry: Entry, stray: bool = False, ended: bool = False) -> None:
        """Take a task from its worker; with `stray` the worker still has it, and it still takes what it takes.

        Where it has `ended` with a result, no other can come under its lease.
        """
        worker, lease = entry.worker, entry.lease
        assert worker is not None
        assert lease is not None
        self.settle(entry)
        if not ended:
            former = Former(entry.number, worker.name, entry.task.resources, entry.gpus)
            remember(self.formers, lease, former, self.rules.remembered)
        if stray:
            self.stray(worker, lease, entry.allocated)
        worker.remove(entry)
        del self.leases[lease.serial]
        entry.lease, entry.gpus, entry.step = None, (), 0
        self.board.touch(worker)

    def stray(self, worker: WorkerState, lease: m.Lease, running: bool, number: int = -1) -> Stray:
        """A worker has a task whose lease does not count."""
        former = self.formers.get(lease) or Former(number, worker.name, self.typical, ())
        stray = worker.strays[lease] = Stray(former.number, former.need, former.gpus, running)
        if running:
            worker.take(stray.need, stray.gpus)
        self.board.touch(worker)
        return stray

    def cancel_copy(self, entry: Entry) -> None:
        """The worker that has the task is to end it; the task itself goes on elsewhere, or is over."""
        assert entry.worker is not None
        assert entry.lease is not None
        self.out.append(m.Cancel(entry.worker.name, entry.lease, entry.number))
        self.detach(entry, stray=True)

    def settle(self, entry: Entry) -> None:
        """Whoever hoped to steal the task hopes no more."""
        if entry.revoked is not None:
            thief = self.workers.get(entry.revoked)
            entry.revoked = None
            if thief is not None:
                thief.expecting = 0
                self.board.touch(thief)
            if entry.worker is not None:
                if not entry.allocated:
                    entry.worker.stealable[entry.number] = None
                self.board.touch(entry.worker)

    def give_back(self, entry: Entry) -> None:
        """A task that has not begun waits again; no attempt is lost."""
        if entry.cancelled:
            self.end(entry, "expire", Outcome(entry.number, entry.task.attempt))
            return
        entry.move("return")
        self.detach(entry)
        self.wait(entry)

    # ends -------------------------------------------------------------------------------------------------

    def end(self, entry: Entry, event: str, outcome: Outcome) -> None:
        """A task is over: the search gets its outcome."""
        entry.move(event)
        if entry.worker is not None:
            self.detach(entry, ended=event in ("finish", "fail"))
        self.board.remove(entry)
        number = entry.number
        del self.tasks[number]
        if self._remembering is not None:
            self._remembering.forget(number)
        entry.trial.cause = outcome.cause or ""
        if outcome.cause is not None:
            self.causes[outcome.cause] += 1
            entry.trial.failures += outcome.cause is not Cause.LOST
        entry.trial.ended = "lost" if outcome.cause is Cause.LOST and not outcome.final else event
        del self.trials[number]
        remember(self.over, number, entry.trial, self.rules.remembered)
        if outcome.attempt != entry.task.attempt:
            outcome = attrs.evolve(outcome, attempt=entry.task.attempt)
        self.out.append(m.Deliver(outcome))

    def lose(self, entry: Entry, how: str, blamed: bool = True, process: bool = False) -> None:
        """A task that a worker had has ended without a result.  `blamed`: it may be its own fault; `process`: only its process died."""
        if entry.cancelled:
            self.end(entry, "expire", Outcome(entry.number, entry.task.attempt))
            return
        worker, lease = entry.worker, entry.lease
        assert worker is not None
        assert lease is not None
        worker.lost += 1
        entry.trial.losses.append(Loss(self.now, worker.name, how, lease, blamed, process))
        blame = entry.trial.blamed
        name, attempt = worker.name, entry.task.attempt
        if len(blame) < self.rules.poison or not blamed:
            self.tell(entry, "failed", f"trial {entry.number} was lost on {name}: {how}", name)
            outcome = Outcome(entry.number, attempt, None, Cause.LOST, how, worker=name)
        else:
            story = "; ".join(f"at {loss.time:.1f} s on {loss.worker}: {loss.how}" for loss in blame)
            text = f"trial {entry.number} is put aside: {len(blame)} workers or processes died with it ({story})"
            self.tell(entry, "quarantined", text, name)
            outcome = Outcome(entry.number, attempt, None, Cause.LOST, text, worker=name, final=True)
        self.end(entry, "lose", outcome)

    def report(self, entry: Entry, report: Report) -> None:
        """The search gets a report, with the attempt that it knows."""
        if report.attempt != entry.task.attempt:
            report = attrs.evolve(report, attempt=entry.task.attempt)
        entry.step = max(entry.step, report.step)
        self.out.append(m.Deliver(report))

    def begin(self, entry: Entry) -> None:
        """A worker has begun a task."""
        worker = entry.worker
        assert worker is not None
        assert entry.lease is not None
        if entry.state is RUNNING:
            return
        entry.move("begin")
        self.settle(entry)
        if not entry.allocated:
            worker.allocate(entry, entry.lease.serial)
            self.board.touch(worker)
        self.mark(entry, "began", worker.name)

    # who is there -----------------------------------------------------------------------------------------

    def changed(self, worker: WorkerState) -> None:
        """What a worker may take has changed."""
        self.places.clear()
        self.board.touch(worker)

    def places_for(self, need: Resources) -> int:
        """How many tasks of that need the workers can have, those that they prefetch included."""
        found = self.places.get(need)
        if found is None:
            found = self.places[need] = sum(worker.places(need) for worker in self.workers.values())
        return found

    def credit_changed(self, worker: WorkerState, before: int) -> None:
        """A worker prefetches another number of tasks than before: what was counted changes by that, and is not counted again."""
        credit = worker.credit
        for need in self.places:
            now = worker.places(need)
            worker.credit = before
            self.places[need] += now - worker.places(need)
            worker.credit = credit

    def crowd_changed(self) -> None:
        """A worker has come, or is gone: look whether there is anybody left, and for whom."""
        self.places.clear()
        self.look_around()
        for lane in self.board.lanes.values():
            if lane.tasks:
                self.look_at_lane(lane)

    def look_around(self) -> None:
        """Where there are tasks and no worker, say so after a while."""
        if self._alone or not self.tasks:
            return
        for worker in self.workers.values():
            if worker.connected:
                return
        self._alone = True
        self.timers.at(self.now + self._alone_pause, partial(self._still_alone, self.now))

    def _still_alone(self, since: float) -> None:
        if not self.tasks or any(worker.connected for worker in self.workers.values()):
            self._alone, self._alone_pause = False, self.rules.stalled
            return
        count = len(self.tasks)
        many = "1 task waits" if count == 1 else f"{count} tasks wait"
        self.say(
            "stalled",
            f"{many}, and there has been no worker for {self.now - since:.0f} s; start one with `morphml worker`",
        )
        self._alone_pause *= 2
        self.timers.at(self.now + self._alone_pause, partial(self._still_alone, since))

    def look_at_lane(self, lane: Lane) -> None:
        """Where no worker could ever hold the tasks that wait, they wait for one that can, but not for ever."""
        connected = False
        for worker in self.workers.values():
            if worker.connected:
                connected = True
                if needs.holds(worker.capacity, lane.need):
                    lane.unable_since = None
                    return
        if not connected:
            lane.unable_since = None
        elif lane.unable_since is None:
            lane.unable_since = self.now
            self.timers.at(self.now + self.rules.patience, partial(self._lose_patience, lane, self.now))

    def _lose_patience(self, lane: Lane, since: float) -> None:
        if lane.unable_since != since:
            return
        lane.unable_since = None
        present = [worker.capacity for worker in self.workers.values() if worker.connected]
        if not present:
            return
        text = (
            f"no worker can hold it: it needs {needs.told(lane.need)}; the largest workers have {needs.largest(present)}; "
            "ask for less in `trial`, or start a larger worker"
        )
        for entry in sorted(lane.tasks, key=lambda entry: entry.sequence):
            self.tell(entry, "unplaceable", f"trial {entry.number}: {text}")
            self.end(entry, "fail", Outcome(entry.number, entry.task.attempt, None, Cause.ERROR, text, final=True))

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Do something then."""
        self.timers.at(time, call)
