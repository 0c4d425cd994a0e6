"""The hook `progress`: a live view on a terminal, plain lines elsewhere; both on stderr.

An event costs it a few microseconds: it counts, and looks at the clock.  The live view is drawn four times a second by a thread
of its own, whatever the number of trials; plain lines come with an improvement (at most two a second) and every
ten seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from morphml_core.cli.tally import Tally
from morphml_core.plugins.component import hook
from morphml_core.plugins.hooks import Context
from morphml_core.plugins.hookspecs import hookimpl
from morphml_core.problem import Trial
from morphml_core.report.format import counted, metrics

if TYPE_CHECKING:
    from morphml_core.cli.live import LiveView
    from morphml_core.experiment.events import Opened
    from morphml_core.experiment.state import State

_PAUSE = 0.5


@attrs.frozen
class Config:
    """How to tell of the search.

    `every`: seconds between plain lines.  `live`: whether to draw the live view (default: on a terminal).
    """

    every: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    live: bool | None = None


class Progress:
    """Shows how the search goes.  `write` prints one plain line."""

    def __init__(
        self,
        config: Config,
        context: Context,
        *,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._context = context
        self._write = write or _write
        self._clock = clock
        self.tally = Tally(context, clock, now)
        self._view: LiveView | None = None
        self._next = 0.0
        self._spoke = -_PAUSE
        self._news = False
        self._told = -1

    @hookimpl
    def morphml_experiment_opened(self, event: Opened, state: State) -> None:
        """Begin to tell."""
        self.tally.open(state)
        self._next = self._clock() + self._config.every
        if self._live():
            from morphml_core.cli.live import LiveView

            self._view = LiveView(self.tally)
            self._view.start()
            return
        past = len(state.over)
        self._write(
            f"{self._context.experiment}: " + (f"going on after {counted(past, 'trial')}" if past else "searching")
        )

    def _live(self) -> bool:
        if self._config.live is not None:
            return self._config.live
        return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    @hookimpl
    def morphml_trial_finished(self, trial: Trial, state: State) -> None:
        """Count it; tell when it is the best so far."""
        self._news = self.tally.over(trial, state) or self._news
        self._tick()

    @hookimpl
    def morphml_trial_failed(self, trial: Trial, state: State) -> None:
        """Count it."""
        self.tally.over(trial, state)
        self._tick()

    @hookimpl
    def morphml_trial_stopped(self, trial: Trial, state: State) -> None:
        """Count it."""
        self.tally.over(trial, state)
        self._tick()

    @hookimpl
    def morphml_trial_reported(self, trial: Trial) -> None:
        """Note how far it is."""
        self.tally.reported(trial)
        self._tick()

    @hookimpl
    def morphml_trial_lost(self, trial: Trial) -> None:
        """It runs no more."""
        self.tally.lost(trial)

    @hookimpl
    def morphml_experiment_ended(self) -> None:
        """Tell the last news."""
        if self._view is None:
            self._improvement()
            self._line()

    @hookimpl
    def morphml_close(self) -> None:
        """Leave the terminal as it was, with the last view on it."""
        if self._view is not None:
            self._view.stop()
            self._view = None

    def _tick(self) -> None:
        if self._view is not None:
            return
        at = self._clock()
        if self._news and at - self._spoke >= _PAUSE:
            self._spoke = at
            self._improvement()
        if at >= self._next:
            self._next = at + self._config.every
            self._line()

    def _improvement(self) -> None:
        best = self.tally.best
        if self._news and best is not None:
            place = "best so far" if best.repeat_of is None else f"finals: trial {best.repeat_of} again, best so far"
            self._write(f"trial {best.number}: {metrics(self.tally.shown(best))} ({place})")
        self._news = False

    def _line(self) -> None:
        self.tally.sample()
        if self.tally.done() != self._told or not self.tally.done():
            self._told = self.tally.done()
            self._write(self.tally.line())


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


plugin: Any = hook(Config, Progress)
