"""What is going to happen, in the order of a virtual clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """One thing that is going to happen; `cancel` lets it not happen."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """It does not happen."""
        self.call = None


class Timeline:
    """A clock that goes from one event to the next; those of one moment happen in the order in which they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def at(self, due: float, call: Callable[[], object]) -> Timer:
        """Plan something for a moment; what is planned for the past happens next."""
        timer = Timer(due if due > self.now else self.now, call)
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))
        return timer

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Plan something for so many seconds from now."""
        return self.at(self.now + seconds, call)

    def step(self) -> bool:
        """Go on to the next event, and let it happen; False where nothing is planned."""
        while self._heap:
            due, _, timer = heapq.heappop(self._heap)
            if timer.call is not None:
                self.now = due
                self.events += 1
                timer.call()
                return True
        return False

    def clear(self) -> None:
        """Nothing of it happens."""
        self._heap.clear()
