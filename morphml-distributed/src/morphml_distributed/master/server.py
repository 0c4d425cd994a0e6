"""The master: a thread with a loop, in which the dispatcher, the streams of the workers and the calls for artifacts live."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

import attrs
import grpc
import grpc.aio

from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Resources
from morphml_core.protocols import Artifacts, Shared
from morphml_distributed import __version__
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.master.admission import Offer
from morphml_distributed.master.artifacts import ArtifactCalls
from morphml_distributed.master.conductor import Conductor
from morphml_distributed.master.handlers import Received, handlers
from morphml_distributed.master.joining import Door, Joining, Terms
from morphml_distributed.master.logs import Refusals, logger
from morphml_distributed.master.mailbox import Mailbox
from morphml_distributed.master.memory import Attic
from morphml_distributed.master.observers import Observer
from morphml_distributed.master.watch import Watching
from morphml_distributed.security.channels import OPTIONS, bind
from morphml_distributed.security.settings import Security
from morphml_distributed.wire import morphml_pb2 as pb

T = TypeVar("T")

_STREAMS = 20_000
"""So many streams and calls at once, all peers together."""
_HANDSHAKE = 10_000
"""Milliseconds that a connection has until it speaks gRPC."""
_START = 30.0
_CANCELLING = 2.0
"""Seconds that workers have, when the master closes, to say that they have ended what they ran."""
STUCK = 5.0
_FEW = 10_000
"""With more open tasks than that there is no time for the garbage collector to look at all of them."""


@attrs.frozen
class Setting:
    """Where and how a master listens.  `artifact_size`: the largest artifact, in bytes."""

    listen: str
    security: Security
    terms: Terms
    heartbeat: float
    artifact_size: int


class Calls:
    """The service's methods, each handed on; what `handlers` needs."""

    def __init__(self, joining: Joining, watching: Watching, artifacts: ArtifactCalls) -> None:
        self.received = self.sent = 0
        self._joining = joining
        self._watching = watching
        self._artifacts = artifacts

    async def join(self, _: object, context: Any) -> None:
        """A worker's stream."""
        await self._joining.serve(context)

    async def watch(self, _: object, context: Any) -> None:
        """A viewer's stream."""
        await self._watching.serve(context)

    async def put_artifact(self, _: object, context: Any) -> pb.ArtifactStored:
        """An artifact comes."""
        return await self._artifacts.put(context)

    async def get_artifact(self, said: Received[pb.ArtifactName], context: Any) -> AsyncIterator[pb.ArtifactChunk]:
        """An artifact goes."""
        async for chunk in self._artifacts.get(said, context):
            yield chunk

    async def list_artifacts(self, said: Received[pb.ArtifactPrefix], context: Any) -> pb.ArtifactNames:
        """Names."""
        return await self._artifacts.names(said, context)

    async def delete_artifact(self, said: Received[pb.ArtifactName], context: Any) -> pb.ArtifactDeleted:
        """An artifact is forgotten."""
        return await self._artifacts.delete(said, context)


