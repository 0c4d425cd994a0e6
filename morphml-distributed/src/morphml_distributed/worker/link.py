"""One connection to the master: a thread that reads the stream, and a queue of frames that gRPC empties."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs
import grpc

from morphml_core.errors import MorphMLError
from morphml_distributed.dispatch.messages import Lease
from morphml_distributed.security.channels import open_channel, unreachable
from morphml_distributed.security.settings import Security
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.morphml_pb2_grpc import MasterStub

_PACE = 0.001
"""The least time between two messages, in seconds: many quick tasks cost more by the message than by the frame."""


@attrs.frozen
class Ended:
    """The stream is over.  `clean`: the master has closed it; otherwise `reason` is a sentence."""

    clean: bool
    reason: str = ""


Post: TypeAlias = "Callable[[Link, pb.ToWorker | Ended], None]"


class Outbox:
    """Frames that wait for the stream; those that have come while it was busy go in one message.

    A beginning whose result is there before it was sent is left out, and so is a heartbeat that a later one overtakes.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._hello: pb.FromWorker | None = None
        self._frames: list[pb.WorkerFrame | None] = []
        self._begun: dict[Lease, int] = {}
        self._beat: int | None = None
        self._finished = False
        self._next = 0.0

    def hello(self, hello: pb.Hello) -> None:
        """The first message."""
        with self._change:
            self._hello = pb.FromWorker(hello=hello)
            self._change.notify()

    def put(self, frame: pb.WorkerFrame, began: Lease | None = None, ended: Lease | None = None) -> None:
        """Queue a frame.  It tells that the task of the lease `began`, or has `ended`."""
        with self._change:
            if began is not None:
                self._begun[began] = len(self._frames)
            elif ended is not None and (index := self._begun.pop(ended, None)) is not None:
                self._frames[index] = None
            self._frames.append(frame)
            self._change.notify()

    def beat(self, frame: pb.WorkerFrame) -> None:
        """Queue a heartbeat, in place of one that has not gone yet."""
        with self._change:
            if self._beat is not None:
                self._frames[self._beat] = None
            self._beat = len(self._frames)
            self._frames.append(frame)
            self._change.notify()

    def finish(self) -> None:
        """Nothing comes any more: the stream ends after what is queued."""
        with self._change:
            self._finished = True
            self._change.notify()

    def __iter__(self) -> Iterator[pb.FromWorker]:
        return self

    def __next__(self) -> pb.FromWorker:
        """The next message, waiting for it."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        with self._change:
            while not (self._hello or self._frames or self._finished):
                self._change.wait()
            if self._hello is not None:
                message, self._hello = self._hello, None
                return message
            if not self._frames:
                raise StopIteration
            self._next = time.monotonic() + _PACE
            return pb.FromWorker(frames=self._batch())

    def _batch(self) -> list[pb.WorkerFrame]:
        taken: list[pb.WorkerFrame] = []
        size = count = 0
        for frame in self._frames:
            if frame is not None:
                length = frame.ByteSize() + 8
                if taken and (size + length > limits.MESSAGE or len(taken) >= limits.FRAMES):
                    break
                size += length
                taken.append(frame)
            count += 1
        del self._frames[:count]
        self._begun.clear()
        self._beat = None
        return taken


class Link:
    """A connection that is being made, or stands.  What comes is handed to `post`, in the link's own thread; the last of it is `Ended`."""

    def __init__(self, address: str, security: Security, post: Post) -> None:
        self.outbox = Outbox()
        self._address = address
        self._security = security
        self._post = post
        self._closed = threading.Event()
        self._call: Any | None = None
        self._thread = threading.Thread(target=self._serve, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection at once."""
        self._closed.set()
        self.outbox.finish()
        if self._call is not None:
            self._call.cancel()

    def join(self, timeout: float) -> bool:
        """Wait until the connection has ended; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            with open_channel(self._address, self._security) as channel:
                self._call = MasterStub(channel).Join(self.outbox)
                if self._closed.is_set():
                    self._call.cancel()
                for message in self._call:
                    self._post(self, message)
            ended = Ended(True)
        except grpc.RpcError as error:
            ended = Ended(False, self._reason(error))
        except MorphMLError as error:  # certificates that are being replaced, perhaps
            ended = Ended(False, str(error))
        self.outbox.finish()
        self._post(self, ended)

    def _reason(self, error: grpc.RpcError) -> str:
        details = (error.details() if isinstance(error, grpc.Call) else "") or ""
        return unreachable(details, self._address, self._security)
