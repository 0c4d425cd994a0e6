"""The network between the workers and the master: latency, cuts, delays, and connections that end as those of TCP do."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

from morphml_distributed.simulation.timeline import Timeline

KEEPALIVE = 30.0
"""Seconds after which both ends of a connection that is cut give it up."""

Arrival: TypeAlias = Callable[[], object]


class Route:
    """The way between one worker's machine and the master.

    `latency` is seconds one way, to which comes an exponentially distributed `jitter` (its mean, in seconds).  While `cut`, what arrives waits
    until the route heals.  `lag` is what messages to the master take longer.
    """

    def __init__(self, timeline: Timeline, rng: random.Random, latency: float, jitter: float) -> None:
        self.cut = False
        self.lag = 0.0
        self._timeline = timeline
        self._rng = rng
        self._latency = latency
        self._jitter = jitter
        self._cuts = 0
        self._kept: list[Arrival] = []
        self._on_timeout: dict[Callable[[], object], None] = {}

    def carry(self, arrive: Arrival, lag: float = 0.0, after: float = 0.0) -> float:
        """Let something arrive later, and not before the moment `after`; returns when that is."""
        due = self._timeline.now + self._latency + lag
        if self._jitter:
            due += self._rng.expovariate(1.0) * self._jitter
        due = max(due, after)
        self._timeline.at(due, lambda: self._arrive(arrive))
        return due

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Plan something that no cut stops."""
        self._timeline.after(seconds, call)

    def block(self, seconds: float) -> None:
        """Cut it for so long.  Connections that are cut for longer than `KEEPALIVE` end."""
        if self.cut:
            return
        self.cut = True
        self._cuts += 1
        count = self._cuts
        self._timeline.after(seconds, self._heal)
        if seconds > KEEPALIVE:
            self._timeline.after(KEEPALIVE, lambda: self._time_out(count))

    def slow(self, seconds: float, lag: float) -> None:
        """Let messages to the master take `lag` seconds longer, for so many seconds."""
        self.lag += lag
        self._timeline.after(seconds, lambda: self._hurry(lag))

    def watch(self, on_timeout: Callable[[], object]) -> None:
        """Call it when the route has been cut for too long."""
        self._on_timeout[on_timeout] = None

    def unwatch(self, on_timeout: Callable[[], object]) -> None:
        """Call it no more."""
        self._on_timeout.pop(on_timeout, None)

    def _arrive(self, arrive: Arrival) -> None:
        if self.cut:
            self._kept.append(arrive)
        else:
            arrive()

    def _heal(self) -> None:
        self.cut = False
        kept, self._kept = self._kept, []
        for arrive in kept:
            arrive()

    def _hurry(self, lag: float) -> None:
        self.lag = max(0.0, self.lag - lag)

    def _time_out(self, count: int) -> None:
        if self.cut and count == self._cuts:
            self._kept.clear()
            watching, self._on_timeout = self._on_timeout, {}
            for call in watching:
                call()


class Connection:
    """One connection of a worker.  What is sent is a call, made at the other end when it arrives, in order, if that end is still open.

    `worker_lost` and `master_lost` are called at an end when the other has closed; `to_worker` takes each call that arrives at the worker.
    """

    def __init__(
        self, route: Route, to_worker: Callable[[Arrival], object], worker_lost: Callable[[Connection], object]
    ) -> None:
        self.worker_open = self.master_open = True
        self.master_lost: Callable[[], object] = lambda: None
        self._route = route
        self._to_worker = to_worker
        self._worker_lost = worker_lost
        self._last_up = self._last_down = 0.0
        route.watch(self._break)

    def up(self, call: Arrival) -> None:
        """Send something to the master."""
        if self.worker_open:
            self._last_up = self._route.carry(lambda: self._at_master(call), self._route.lag, self._last_up)

    def down(self, call: Arrival) -> None:
        """Send something to the worker."""
        if self.master_open:
            self._last_down = self._route.carry(lambda: self._at_worker(call), 0.0, self._last_down)

    def close_worker(self, silently: bool = False) -> None:
        """The worker's end closes; the master hears of it after what is on its way, or, where the machine is dead, by its silence."""
        if not self.worker_open:
            return
        self.worker_open = False
        if silently:
            self._route.later(KEEPALIVE, self._lose_master)
        else:
            self._last_up = self._route.carry(self._lose_master, self._route.lag, self._last_up)

    def close_master(self) -> None:
        """The master's end closes; the worker hears of it after what is on its way."""
        if not self.master_open:
            return
        self.master_open = False
        self._last_down = self._route.carry(lambda: self._at_worker(self._lose_worker), 0.0, self._last_down)

    def _at_master(self, call: Arrival) -> None:
        if self.master_open:
            call()

    def _at_worker(self, call: Arrival) -> None:
        if self.worker_open:
            self._to_worker(call)

    def _lose_master(self) -> None:
        if self.master_open:
            self.master_open = False
            self.master_lost()
        if not self.worker_open:
            self._route.unwatch(self._break)

    def _lose_worker(self) -> None:
        if self.worker_open:
            self.worker_open = False
            self._worker_lost(self)
        if not self.master_open:
            self._route.unwatch(self._break)

    def _break(self) -> None:
        self._lose_master()
        self._at_worker(self._lose_worker)
