"""How unlikely a worker's silence is, by the history of its own heartbeats: the phi accrual failure detector.

Hayashibara, Défago, Yared, Katayama: The phi accrual failure detector, SRDS 2004.
"""

from __future__ import annotations

import math
from collections import deque

_WINDOW = 50
_LEAST_DEVIATION = 0.25
"""Of a heartbeat: below it, phi would speak of the scheduling of processes and not of the worker."""
_HIGHEST = 300.0


def phi_of(deviations: float) -> float:
    """-log10 of the probability that a normal value lies so many standard deviations above its mean."""
    if deviations > 35.0:  # erfc would underflow; its asymptote
        return min(_HIGHEST, (deviations**2 / 2 + math.log(deviations * math.sqrt(2 * math.pi))) / math.log(10))
    return -math.log10(0.5 * math.erfc(deviations / math.sqrt(2)))


def deviations_of(phi: float) -> float:
    """The inverse of `phi_of`, for phi from 0.31 (the mean) to 300."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if phi_of(middle) < phi else (low, middle)
    return high


class Suspicion:
    """The pauses between one worker's heartbeats.  Begins with what is expected: two of them, a quarter apart on either side."""

    __slots__ = ("_beat", "_mean", "_pauses", "_square", "_sum", "deviation", "expected", "heard")

    def __init__(self, expected: float, now: float) -> None:
        self.expected = expected
        self.heard = self._beat = now
        self._pauses: deque[float] = deque()
        self._sum = self._square = 0.0
        self._add(0.75 * expected)
        self._add(1.25 * expected)

    def _add(self, pause: float) -> None:
        if len(self._pauses) == _WINDOW:
            former = self._pauses.popleft()
            self._sum -= former
            self._square -= former * former
        self._pauses.append(pause)
        self._sum += pause
        self._square += pause * pause
        count = len(self._pauses)
        self._mean = self._sum / count
        variance = max(0.0, self._square / count - self._mean**2)
        self.deviation = max(_LEAST_DEVIATION * self.expected, math.sqrt(variance))

    def beat(self, now: float) -> None:
        """A heartbeat has come."""
        self._add(max(0.0, now - self._beat))
        self.heard = self._beat = now

    def forgive(self, now: float) -> None:
        """The listener itself was asleep: the silence until now says nothing."""
        self.heard = self._beat = now

    def phi(self, now: float) -> float:
        """How unlikely the silence until now is: 1 stands for a tenth, 2 for a hundredth, and so on."""
        return max(0.0, phi_of((now - self.heard - self._mean) / self.deviation))

    def until(self, deviations: float, longest: float) -> float:
        """When the silence will be so many standard deviations long, or `longest` seconds."""
        return self.heard + min(longest, max(self.expected, self._mean) + deviations * self.deviation)
