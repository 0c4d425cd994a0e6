"""How much a peer may send.  docs/protocol.md tells what happens to one that sends more."""

from __future__ import annotations

import attrs

PROTOCOL = 1
"""The version of the protocol: a peer with another one is refused."""

MESSAGE = 4 * 2**20
"""The largest message, in bytes; also what frames are batched up to."""
CHUNK = 2**20
"""The most data in one chunk of an artifact, in bytes."""
WORKLOAD = 2 * 2**20
"""The longest specification of a workload, in characters."""
GENOTYPE = 2**20
"""The longest genotype, in characters of JSON."""
TEXT = 8192
"""The longest message or reason, in characters; longer ones are cut by who sends them."""
NAME = 200
"""The longest name (of a worker, a distribution, a label, a GPU, a metric), in characters."""
ARTIFACT = 1000
"""The longest name of an artifact, in characters."""
NONCE = 32
"""The bytes of a nonce, and of a proof."""

FRAMES = 10_000
"""The most frames in one message."""
METRICS = 1000
"""The most metrics in one report or result."""
HELD = 10_000
"""The most tasks that one worker can hold."""
GPUS = 256
LABELS = 256
DISTRIBUTIONS = 2000

NUMBER = 2**48
"""Trial numbers are below this."""
COUNT = 2**31
"""Attempts and steps are below this."""
SERIAL = 2**63
"""Terms, serials and sizes in bytes are below this."""

MANY = 1e6
"""The most CPUs or GPUs of a worker or a task."""

HELLO_DEADLINE = 10.0
"""Seconds that a peer has for its hello after the challenge."""
CALL_DEADLINE = 600.0
"""Seconds that one call for an artifact may take."""
FRAME_RATE = 20_000.0
"""Frames a second that a worker may send on average."""
FRAME_BURST = 40_000.0
"""Frames that it may send at once after a pause."""
JOIN_RATE = 50.0
"""Streams a second that the master opens on average, over all peers."""
JOIN_BURST = 2000.0
"""Streams that it opens at once after a pause: all workers come at once when a master starts again."""
SNAPSHOT_EVERY = 0.2
"""The shortest time between two snapshots for one viewer, in seconds."""


@attrs.define
class Meter:
    """Measures a rate (a token bucket): `rate` a second on average, `burst` at once.  Knows no clock of its own."""

    rate: float
    burst: float
    _level: float = attrs.field(default=0.0, init=False)
    _at: float | None = attrs.field(default=None, init=False)

    def wait(self, amount: float, now: float) -> float:
        """Count `amount` at time `now`; returns the seconds that the peer is ahead of what it may (0.0: within it)."""
        since = 0.0 if self._at is None else max(0.0, now - self._at)
        self._level = max(0.0, self._level - since * self.rate) + amount
        self._at = now
        return max(0.0, self._level - self.burst) / self.rate
