"""Things to be done at a certain time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator


class Timers:
    """Calls to be made when their time has come.  A call that is not wanted any more must find that out itself."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Call then."""
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, call))

    @property
    def due(self) -> float | None:
        """When the next call is to be made."""
        return self._heap[0][0] if self._heap else None

    def ripe(self, now: float) -> Iterator[Callable[[], None]]:
        """The calls whose time has come, in order."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]
