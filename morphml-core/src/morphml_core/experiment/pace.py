"""When the optimizer is told what, and asked for what: eagerly, or reproducibly in a window.

Both also keep the stopper, which hears of trials in the same order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Protocol

from morphml_core.experiment.settings import Limits
from morphml_core.experiment.state import State
from morphml_core.problem import Proposal, Trial
from morphml_core.protocols import Optimizer, Stopper

MakeStopper = Callable[[], Stopper]


class Pace(Protocol):
    """What the loop needs to know of the order of asks and tells.

    `target` says why the search ends, once a told trial has reached the target; `exhausted` whether the optimizer had nothing to
    propose while nothing was pending; `cuts` whether running trials are cut off when the target is reached.
    """

    target: str | None
    exhausted: bool
    cuts: bool

    def replay(self) -> None:
        """Tell the past of a resumed experiment."""

    def over(self, trials: Sequence[Trial]) -> None:
        """These trials of the search are over, and stored."""

    def propose(self, room: int) -> Sequence[tuple[Proposal, int | None]]:
        """At most `room` proposals for the next numbers, each with what goes into `Proposed.told`."""

    def is_told(self, number: int) -> bool:
        """Whether the result of a trial may be known to a decision now."""

    def verdict(self, trial: Trial) -> str | None:
        """The stopper's verdict on a running trial."""


class Eager:
    """Results are told as soon as they are there, and all free places are filled with one ask."""

    cuts = True

    def __init__(self, state: State, optimizer: Optimizer, make_stopper: MakeStopper | None, limits: Limits) -> None:
        self._state = state
        self._optimizer = optimizer
        self._stopper = make_stopper() if make_stopper else None
        self._limits = limits
        self.target: str | None = None
        self.exhausted = False

    def replay(self) -> None:
        """Tell all trials that are over, in the order in which they were."""
        trials = [self._state.trials[number] for number in self._state.over]
        trials = [trial for trial in trials if trial.repeat_of is None]
        if trials:
            self.over(trials)

    def over(self, trials: Sequence[Trial]) -> None:
        """Tell them."""
        self._optimizer.tell(trials)
        if self._stopper is not None:
            self._stopper.tell(trials)
        self.target = self.target or self._limits.hits_target(trials)

    def propose(self, room: int) -> Sequence[tuple[Proposal, int | None]]:
        """Ask for all of them at once."""
        state = self._state
        first = len(state.trials)
        pending = [state.trials[number] for number in sorted(state.active) if state.proposed(number).repeat_of is None]
        proposals = self._optimizer.ask(range(first, first + room), pending)
        self.exhausted = not proposals and not pending
        return [(proposal, None) for proposal in proposals[:room]]

    def is_told(self, number: int) -> bool:
        """Whether it is over."""
        return self._state.state_of(number).over

    def verdict(self, trial: Trial) -> str | None:
        """What the stopper says."""
        return self._stopper.verdict(trial) if self._stopper is not None else None


class Windowed:
    """Reproducible: the n-th trial of the search is proposed when those up to n - window are over, and told in their order.

    Whatever later trials have done meanwhile is not looked at, so that the speed, number and deaths of workers change
    nothing.  Where an optimizer proposes nothing yet, it is told one trial more and asked again; how many it had been told is recorded
    with each trial, as a resumed search must tell it exactly as many.

    The n-th trial's curve is judged by a stopper that knows what was known when the trial was proposed.  One trial in `window` can run
    at a time, so `window` stoppers, used in turn, are enough.
    """

    cuts = False

    def __init__(
        self, state: State, optimizer: Optimizer, make_stopper: MakeStopper | None, limits: Limits, window: int
    ) -> None:
        self._state = state
        self._optimizer = optimizer
        self._limits = limits
        self._window = window
        self._told = 0
        self._goal = 0
        self._stoppers = [make_stopper() for _ in range(window)] if make_stopper else []
        self._heard = [0] * window
        self.target: str | None = None
        self.exhausted = False

    def replay(self) -> None:
        """Tell as many as the last proposal had been made from."""
        state, searched = self._state, self._state.searched
        for position in range(max(0, len(searched) - self._window), len(searched)):
            told = state.proposed(searched[position]).told
            self._goal = max(self._goal, position - self._window + 1 if told is None else told)
            self._advance()
            self._prepare_stopper(position)

    def _advance(self) -> bool:
        """Tell up to the goal; whether all of these were over."""
        state, searched = self._state, self._state.searched
        while self._told < self._goal:
            number = searched[self._told]
            if not state.state_of(number).over:
                return False
            trial = state.trials[number]
            self._optimizer.tell([trial])
            self._told += 1
            self.target = self.target or self._limits.hits_target([trial])
        return True

    def _prepare_stopper(self, position: int) -> None:
        if not self._stoppers:
            return
        turn = position % self._window
        heard, self._heard[turn] = self._heard[turn], self._told
        trials = [self._state.trials[number] for number in self._state.searched[heard : self._told]]
        if trials:
            self._stoppers[turn].tell(trials)

    def over(self, trials: Sequence[Trial]) -> None:
        """Nothing: they are told when it is their turn."""

    def propose(self, room: int) -> Sequence[tuple[Proposal, int | None]]:
        """Ask for the next trial alone, or nothing while a trial that it depends on is not over."""
        state, position = self._state, len(self._state.searched)
        self.exhausted = False
        self._goal = max(self._goal, position - self._window + 1)
        while self._advance() and not self.target:
            pending = [state.as_proposed(number) for number in state.searched[self._told :]]
            proposals = self._optimizer.ask([len(state.trials)], pending)
            if proposals:
                self._prepare_stopper(position)
                return [(proposals[0], self._told)]
            self.exhausted = self._told == position
            if self.exhausted:
                break
            self._goal = self._told + 1
        return []

    def is_told(self, number: int) -> bool:
        """Whether it was told when the next proposal was made."""
        return bisect_left(self._state.searched, number) < self._told

    def verdict(self, trial: Trial) -> str | None:
        """What the stopper says that knows what the trial's proposal knew."""
        if not self._stoppers:
            return None
        return self._stoppers[bisect_left(self._state.searched, trial.number) % self._window].verdict(trial)
