"""What passes between the search's thread and the master's loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition
from time import monotonic

from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Report


class Mailbox:
    """Messages for the search.  `put`, `nudge` and `fail` are for the loop, `take` for the search."""

    def __init__(self) -> None:
        self._change = Condition()
        self._messages: deque[Report | Outcome] = deque()
        self._nudged = False
        self._failure: BaseException | None = None

    def put(self, messages: Sequence[Report | Outcome]) -> None:
        """Messages, in order."""
        with self._change:
            self._messages.extend(messages)
            self._change.notify()

    def nudge(self) -> None:
        """Let `take` return, although there is no message."""
        with self._change:
            self._nudged = True
            self._change.notify()

    def fail(self, failure: BaseException) -> None:
        """The master has broken down."""
        with self._change:
            self._failure = self._failure or failure
            self._change.notify()

    def take(self, timeout: float) -> Sequence[Report | Outcome]:
        """All messages, waiting at most so many seconds for the first.  Raises `MorphMLError` when the master has broken down."""
        until = monotonic() + timeout
        with self._change:
            while not (self._messages or self._nudged or self._failure):
                left = until - monotonic()
                if left <= 0 or not self._change.wait(left):
                    break
            self._nudged = False
            found = list(self._messages)
            self._messages.clear()
            if self._failure is not None and not found:
                raise MorphMLError(f"the master has broken down: {self._failure}") from self._failure
            return found
