"""Queues that give their first item at once: of tasks, and of workers.

Both are heaps.  What is taken out of the middle stays in the heap and is skipped when it comes up, which is quicker than to look for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush, nsmallest
from typing import Any, TypeAlias

Key: TypeAlias = "tuple[Any, int, Any]"
"""A rank, a number that is that of the item alone, and the item."""
Place: TypeAlias = "tuple[Any, ...]"
"""The numbers of a rank, and one that is that of the item alone."""

_DEAD = 64
"""A heap is made anew when it has more than so many dead keys, and more dead ones than others."""


class Crowd:
    """Items whose ranks change often.  `live` are the keys that count, by the number of their item."""

    __slots__ = ("_heap", "live")

    def __init__(self) -> None:
        self.live: dict[int, Key] = {}
        self._heap: list[Key] = []

    def __len__(self) -> int:
        return len(self.live)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.live.values())

    def add(self, key: Key) -> None:
        """The item has that rank from now on, whatever it had."""
        self.live[key[1]] = key
        heap = self._heap
        heappush(heap, key)
        if len(heap) > 2 * len(self.live) + _DEAD:
            heap[:] = self.live.values()
            heapify(heap)

    def remove(self, key: Key) -> None:
        """The item is not here any more."""
        del self.live[key[1]]

    @property
    def first(self) -> Key:
        """The key of the lowest rank.  There must be one."""
        heap, live = self._heap, self.live
        key = heap[0]
        while live.get(key[1]) is not key:
            heappop(heap)
            key = heap[0]
        return key

    def some(self, count: int) -> Iterable[Key]:
        """So many of the lowest ranks, in order."""
        return nsmallest(count, self.live.values())


class Line:
    """Items whose ranks stay what they are, until all of them are made anew.  `live` are those that wait, by their numbers.

    Keys do not have the item: the garbage collector has no interest in them then, however many there are.
    """

    __slots__ = ("_heap", "_later", "live")

    def __init__(self) -> None:
        self.live: dict[int, Any] = {}
        self._heap: list[Place] = []
        self._later: list[Place] | None = None

    def __len__(self) -> int:
        return len(self.live)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.live.values())

    def add(self, key: Place, item: Any) -> None:
        """One more waits."""
        self.live[key[-1]] = item
        heappush(self._heap, key)
        if self._later is not None:
            self._later.append(key)

    def remove(self, number: int) -> None:
        """It waits no more."""
        del self.live[number]
        heap = self._heap
        if heap[0][-1] == number:
            heappop(heap)
        elif len(heap) > 2 * len(self.live) + _DEAD:
            heap[:] = [key for key in heap if key[-1] in self.live]
            heapify(heap)

    @property
    def first(self) -> Place:
        """The key of the lowest rank.  There must be one."""
        heap, live = self._heap, self.live
        key = heap[0]
        while key[-1] not in live:
            heappop(heap)
            key = heap[0]
        return key

    def begin(self) -> None:
        """From now on remember what is added: all other keys are being made anew."""
        self._later = []

    def replace(self, heap: list[Place]) -> list[Place]:
        """These are the new keys of what waited at `begin`, as a heap; what has gone meanwhile may be among them.  The former ones."""
        for key in self._later or ():
            heappush(heap, key)
        former, self._heap, self._later = self._heap, heap, None
        return former
