"""`Rules`: everything about the dispatcher that can be tuned."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, optional

_DISK_FREE: int | None = 500_000_000
_MEMORY: float | None = 0.97
_TEMPERATURE: float | None = 95.0


@attrs.frozen
class Rules:
    """Times are in seconds.  The defaults suit evaluations of a second to a day on a local network."""

    heartbeat: float = attrs.field(default=1.0, validator=gt(0))
    """How often a worker says that it lives."""
    grace: float | None = attrs.field(default=None, validator=optional(ge(0)))
    """How long a worker whose connection broke may take to come back; None: one heartbeat."""
    suspect_phi: float = attrs.field(default=3.0, validator=gt(0))
    """A worker whose silence is this unlikely (10 to the power of minus phi) gets no new tasks."""
    lost_phi: float = attrs.field(default=12.0, validator=gt(0))
    """A worker whose silence is this unlikely is lost."""
    longest_silence: float = attrs.field(default=10.0, validator=gt(1))
    """A worker that was silent for so many heartbeats is lost, whatever its history."""
    backoff: float = attrs.field(default=1.0, validator=ge(0))
    """The longest pause before an attempt, after one process has died with the trial."""
    backoff_factor: float = attrs.field(default=2.0, validator=ge(1))
    """By how much that pause grows with each further one."""
    backoff_cap: float = attrs.field(default=60.0, validator=ge(0))
    """The longest that it grows to."""
    poison: int = attrs.field(default=3, validator=ge(1))
    """A trial with which so many workers or processes have died is put aside."""
    breaker_lost: int = attrs.field(default=3, validator=ge(1))
    """A worker on which the processes of so many trials died in a row gets no tasks for a while."""
    breaker_failed: int = attrs.field(default=10, validator=ge(1))
    """So does one on which so many trials failed in a row, from whatever cause."""
    cooldown: float = attrs.field(default=5.0, validator=gt(0))
    """How long that while is at first; it doubles each time that the trial of it fails."""
    cooldown_cap: float = attrs.field(default=300.0, validator=gt(0))
    """The longest that it grows to."""
    prefetch: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Tasks that a worker has beyond those that it runs; None: by how long they take."""
    ahead: float = attrs.field(default=0.5, validator=gt(0))
    """The seconds of work that a worker should have ahead, where `prefetch` is None."""
    longest_prefetched: float = attrs.field(default=1.0, validator=gt(0))
    """Tasks that take longer are not prefetched, where `prefetch` is None."""
    prefetch_cap: int = attrs.field(default=64, validator=ge(1))
    """The most tasks that a worker prefetches, where `prefetch` is None."""
    patience: float = attrs.field(default=60.0, validator=ge(0))
    """How long a task that no connected worker could hold waits for one that can."""
    stalled: float = attrs.field(default=30.0, validator=gt(0))
    """How long tasks wait without any worker until that is noted; the pause to the next such note doubles."""
    cancel_limit: float = attrs.field(default=30.0, validator=gt(0))
    """How long a worker may take to end a cancelled task, until the search is told that it has ended."""
    adoption: float = attrs.field(default=10.0, validator=ge(0))
    """How long a task that a worker has kept, or a result of it, waits for the search to submit that trial."""
    disk_free: int | None = attrs.field(default=_DISK_FREE, validator=optional(ge(0)))
    """A worker with fewer free bytes on its disk gets no new tasks."""
    memory: float | None = attrs.field(default=_MEMORY, validator=optional(gt(0)))
    """Nor does one with a larger share of its memory used."""
    temperature: float | None = attrs.field(default=_TEMPERATURE, validator=optional(gt(0)))
    """Nor does one whose hottest GPU is hotter, in degrees Celsius."""
    remembered: int = attrs.field(default=10_000, validator=ge(1))
    """Of so many trials that are over the stories are kept, and ten times as many leases whose results counted."""

    @property
    def reconnect(self) -> float:
        """How long a worker whose connection broke may take to come back."""
        return self.heartbeat if self.grace is None else self.grace
