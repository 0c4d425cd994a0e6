"""The loop of a search: asks the optimizer, hands tasks to the executor, records what happens, tells the optimizer.

The order is the promise: a trial is recorded before it is submitted, its result before anybody hears of it.  So a search that
dies at any moment goes on from its log, and each result counts once.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from morphml_core.errors import GraphError, SpaceError, StorageError
from morphml_core.experiment import events
from morphml_core.experiment.dispatch import Dispatch
from morphml_core.experiment.interrupts import Interrupts
from morphml_core.experiment.journal import Clock, Journal, Listener, open_journal, suspend
from morphml_core.experiment.metrics import BadMetricsError, check, storable
from morphml_core.experiment.pace import Eager, MakeStopper, Pace, Windowed
from morphml_core.experiment.results import Results
from morphml_core.experiment.settings import Limits, Settings
from morphml_core.experiment.state import State
from morphml_core.problem import Budget, Cause, Outcome, Problem, Proposal, Report, Trial, TrialState
from morphml_core.protocols import Cache, Executor, Optimizer, Storage
from morphml_core.space.decisions import Genotype

INTERRUPTED = "interrupted"
"""What `run` returns when it was stopped, by Ctrl-C, SIGTERM, SIGHUP or `stop`, before a stop condition was met."""

_POLL = 1.0


class Loop:
    """One search.  `run` opens the experiment, searches until a stop condition is met, and closes it.

    `make_stopper` makes a fresh stopper (a reproducible search needs several).  The executor is closed by `run`; the
    storage stays open.  `state` is there from the moment that `run` has opened the experiment.
    """

    state: State

    def __init__(
        self,
        problem: Problem,
        optimizer: Optimizer,
        executor: Executor,
        storage: Storage,
        settings: Settings | None = None,
        *,
        make_stopper: MakeStopper | None = None,
        cache: Cache | None = None,
        listener: Listener | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._problem = problem
        self._optimizer = optimizer
        self._executor = executor
        self._storage = storage
        self._settings = settings or Settings()
        self._make_stopper = make_stopper
        self._cache = cache
        self._listener = listener
        self._clock = clock
        self._limits = Limits(self._settings, problem)
        self._dispatch = Dispatch(executor, problem, self._settings, clock)
        self._interrupts = Interrupts(self.stop)
        self._stopping = False
        self._waiting: deque[int] = deque()

    def stop(self) -> None:
        """Let the search end soon, as Ctrl-C does: running trials are cut off, and run again when it is resumed."""
        self._stopping = True

    @property
    def stopped_by(self) -> signal.Signals | None:
        """The signal that stopped the search; None where none did."""
        return self._interrupts.signal

    def run(self) -> str:
        """Search; returns why it ended, in words (`INTERRUPTED` where it was stopped).

        Raises `HeldError` where another process holds the experiment or takes it over, `StorageError` where it cannot be recorded.
        """
        try:
            self._open()
        except BaseException:
            self._executor.close()
            raise
        try:
            with self._interrupts:
                reason = self._phases()
                self._executor.close()
                self._leave(reason)
        except BaseException:
            self._executor.close()
            self._abandon()
            raise
        return reason

    # opening and leaving -------------------------------------------------------------------------------

    def _open(self) -> None:
        settings = self._settings
        self._journal = open_journal(self._storage, settings, self._problem, self._listener, self._clock)
        self.state = self._journal.state
        self._results = Results(self._journal, self._problem, self._clock, self._cache, settings.digest)
        self._pace = self._choose_pace()

    def _choose_pace(self) -> Pace:
        window = self._settings.window
        if window is None:
            return Eager(self.state, self._optimizer, self._make_stopper, self._limits)
        return Windowed(self.state, self._optimizer, self._make_stopper, self._limits, window)

    def _resume(self) -> None:
        """Tell the past, and queue what has no result yet."""
        self._pace.replay()
        for number in sorted(self.state.active):
            leader = self.state.proposed(number).duplicate_of
            if leader is not None:
                self._results.follow(number, leader)
            else:
                self._waiting.append(number)
        self._commit()

    def _leave(self, reason: str) -> None:
        now, journal = self._clock(), self._journal
        if reason == INTERRUPTED:
            suspend(journal, "interrupted: the search was stopped", now)
        else:
            suspend(journal, f"cut off: {reason}", now)
            journal.add(events.Ended(reason, now))
        journal.add(events.Closed(now))
        journal.commit()

    def _abandon(self) -> None:
        """Close the log after an error, where it can still be written."""
        journal: Journal = self._journal
        if journal.broken or self.state.holder is None:
            return
        with suppress(StorageError):
            self._leave(INTERRUPTED)

    # the phases ----------------------------------------------------------------------------------------

    def _phases(self) -> str:
        self._resume()
        reason = self._search()
        if self._settings.finalists is not None and not self._stopping:
            self._finals()
        return INTERRUPTED if self._stopping else reason

    def _search(self) -> str:
        while not self._stopping:
            reason = self._cut()
            if reason:
                return reason
            self._fill()
            if not self._dispatch.busy:
                reason = self._complete()
                if reason:
                    return reason
            self._collect()
        return INTERRUPTED

    def _cut(self) -> str | None:
        """Why the search ends at once, although trials are running."""
        if self._pace.cuts and self._pace.target:
            return self._pace.target
        return self._limits.time_is_up(self.state, self._clock)

    def _complete(self) -> str | None:
        """Why the search ends, now that nothing is running."""
        if self._waiting:
            return None
        full = self._pace.target or self._limits.full(self.state) or self._limits.is_stale(self.state)
        return full or ("the optimizer has no more to propose" if self._pace.exhausted else None)

    def _finals(self) -> None:
        """Evaluate the leaders again, each as a trial of its own with its own seed."""
        finals = self._settings.finalists
        assert finals is not None
        self._cut_off_running()
        for leader in self.state.leaders(finals.top):
            budget = leader.budget if finals.epochs is None else Budget(finals.epochs)
            for _ in range(finals.repeats - len(self.state.repeats.get(leader.number, ()))):
                self._repeat(leader, budget)
        self._commit()
        while (self._waiting or self._dispatch.busy) and not self._stopping:
            self._submit_waiting()
            self._collect()

    def _repeat(self, leader: Trial, budget: Budget) -> None:
        number = len(self.state.trials)
        self._journal.add(
            events.Proposed(
                number, leader.genotype, leader.fingerprint, self._clock(), budget, repeat_of=leader.number, origin="finalist"
            )
        )  # fmt: skip
        self._waiting.append(number)

    def _cut_off_running(self) -> None:
        """End what the search left running; in the finals only repeats run."""
        self._dispatch.cancel_all()
        suspend(self._journal, "cut off: the search is over", self._clock())
        self._waiting = deque(
            number for number in self.state.active if self.state.proposed(number).repeat_of is not None
        )

    # one turn ------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Submit what waits, then fill the free places with new proposals."""
        if self._waiting:
            self._submit_waiting()
        while (room := self._wanted()) > 0:
            proposals = self._pace.propose(room)
            if not proposals:
                break
            for proposal, told in proposals:
                self._admit(proposal, told)
            self._commit()

    def _wanted(self) -> int:
        """How many proposals to ask for now."""
        room, limits, state = self._dispatch.room, self._limits, self.state
        if room <= 0 or self._waiting or self._stopping or self._pace.target:
            return 0
        if limits.is_stale(state) or limits.time_is_up(state, self._clock):
            return 0
        left = limits.left(state)
        return room if left is None else min(room, left)

    def _submit_waiting(self) -> None:
        while self._waiting and self._dispatch.room > 0:
            number = self._waiting.popleft()
            if not self._refuses_again(number):
                self._start(number)
        self._commit()

    def _commit(self) -> None:
        """Store everything, and only then act on it."""
        self._journal.commit()
        self._dispatch.flush()
        over = self._results.take_over()
        if over:
            self._pace.over(over)

    # from proposal to task -----------------------------------------------------------------------------

    def _admit(self, proposal: Proposal, told: int | None) -> None:
        """Record a proposal as the next trial: refused, equal to another, known to the cache, or started."""
        number, now = len(self.state.trials), self._clock()
        genotype, budget, continues = proposal.genotype, proposal.budget, proposal.continues
        fingerprint, refusal = self._examine(genotype)
        fresh = refusal is None and continues is None
        leader = self._equal(fingerprint, budget) if fresh and self._settings.deduplicate else None
        self._journal.add(
            events.Proposed(
                number, genotype, fingerprint, now, budget, continues, leader, None, proposal.priority, proposal.origin, told
            )
        )  # fmt: skip
        if refusal is not None:
            self._results.fail(number, *refusal)
        elif leader is not None:
            self._results.follow(number, leader)
        elif not (fresh and self._results.reuse(number, fingerprint, budget)):
            self._start(number)

    def _examine(self, genotype: Genotype) -> tuple[str, tuple[Cause, str] | None]:
        """The fingerprint, and why there is nothing to evaluate."""
        problem = self._problem
        try:
            why = problem.refusal(genotype)
            fingerprint = problem.candidate(genotype).fingerprint
        except (GraphError, SpaceError) as error:
            return "", (Cause.INVALID, str(error))
        except Exception as error:  # the space is somebody's code: the trial fails, the search goes on
            return "", (Cause.ERROR, f"the space could not express the genotype: {type(error).__name__}: {error}")
        return fingerprint, None if why is None else (Cause.INVALID, why)

    def _equal(self, fingerprint: str, budget: Budget) -> int | None:
        """The trial whose result an equal one takes over: it has finished, or is not known to be over."""
        leader = self.state.equal(fingerprint, budget)
        if leader is None or not self._pace.is_told(leader):
            return leader
        return leader if self.state.state_of(leader) is TrialState.FINISHED else None

    def _refuses_again(self, number: int) -> bool:
        """Whether a refused trial that a person retries is refused once more."""
        if self.state.attempts_of(number) or self.state.proposed(number).repeat_of is not None:
            return False
        _, refusal = self._examine(self.state.proposed(number).genotype)
        if refusal is not None:
            self._results.fail(number, *refusal)
        return refusal is not None

    def _start(self, number: int) -> None:
        attempt = self.state.attempts_of(number) + 1
        self._journal.add(events.Submitted(number, attempt, self._clock()))
        self._dispatch.start(self.state.proposed(number), attempt)

    # from message to result ----------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait for what happens next, and record it."""
        for message in self._poll():
            if self.state.state_of(message.number) is not TrialState.RUNNING:
                continue
            if type(message) is Outcome:
                self._end(message)
            elif type(message) is Report:
                self._report(message)
        self._commit()

    def _poll(self) -> Sequence[Report | Outcome]:
        timeout, interrupts = _POLL, self._interrupts
        left = self._limits.time_left(self.state, self._clock)
        if left is not None:
            timeout = min(left, _POLL)
        try:
            interrupts.waiting = True
            return () if self._stopping else self._dispatch.poll(timeout)
        except KeyboardInterrupt:
            self._stopping = True
            return ()
        finally:
            interrupts.waiting = False

    def _report(self, report: Report) -> None:
        number = report.number
        try:
            metrics = check(report.metrics, what="the evaluation reported")
        except BadMetricsError as error:
            message = f"at step {report.step}: {error}"
            self._results.fail(number, Cause.ERROR, message, self._dispatch.running_for(number))
            self._dispatch.cancel(number)
            return
        self._journal.add(events.Reported(number, int(report.step), metrics, self._clock()))
        if self._make_stopper is None or self.state.proposed(number).repeat_of is not None:
            return
        verdict = self._pace.verdict(self.state.trials[number])
        if verdict is not None:
            self._results.stop(number, metrics, verdict, self._dispatch.running_for(number))
            self._dispatch.cancel(number)

    def _end(self, outcome: Outcome) -> None:
        number = outcome.number
        if outcome.metrics is not None:
            self._results.finish(number, outcome)
        else:
            self._lose(outcome, outcome.cause or Cause.LOST)

    def _lose(self, outcome: Outcome, cause: Cause) -> None:
        """The trial runs again, unless its retries for this cause are spent, or it is not to be tried again."""
        number, retries = outcome.number, self._settings.retries.after(cause)
        message = outcome.message or "the executor gave the task up"
        losses = self.state.losses_of(number, cause) + 1
        if losses <= retries and not outcome.final:
            self._journal.add(events.Lost(number, storable(message), self._clock(), cause=cause))
            self._waiting.append(number)
            return
        if cause is Cause.LOST and not outcome.final:
            self._journal.add(events.Lost(number, storable(message), self._clock()))
            message = f"lost {losses} times, the last time: {message}"
        elif losses > 1 and not outcome.final:
            message = f"failed {losses} times, the last time: {message}"
        self._results.fail(number, cause, message, outcome.duration if cause is not Cause.LOST else 0.0, outcome.worker)
