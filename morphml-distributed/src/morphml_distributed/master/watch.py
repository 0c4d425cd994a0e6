"""The streams of those who look on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from morphml_distributed.master.admission import RefusedError
from morphml_distributed.master.joining import Door, refuse
from morphml_distributed.security.tokens import VIEWER
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError, real

_VIEWERS = 100
_LONGEST = 3600.0


def written(snapshot: Mapping[str, Any], most: int = limits.MESSAGE) -> str:
    """A snapshot as JSON; without the single leases where it would be too long for a message with them."""
    text = json.dumps(snapshot)
    return text if len(text) <= most else json.dumps({**snapshot, "leases": []})


class Watching:
    """Serves `Watch`.  `snapshot` gives what is shown; `viewers` are those who look on now."""

    def __init__(self, door: Door, snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._door = door
        self._snapshot = snapshot
        self.viewers = 0

    async def serve(self, context: Any) -> None:
        """One stream: one snapshot, or one every so often until the viewer leaves."""
        try:
            _, said = await self._door.greet(context, VIEWER, pb.ToViewer)
            every = real(said.every, "the time between snapshots", 0.0, _LONGEST)
            if self.viewers >= _VIEWERS:
                raise RefusedError(f"{_VIEWERS} look on already", final=False)
        except (RefusedError, WireError) as error:
            await refuse(context, pb.ToViewer, error)
            return
        self.viewers += 1
        try:
            await self._show(context, every)
        finally:
            self.viewers -= 1

    async def _show(self, context: Any, every: float) -> None:
        while True:
            text = written(self._snapshot())
            if len(text) > limits.MESSAGE:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the cluster is too large for one message")
            await context.write(pb.ToViewer(snapshot=text))
            if not every or self._door.closed:
                return
            await asyncio.sleep(max(every, limits.SNAPSHOT_EVERY))