class Master:
    """Listens from its construction until `close`.  What the search gets goes to the `mailbox`.

    Raises `MorphMLError` where it cannot listen.
    """

    def __init__(
        self,
        setting: Setting,
        machine: Machine,
        offer: Offer,
        artifacts: Artifacts | None,
        mailbox: Mailbox,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._setting = setting
        self._mailbox = mailbox
        self._machine = machine
        self._experiment = str(offer.workload.get("experiment", ""))
        self._digest = offer.digest
        self._events: deque[m.Event] = deque()
        self._open: dict[int, int] = {}
        self._awake = False
        self._need = Resources()
        self._started = self._beat = monotonic()
        self._conductor = Conductor(machine, self._deliver, observers, mailbox.fail, setting.heartbeat)
        shared = isinstance(artifacts, Shared) and artifacts.shared
        self._door = Door(setting.terms, self._conductor.clock)
        joining = Joining(self._conductor, offer, self._door, shared, Refusals().tell)
        self._artifacts = ArtifactCalls(artifacts, self._conductor.holder, setting.artifact_size)
        self._watching = Watching(self._door, self._snapshot)
        self._calls = Calls(joining, self._watching, self._artifacts)
        self.slots = 1
        self.port = 0
        self._attic = Attic()
        self._attic.open()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="master", daemon=True)
        self._thread.start()
        try:
            self.port = self._call(self._start()).result(_START)
        except BaseException:
            self._end()
            raise

    # from the search's thread -----------------------------------------------------------------------

    def post(self, event: m.Event) -> None:
        """Tell the dispatcher; wakes the loop once for all that is posted before it looks."""
        self._events.append(event)
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._drain)

    def snapshot(self, timeout: float = 2.0) -> Mapping[str, Any] | None:
        """What viewers see; None where the loop does not answer in time."""

        async def take() -> Mapping[str, Any]:
            return self._snapshot()

        try:
            return self._call(take()).result(timeout)
        except (LateError, RuntimeError):
            return None

    def trouble(self) -> str:
        """Why the master does not do its work; empty where it does."""
        if not self._thread.is_alive():
            return "the master has ended"
        silent = monotonic() - self._beat
        return f"the master's loop has not moved for {silent:.0f} s" if silent > STUCK else ""

    def unready(self) -> str:
        """Why workers cannot join now; empty where they can."""
        return self.trouble() or ("the master is ending" if self._door.closed else "")

    def close(self) -> None:
        """Cancel everything, tell the workers, stop listening."""
        if self._thread.is_alive():
            with suppress(LateError, MorphMLError):
                self._call(self._stop()).result(_CANCELLING + 8.0)
        self._end()
        self._mailbox.put([Outcome(number, attempt) for number, attempt in self._open.items()])
        self._open.clear()

    # the thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._broken)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise

    def _end(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)
        self._artifacts.close()
        self._attic.close()

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody has caught is told; the search has heard of an error of the dispatcher already."""
        error = context.get("exception")
        if isinstance(
            error, BlockingIOError
        ):  # several loops share gRPC's one poller, and only one of them gets its byte
            return
        logger.error("%s", context.get("message"), exc_info=error)

    async def _start(self) -> int:
        options = [*OPTIONS, ("grpc.server_handshake_timeout_ms", _HANDSHAKE)]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_STREAMS)
        self._server.add_generic_rpc_handlers((handlers(self._calls),))
        port = bind(self._server, self._setting.listen, self._setting.security)
        await self._server.start()
        self._pulse = asyncio.ensure_future(self._live())
        return port

    async def _live(self) -> None:
        """Show that the loop moves, and see to what is due twice a second."""
        while True:
            self._beat = monotonic()
            self._count_slots()
            if len(self._open) < _FEW:
                self._attic.air()
            else:
                self._attic.store()
            await asyncio.sleep(0.5)

    async def _stop(self) -> None:
        self._door.closed = True
        self._drain()
        self._conductor.feed([m.Cancelled(number) for number in list(self._open)])
        until = monotonic() + _CANCELLING
        while self._open and self._conductor.sessions and monotonic() < until:
            await asyncio.sleep(0.01)
        for session in list(self._conductor.sessions.values()):
            session.close()
        while self._conductor.sessions and monotonic() < until + 2.0:
            await asyncio.sleep(0.01)
        self._pulse.cancel()
        self._conductor.close()
        await self._server.stop(0.2)

    # in the loop ------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._awake = False
        events: list[m.Event] = []
        while self._events:
            event = self._events.popleft()
            if type(event) is m.Submitted:
                self._open[event.task.number] = event.task.attempt
                self._need = event.task.resources
            events.append(event)
        if events:
            self._conductor.feed(events)
            self._count_slots()

    def _deliver(self, messages: Sequence[Any]) -> None:
        for message in messages:
            if type(message) is Outcome:
                self._open.pop(message.number, None)
        self._count_slots()
        self._mailbox.put(messages)

    def _count_slots(self) -> None:
        slots = max(1, self._machine.slots(self._need))
        if slots > self.slots:
            self.slots = slots
            self._mailbox.nudge()
        self.slots = slots

    def _snapshot(self) -> Mapping[str, Any]:
        conductor = self._conductor
        held = dict(self._machine.snapshot(conductor.clock()))
        joined = {worker["name"] for worker in held["workers"]}
        idle = [
            {
                "name": session.worker,
                "state": "unable" if session.state == "unable" else "joining",
                "reason": session.reason,
            }
            for session in conductor.sessions.values()
            if session.state != "ready" and session.worker not in joined
        ]
        return {**held, "workers": [*held["workers"], *idle], "master": self._about()}

    def _about(self) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "experiment": self._experiment,
            "digest": self._digest,
            "term": self._conductor.term,
            "listen": self.address,
            "uptime": monotonic() - self._started,
            "open": len(self._open),
            "given": self._conductor.given,
            "received": self._calls.received,
            "sent": self._calls.sent,
            "refused": self._door.refused,
        }

    @property
    def address(self) -> str:
        """Where it listens, HOST:PORT."""
        return f"{self._setting.listen.rpartition(':')[0]}:{self.port}"
