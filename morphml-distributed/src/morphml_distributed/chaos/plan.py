"""Which faults happen when: a plan that a seed decides."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

KINDS = {
    "kill_worker": "kill -9 of a worker, which starts again after a while",
    "stop_worker": "SIGSTOP of a worker for a while: it is silent, and then late",
    "kill_master": "kill -9 of the master, which starts again",
    "stop_master": "SIGSTOP of the master for a while",
    "lock_storage": "the database is locked by somebody else for a while; a master that gives up starts again",
    "cut_network": "a worker's network is cut, and healed after a while (needs root and `ip netns`)",
    "step_clock": "the master's wall clock is stepped, up to an hour forth or back",
}
"""The kinds of faults, each in a sentence."""

_WEIGHTS = {"kill_worker": 4.0, "stop_worker": 3.0, "kill_master": 2.0, "stop_master": 1.0, "lock_storage": 0.5, "cut_network": 3.0, "step_clock": 1.5}  # fmt: skip
_LONGEST = {"kill_worker": 2.0, "stop_worker": 6.0, "kill_master": 0.5, "stop_master": 3.0, "lock_storage": 8.0, "cut_network": 8.0, "step_clock": 0.0}  # fmt: skip


@attrs.frozen
class Fault:
    """One fault: `at` seconds after the start, for `length` seconds; `draw`, from 0 to 1, decides whom it hits."""

    at: float
    kind: str
    length: float
    draw: float

    def target(self, count: int) -> int:
        """Which of so many it hits."""
        return min(int(self.draw * count), count - 1)

    @property
    def offset(self) -> float:
        """Seconds by which a clock is stepped."""
        return round((self.draw - 0.5) * 7200.0)


def plan(seed: int, length: float, kinds: Sequence[str], every: float = 2.0) -> list[Fault]:
    """Faults at random moments, one in `every` seconds on average, over `length` seconds.

    The first of each kind comes early, in random order, so that a short run has them all.
    """
    rng = np.random.default_rng([seed, 5])
    weights = np.array([_WEIGHTS[kind] for kind in kinds])
    first = [kinds[index] for index in rng.permutation(len(kinds))]
    found: list[Fault] = []
    now = 2.0
    while (now := now + float(rng.exponential(every))) < length:
        drawn = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        kind = first.pop() if first else drawn
        longest = _LONGEST[kind]
        found.append(Fault(now, kind, float(rng.uniform(0.1 * longest, longest)), float(rng.random())))
    return found
