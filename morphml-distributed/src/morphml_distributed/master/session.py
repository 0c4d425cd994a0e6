"""One worker's connection, as the master keeps it: who it is, how far its joining has come, and the frames that wait for its stream."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.joining import Greeting

BACKLOG = 50_000
"""So many frames may wait for a stream; a worker that reads more slowly loses its connection."""

State: TypeAlias = Literal["welcomed", "ready", "unable", "gone"]


class Session:
    """A worker that was let in.  `number` tells its connections apart; `key` opens the artifacts to it, while it lives.

    `kept`: the tasks that it holds belong to this experiment.  `leases` are those that it was given and has not answered; `heard` is when it last said something.
    """

    def __init__(self, greeting: Greeting, number: int, kept: bool, now: float) -> None:
        held = greeting.held if kept else ()
        self.worker = greeting.worker
        self.capacity = greeting.capacity
        self.distributions: Mapping[str, str] = greeting.distributions
        self.number = number
        self.kept = kept
        self.held = held
        self.key = secrets.token_urlsafe(24)
        self.state: State = "welcomed"
        self.reason = ""
        self.since = self.heard = now
        self.leases: set[m.Lease] = {each.lease for each in held}
        self.frames_of = limits.Meter(limits.FRAME_RATE, limits.FRAME_BURST)
        self.calls = 0
        self._frames: deque[pb.MasterFrame] = deque()
        self._change = asyncio.Event()
        self.closing = asyncio.Event()
        self._closed = False

    def send(self, frame: pb.MasterFrame) -> None:
        """Queue a frame.  A worker that does not read what is queued is cut off."""
        if self._closed:
            return
        frames = self._frames
        if len(frames) >= BACKLOG:
            frames.clear()
            self.close(f"it does not read what it is sent: {BACKLOG} frames wait")
            return
        frames.append(frame)
        if len(frames) == 1:
            self._change.set()

    def close(self, reason: str = "") -> None:
        """End the stream after what is queued; with a reason, the worker is told it."""
        if self.closing.is_set():
            return
        if reason:
            self._frames.append(pb.MasterFrame(evict=pb.Evict(reason=reason)))
        self.reason = self.reason or reason
        self._closed = True
        self.closing.set()
        self._change.set()

    async def batch(self) -> list[pb.MasterFrame]:
        """What is queued, as much as one message holds, waiting for the first of it; empty when the stream is to end."""
        while not self._frames and not self.closing.is_set():
            self._change.clear()
            await self._change.wait()
        taken: list[pb.MasterFrame] = []
        size = 0
        while self._frames and len(taken) < limits.FRAMES:
            length = self._frames[0].ByteSize() + 8
            if taken and size + length > limits.MESSAGE:
                break
            size += length
            taken.append(self._frames.popleft())
        return taken
