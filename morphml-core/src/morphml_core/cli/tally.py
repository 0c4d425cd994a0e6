"""What the live view and the plain lines say, counted as the events come.  Costs a few operations an event."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from morphml_core.plugins.hooks import Context
from morphml_core.problem import Trial, TrialState
from morphml_core.report.format import counted, duration, first_line, metrics, number

if TYPE_CHECKING:
    from morphml_core.experiment.state import State

_WINDOW = 60.0
_SPACING = 0.25
_BARS = "▁▂▃▄▅▆▇█"


class Tally:
    """Counts of one opening of an experiment.  `clock` gives seconds that only go forward, `now` seconds since 1970."""

    def __init__(self, context: Context, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self.context = context
        self.objectives = tuple(objective.name for objective in context.objectives)
        self.recent: deque[Trial] = deque(maxlen=5)
        self.causes: Counter[str] = Counter()
        self.messages: dict[str, str] = {}
        self.best: Trial | None = None
        self.bests: list[float] = []
        self.running: dict[int, Trial] = {}
        self._clock, self._now = clock, now
        self._samples: deque[tuple[float, int]] = deque()
        self._state: State | None = None

    def open(self, state: State) -> None:
        """Take in the past of an experiment that goes on."""
        self._state = state
        self._samples.append((self._clock(), len(state.over)))
        for trial in state.trials.values():
            if trial.state is TrialState.FAILED:
                self._failed(trial)
        self.best = state.best

    def over(self, trial: Trial, state: State) -> bool:
        """Take in a trial that is over.  Returns whether it is the best so far."""
        self._state = state
        self.recent.append(trial)
        self.running.pop(trial.number, None)
        if trial.state is TrialState.FAILED:
            self._failed(trial)
            return False
        if trial.state is not TrialState.FINISHED:
            return False
        best = state.best
        improved = best is not None and (self.best is None or best.number != self.best.number)
        self.best = best
        if improved and best is not None and self.objectives:
            self.bests.append(best.metrics.get(self.objectives[0], math.nan))
        return improved

    def reported(self, trial: Trial) -> None:
        """Take in a running trial that has measured something."""
        self.running[trial.number] = trial

    def lost(self, trial: Trial) -> None:
        """Take in that a trial does not run any more."""
        self.running.pop(trial.number, None)

    def _failed(self, trial: Trial) -> None:
        cause = trial.cause.value if trial.cause else "unknown"
        self.causes[cause] += 1
        self.messages[cause] = first_line(trial.message)

    # what it says --------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Note how many trials are over now: the rate is taken over the last minute of such notes."""
        if self._state is None:
            return
        at = self._clock()
        if not self._samples or at - self._samples[-1][0] >= _SPACING:
            self._samples.append((at, len(self._state.over)))
        while len(self._samples) > 2 and at - self._samples[0][0] > _WINDOW:
            self._samples.popleft()

    def rate(self) -> float:
        """Trials over in a second, of the last minute; 0.0 while none is."""
        if len(self._samples) < 2:
            return 0.0
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def elapsed(self) -> float:
        """Seconds of search, earlier openings included."""
        return self._state.elapsed(self._now()) if self._state is not None else 0.0

    def done(self) -> int:
        """How many trials are over."""
        return len(self._state.over) if self._state is not None else 0

    def share(self) -> float | None:
        """How much of the search is done, from 0 to 1, by the stop condition that is nearest; None without one."""
        context, state = self.context, self._state
        if state is None:
            return None
        pairs = (
            (self.done(), context.trials),
            (state.evaluations, context.evaluations),
            (self.elapsed(), context.time),
        )
        shares = [have / want for have, want in pairs if want]
        return min(max(shares), 1.0) if shares else None

    def left(self) -> float | None:
        """Seconds to the end at the present rate, or None where that is not known."""
        rate, limits = self.rate(), []
        if self.context.trials and rate > 0:
            limits.append((self.context.trials - self.done()) / rate)
        if self.context.time:
            limits.append(self.context.time - self.elapsed())
        least = min(limits, default=0.0)
        return least if least > 0 else None

    def counts(self) -> dict[str, int]:
        """Trials by state."""
        return self._state.counts if self._state is not None else {}

    def wanted(self) -> str:
        """How many trials are over, of how many: "42 of 100 trials"."""
        if self.context.trials:
            return f"{number(self.done())} of {counted(self.context.trials, 'trial')}"
        return counted(self.done(), "trial")

    def line(self) -> str:
        """Everything in one line."""
        counts = self.counts()
        parts = [f"{duration(self.elapsed())}: {self.wanted()}"]
        parts += [f"{number(counts[name])} {name}" for name in ("failed", "stopped", "running") if counts.get(name)]
        parts += [speed(self.rate())] if self.rate() else []
        left = self.left()
        parts += [f"about {duration(left)} left"] if left is not None else []
        if self.best is not None:
            parts.append(f"best {metrics(self.shown(self.best))} (trial {self.best.number})")
        return ", ".join(parts)

    def shown(self, trial: Trial) -> dict[str, float]:
        """The objectives of a trial."""
        return {name: trial.metrics[name] for name in self.objectives if name in trial.metrics}


def speed(rate: float) -> str:
    """A rate in the unit that reads best."""
    if rate >= 1:
        return f"{rate:,.0f} trials/s" if rate >= 100 else f"{rate:.1f} trials/s"
    return f"{rate * 60:.1f} trials/min"


def sparkline(values: Sequence[float], width: int = 32) -> str:
    """The last values as a row of small bars, from the lowest to the highest of them."""
    known = [held for held in values[-width:] if math.isfinite(held)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    return "".join(_BARS[min(int((held - low) / span * len(_BARS)), len(_BARS) - 1)] for held in known)
