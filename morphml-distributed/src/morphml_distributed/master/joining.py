"""The streams of workers: challenge, hello, welcome or refusal, then frames both ways until one side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
import grpc
import grpc.aio

from morphml_distributed.dispatch import messages as m
from morphml_distributed.master.admission import Offer, RefusedError, checked
from morphml_distributed.master.conductor import Conductor
from morphml_distributed.master.handlers import Received
from morphml_distributed.master.session import Session
from morphml_distributed.security.tokens import WORKER, new_nonce
from morphml_distributed.wire import checks, codec, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError
from morphml_distributed.wire.joining import Greeting, Reception, challenge_message, welcome_message

_LAST_WORDS = 1.0
"""Seconds that a closed stream has for what is queued."""
_COST = 1024
"""So many bytes count as one more frame."""


@attrs.frozen
class Terms:
    """What the master wants of peers: the token, and seconds until the hello, and from the welcome until the workload is built."""

    token: bytes = b""
    hello: float = limits.HELLO_DEADLINE
    ready: float = 600.0


class Door:
    """Opens streams at no more than a rate, challenges, and hears the hello.  For workers and viewers."""

    def __init__(self, terms: Terms, clock: Callable[[], float]) -> None:
        self.terms = terms
        self.closed = False
        self.refused = 0
        self._clock = clock
        self._meter = limits.Meter(limits.JOIN_RATE, limits.JOIN_BURST)

    async def greet(
        self, context: Any, role: str, answer: type[pb.ToWorker] | type[pb.ToViewer]
    ) -> tuple[Greeting, Any]:
        """The greeting of a peer that may be let in, and the message that it came with.  Raises `RefusedError`, `WireError`."""
        if self.closed:
            raise RefusedError("the master is ending", final=False)
        if self._meter.wait(1.0, self._clock()) > 0.0:
            raise RefusedError("too many streams are being opened; try again later", final=False)
        nonce = new_nonce()
        try:
            async with asyncio.timeout(self.terms.hello):
                await context.write(answer(challenge=challenge_message(nonce)))
                said = await context.read()
        except TimeoutError:
            raise RefusedError(f"there was no hello within {self.terms.hello:g} s", final=False) from None
        message = said.message if isinstance(said, Received) else None
        if message is None or not message.HasField("hello"):
            raise RefusedError("the first message of a stream is a hello, and this one is none", final=False)
        return checked(message.hello, self.terms.token, nonce, role), message


class Joining:
    """Serves `Join`.  `told` is called with the name of a worker that was refused or is unable, and the rest of a sentence."""

    def __init__(
        self, conductor: Conductor, offer: Offer, door: Door, shared: bool, told: Callable[[str, str], None]
    ) -> None:
        self._conductor = conductor
        self._offer = offer
        self._door = door
        self._shared = shared
        self._told = told

    async def serve(self, context: Any) -> None:
        """One stream, from the challenge to its end."""
        name = ""
        try:
            greeting, _ = await self._door.greet(context, WORKER, pb.ToWorker)
            name = greeting.worker
            session = self._admit(greeting)
        except (RefusedError, WireError) as error:
            self._door.refused += 1
            if name or getattr(error, "final", True):
                self._told(name, f"refused: {error}")
            await refuse(context, pb.ToWorker, error)
            return
        await self._converse(context, session)

    def _admit(self, greeting: Greeting) -> Session:
        worker, conductor = greeting.worker, self._conductor
        self._offer.check(worker, greeting.distributions)
        if conductor.taken(greeting):
            raise RefusedError(
                f"the name '{worker}' is taken by a worker that lives; give this one another, with --name", final=False
            )
        kept = greeting.experiment == self._offer.digest and conductor.outbid(greeting.held)
        return conductor.open(greeting, kept)

    async def _converse(self, context: Any, session: Session) -> None:
        talk = Conversation(self._conductor, session, context, self._told)
        try:
            await context.write(pb.ToWorker(welcome=welcome_message(self._reception(session))))
            await talk.run(self._door.terms.ready)
        finally:
            self._conductor.end(session, talk.goodbye)

    def _reception(self, session: Session) -> Reception:
        return Reception(
            session.key, self._offer.digest, self._conductor.term, self._offer.workload, self._conductor.heartbeat, self._shared,
            keep_held=session.kept,
        )  # fmt: skip


async def refuse(context: Any, answer: type[pb.ToWorker] | type[pb.ToViewer], error: Exception) -> None:
    """Tell a peer why it is not let in."""
    reason, final = codec.cut(str(error)), getattr(error, "final", True)
    await context.write(answer(refusal=pb.Refusal(reason=reason, final=final)))


class Conversation:
    """The frames of one session, both ways."""

    def __init__(self, conductor: Conductor, session: Session, context: Any, told: Callable[[str, str], None]) -> None:
        self._conductor = conductor
        self._session = session
        self._context = context
        self._told = told
        self.goodbye = False

    async def run(self, ready: float) -> None:
        """Until the worker ends the stream, or is closed.  `ready`: seconds until it has to have built the workload."""
        session = self._session
        late = asyncio.get_running_loop().call_later(ready, self._late, ready)
        reading, writing = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._write())
        closing = asyncio.ensure_future(session.closing.wait())
        try:
            await asyncio.wait((reading, closing, writing), return_when=asyncio.FIRST_COMPLETED)
            session.close()
            await asyncio.wait((writing,), timeout=_LAST_WORDS)
        finally:
            late.cancel()
            for part in (reading, writing, closing):
                part.cancel()
            await asyncio.gather(reading, writing, closing, return_exceptions=True)

    def _late(self, ready: float) -> None:
        if self._session.state == "welcomed":
            self._session.close(f"it has not built the workload within {ready:g} s")

    async def _write(self) -> None:
        with suppress(grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            while frames := await self._session.batch():
                await self._context.write(pb.ToWorker(frames=frames))

    async def _read(self) -> None:
        session, clock = self._session, self._conductor.clock
        try:
            while not session.closing.is_set():
                said = await self._context.read()
                if said is grpc.aio.EOF:
                    return
                session.heard = now = clock()
                self._hear(said)
                ahead = session.frames_of.wait(len(said.message.frames) + 1 + said.size // _COST, now)
                if ahead > 0.0:
                    await asyncio.sleep(ahead)
        except WireError as error:
            self._told(session.worker, f"cut off: {error}")
            session.close(str(error))

    def _hear(self, said: Received[pb.FromWorker]) -> None:
        message = said.message
        if message is None:
            raise WireError("a message of a worker cannot be read; it is no protobuf of this protocol")
        if message.HasField("hello"):
            raise WireError("a hello comes once, as the first message of a stream")
        session = self._session
        worker, number = session.worker, session.number
        events: list[m.Event] = []
        try:
            for frame in checks.few(message.frames, limits.FRAMES, "frames in one message"):
                if session.state != "ready":
                    self._prepare(frame)
                    continue
                event = codec.event_of(worker, number, frame)
                if type(event) is m.Left:
                    self.goodbye = True
                elif type(event) is m.Returned:
                    session.leases.discard(event.lease)
                events.append(event)
        finally:
            if events:
                self._conductor.feed(events)

    def _prepare(self, frame: pb.WorkerFrame) -> None:
        """A frame before the worker is ready."""
        kind, session = frame.WhichOneof("kind"), self._session
        if kind == "ready" and session.state == "welcomed":
            self._conductor.ready(session)
        elif kind == "unable" and session.state == "welcomed":
            session.state, session.reason = "unable", checks.text(frame.unable.reason, "why a worker is unable")
            self._told(session.worker, f"unable to work for this search: {session.reason}")
        elif kind == "goodbye":
            session.close()
        elif kind != "draining" and session.state != "unable":
            raise WireError(
                f"a worker that is not ready has sent a frame {kind or 'without content'}; the first is ready, or unable"
            )
