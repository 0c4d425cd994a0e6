"""Tasks on their way: what is handed to the executor after the log was written, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from morphml_core.experiment.events import Proposed
from morphml_core.experiment.journal import Clock
from morphml_core.experiment.settings import Settings
from morphml_core.problem import Outcome, Problem, Report, Task
from morphml_core.protocols import Executor


class Dispatch:
    """Keeps the executor's places.  `start` and `cancel` only note; `flush` acts."""

    def __init__(self, executor: Executor, problem: Problem, settings: Settings, clock: Clock) -> None:
        self._executor = executor
        self._problem = problem
        self._settings = settings
        self._clock = clock
        self._starts: list[Task] = []
        self._cancels: list[int] = []
        self._in_flight: dict[int, tuple[int, float]] = {}

    @property
    def room(self) -> int:
        """How many more tasks the executor takes now."""
        return self._executor.slots - len(self._in_flight)

    @property
    def busy(self) -> bool:
        """Whether the outcome of any task is still to come."""
        return bool(self._in_flight)

    def start(self, trial: Proposed, attempt: int) -> None:
        """Submit an attempt at the trial with the next flush; it takes its place at once."""
        settings = self._settings
        self._in_flight[trial.number] = attempt, self._clock()
        self._starts.append(
            Task(
                trial.number, trial.genotype, self._problem.seed_of(trial.number), attempt, trial.budget, trial.continues,
                trial.priority, settings.resources, settings.timeout,
            )
        )  # fmt: skip

    def cancel(self, number: int) -> None:
        """Cancel the trial's task with the next flush."""
        if number in self._in_flight:
            self._cancels.append(number)

    def cancel_all(self) -> None:
        """Cancel everything with the next flush."""
        self._cancels.extend(self._in_flight)

    def flush(self) -> None:
        """Hand over what was noted."""
        if self._starts:
            starts, self._starts = self._starts, []
            for task in starts:
                self._executor.submit(task)
        if self._cancels:
            cancels, self._cancels = self._cancels, []
            for number in cancels:
                self._executor.cancel(number)

    def poll(self, timeout: float) -> Sequence[Report | Outcome]:
        """What has happened to tasks in flight; an outcome that comes twice, or of a former attempt, is left out."""
        return [message for message in self._executor.poll(timeout) if self._belongs(message)]

    def _belongs(self, message: Report | Outcome) -> bool:
        known = self._in_flight.get(message.number)
        if known is None or known[0] != message.attempt:
            return False
        if type(message) is Outcome:
            del self._in_flight[message.number]
        return True

    def running_for(self, number: int) -> float:
        """Seconds since the trial's task was started; 0.0 where it is not in flight."""
        known = self._in_flight.get(number)
        return max(0.0, self._clock() - known[1]) if known else 0.0

    def close(self) -> None:
        """End everything."""
        self._executor.close()
