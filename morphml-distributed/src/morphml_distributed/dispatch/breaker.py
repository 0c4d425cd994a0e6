"""The circuit breaker of a worker: one on which everything fails gets no tasks for a while, then one to try it."""

from __future__ import annotations

from morphml_distributed.dispatch.rules import Rules

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"

_MOST = 10_000
"""It counts so far, unless the rules want more: where everything fails for days, nothing grows."""


class Breaker:
    """Counts the trials that failed in a row.  One trial that fails again and again counts once: it may be the trial's fault."""

    __slots__ = ("_failed", "_lost", "_rules", "cooldown", "state", "until")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.state = CLOSED
        self.until = 0.0
        self.cooldown: float = rules.cooldown
        self._lost: set[int] = set()
        self._failed: set[int] = set()

    @property
    def failures(self) -> int:
        """How many trials failed in a row."""
        return len(self._failed)

    def succeeded(self) -> bool:
        """A task has finished.  Whether the breaker has closed with it."""
        if self._failed:
            self._lost.clear()
            self._failed.clear()
        if self.state is CLOSED:
            return False
        self.state, self.cooldown = CLOSED, self._rules.cooldown
        return True

    def failed(self, number: int, lost: bool, now: float, others: bool = True) -> bool:
        """A task has failed; `lost`: its process has died.  Whether the breaker has opened with it.

        `others`: on other workers trials succeed.  Where they fail everywhere, it is not the worker's fault, and nobody is spared.
        """
        if len(self._failed) >= max(_MOST, self._rules.breaker_failed):
            self._failed.pop()
        self._failed.add(number)
        if lost:
            self._lost.add(number)
        if self.state is OPEN:
            return False
        tripped = len(self._lost) >= self._rules.breaker_lost
        if others:
            tripped = tripped or len(self._failed) >= self._rules.breaker_failed
        if self.state is HALF_OPEN:
            if not (lost or others):
                self.state = CLOSED
                return False
            self.cooldown = min(self._rules.cooldown_cap, 2 * self.cooldown)
        elif not tripped:
            return False
        self.state, self.until = OPEN, now + self.cooldown
        return True

    def try_again(self, now: float) -> bool:
        """Whether an open breaker is half open from now on."""
        if self.state is not OPEN or now < self.until:
            return False
        self.state = HALF_OPEN
        return True

    def allows(self, tasks: int) -> bool:
        """Whether a worker that has so many tasks may get one more."""
        return self.state is CLOSED or (self.state is HALF_OPEN and tasks == 0)
