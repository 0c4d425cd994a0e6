"""The other end of `Watch`: snapshots of a master, for the command that shows them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Generator, Iterator
from queue import Queue
from typing import Any

import grpc

from morphml_core.errors import MorphMLError
from morphml_distributed.security.channels import open_channel, unreachable
from morphml_distributed.security.settings import Security
from morphml_distributed.security.tokens import VIEWER, proof, token_of
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import name
from morphml_distributed.wire.joining import Greeting, hello_message, nonce_of
from morphml_distributed.wire.morphml_pb2_grpc import MasterStub

_DEADLINE = 20.0


def snapshots(address: str, security: Security, every: float = 0.0) -> Generator[dict[str, Any], None, None]:
    """Snapshots of the master there, one every so many seconds, or only one.  Raises `MorphMLError` with a sentence."""
    token = token_of(security)
    said: Queue[pb.FromViewer | None] = Queue()
    with open_channel(address, security) as channel:
        call = MasterStub(channel).Watch(iter(said.get, None), timeout=None if every else _DEADLINE)
        try:
            yield from _heard(call, said, token, every)
        except grpc.RpcError as error:
            raise MorphMLError(_reason(error, address, security)) from None
        finally:
            said.put(None)
            call.cancel()


def _heard(
    call: Iterator[pb.ToViewer], said: Queue[pb.FromViewer | None], token: bytes, every: float
) -> Iterator[dict[str, Any]]:
    viewer = name(f"viewer-{socket.gethostname()[:100]}-{os.getpid()}", "the name of a viewer")
    for message in call:
        if message.HasField("challenge"):
            answer = proof(token, nonce_of(message.challenge), VIEWER, viewer)
            said.put(pb.FromViewer(hello=hello_message(Greeting(viewer, answer)), every=every))
        elif message.HasField("refusal"):
            raise MorphMLError(f"the master refuses to be looked at: {message.refusal.reason}")
        else:
            found: dict[str, Any] = json.loads(message.snapshot)
            yield found


def _reason(error: grpc.RpcError, address: str, security: Security) -> str:
    if isinstance(error, grpc.Call):
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"the master at {address} does not answer"
        return unreachable(error.details() or "", address, security)
    return str(error)
