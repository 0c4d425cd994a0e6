"""`Rules`: everything about the dispatcher that can be tuned."""

from __future__ import annotations

from typing import Any

import attrs
from attrs.validators import ge, gt, optional

from morphml_core.plugins.units import Bytes, Seconds

# Any: the validators are generic, and a time is a number of a type of its own.
_over: Any = gt
_least: Any = ge
_optional: Any = optional


@attrs.frozen
class Rules:
    """What the dispatcher goes by.  The defaults suit evaluations of a second to a day on a local network."""

    heartbeat: Seconds = attrs.field(default=Seconds(1.0), validator=_over(0))
    """How often a worker says that it lives."""
    grace: Seconds | None = attrs.field(default=None, validator=_optional(_least(0)))
    """How long a worker whose connection broke may take to come back; None: one heartbeat."""
    suspect_phi: float = attrs.field(default=3.0, validator=_over(0))
    """A worker whose silence is this unlikely (10 to the power of minus phi) gets no new tasks."""
    lost_phi: float = attrs.field(default=12.0, validator=_over(0))
    """A worker whose silence is this unlikely is lost."""
    longest_silence: float = attrs.field(default=10.0, validator=_over(1))
    """A worker that was silent for so many heartbeats is lost, whatever its history."""
    backoff: Seconds = attrs.field(default=Seconds(1.0), validator=_least(0))
    """The longest pause before an attempt, after the first one has failed."""
    backoff_factor: float = attrs.field(default=2.0, validator=_least(1))
    """By how much that pause grows with each further one."""
    backoff_cap: Seconds = attrs.field(default=Seconds(60.0), validator=_least(0))
    """The longest that it grows to."""
    poison: int = attrs.field(default=3, validator=_least(1))
    """A trial with which so many workers or processes have died is put aside."""
    breaker_lost: int = attrs.field(default=3, validator=_least(1))
    """A worker on which the processes of so many trials died in a row gets no tasks for a while."""
    breaker_failed: int = attrs.field(default=10, validator=_least(1))
    """So does one on which so many trials failed in a row, from whatever cause."""
    cooldown: Seconds = attrs.field(default=Seconds(5.0), validator=_over(0))
    """How long that while is at first; it doubles each time that the trial of it fails."""
    cooldown_cap: Seconds = attrs.field(default=Seconds(300.0), validator=_over(0))
    """The longest that it grows to."""
    prefetch: int | None = attrs.field(default=None, validator=_optional(_least(0)))
    """Tasks that a worker has beyond those that it runs; None: by how long they take."""
    ahead: Seconds = attrs.field(default=Seconds(0.5), validator=_over(0))
    """The seconds of work that a worker should have ahead, where `prefetch` is None."""
    longest_prefetched: Seconds = attrs.field(default=Seconds(1.0), validator=_over(0))
    """Tasks that take longer are not prefetched, where `prefetch` is None."""
    prefetch_cap: int = attrs.field(default=64, validator=_least(1))
    """The most tasks that a worker prefetches, where `prefetch` is None."""
    patience: Seconds = attrs.field(default=Seconds(60.0), validator=_least(0))
    """How long a task that no connected worker could hold waits for one that can."""
    stalled: Seconds = attrs.field(default=Seconds(30.0), validator=_over(0))
    """How long tasks wait without any worker until that is noted; the pause to the next such note doubles."""
    cancel_limit: Seconds = attrs.field(default=Seconds(30.0), validator=_over(0))
    """How long a worker may take to end a cancelled task, until the search is told that it has ended."""
    adoption: Seconds = attrs.field(default=Seconds(10.0), validator=_least(0))
    """How long a task that a worker has kept, or a result of it, waits for the search to submit that trial."""
    disk_free: Bytes | None = attrs.field(default=Bytes(500_000_000), validator=_optional(_least(0)))
    """A worker with fewer free bytes on its disk gets no new tasks."""
    memory: float | None = attrs.field(default=0.97, validator=_optional(_over(0)))
    """Nor does one with a larger share of its memory used."""
    temperature: float | None = attrs.field(default=95.0, validator=_optional(_over(0)))
    """Nor does one whose hottest GPU is hotter, in degrees Celsius."""
    remembered: int = attrs.field(default=10_000, validator=_least(1))
    """Of so many trials that are over the stories are kept, and ten times as many leases whose results counted."""

    @property
    def reconnect(self) -> float:
        """How long a worker whose connection broke may take to come back."""
        return self.heartbeat if self.grace is None else self.grace
