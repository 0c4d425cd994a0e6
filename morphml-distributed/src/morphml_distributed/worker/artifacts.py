"""The master's store of artifacts, from a worker that does not reach it by itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc

from morphml_core.errors import MorphMLError
from morphml_distributed.security.channels import open_channel
from morphml_distributed.security.settings import Security
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.morphml_pb2_grpc import MasterStub

_T = TypeVar("_T")

_PASSING = (
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED,
)  # fmt: skip
"""What may be over soon: the master is gone or starts again, and the key of the session is then another one."""


class _CorruptError(Exception):
    """What has arrived is not what was sent."""


class SessionKey:
    """A file of this user alone with the key of the worker's present session; its children read it at each call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, key: str) -> None:
        """Replace the key."""
        beside = self._path.with_name(f"{self._path.name}-{uuid.uuid4().hex}")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
        os.replace(beside, self._path)

    def read(self) -> str:
        """The key; empty where there is none."""
        try:
            return self._path.read_text()
        except OSError:
            return ""


class MasterArtifacts:
    """Artifacts that lie with the master.  It pickles as connection data: address, security files, the file with the key.

    Each call opens a connection of its own: so a process that has used it can be forked by its evaluation, and none is left half dead by a
    restart of the master.  A call is tried again for `patience` seconds while the master cannot be reached.
    """

    def __init__(self, address: str, security: Security, key: SessionKey, patience: float = 120.0) -> None:
        self._address = address
        self._security = security
        self._key = key
        self._patience = patience

    def put(self, name: str, source: Path) -> None:
        """Store a copy of the file.  Raises `MorphMLError` when it cannot be read, or be stored."""

        def call(master: MasterStub, **context: Any) -> None:
            with _explained(f"the artifact '{name}' cannot be read from {source}"), open(source, "rb") as read:
                master.PutArtifact(_chunks(name, read), **context)

        self._try(f"the artifact '{name}' cannot be stored with the master", call)

    def get(self, name: str, target: Path) -> bool:
        """Copy the artifact to `target`; False where there is none of that name."""

        def call(master: MasterStub, **context: Any) -> bool:
            with _explained(f"the artifact '{name}' cannot be copied to {target}"):
                return _receive(master.GetArtifact(pb.ArtifactName(name=name), **context), target)

        return self._try(f"the artifact '{name}' cannot be fetched from the master", call)

    def names(self, prefix: str = "") -> Sequence[str]:
        """The names that begin with `prefix`, sorted."""

        def call(master: MasterStub, **context: Any) -> Sequence[str]:
            return list(master.ListArtifacts(pb.ArtifactPrefix(prefix=prefix), **context).names)

        return self._try("the artifacts of the master cannot be listed", call)

    def delete(self, name: str) -> None:
        """Forget the artifact; nothing happens where there is none."""

        def call(master: MasterStub, **context: Any) -> None:
            master.DeleteArtifact(pb.ArtifactName(name=name), **context)

        self._try(f"the artifact '{name}' cannot be deleted from the master", call)

    def _try(self, what: str, call: Callable[..., _T]) -> _T:
        until, pause = time.monotonic() + self._patience, 0.1
        while True:
            try:
                with open_channel(self._address, self._security) as channel:
                    metadata = (("morphml-session", self._key.read()),)
                    return call(MasterStub(channel), metadata=metadata, timeout=limits.CALL_DEADLINE)
            except _CorruptError as error:
                passing, reason = True, str(error)
            except grpc.RpcError as error:
                passing, reason = _read(error)
            if not passing or time.monotonic() + pause > until:
                raise MorphMLError(f"{what}: {reason}")
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(1.0, 2 * pause)


def _read(error: grpc.RpcError) -> tuple[bool, str]:
    """Whether trying again may help, and what the master says."""
    code = error.code() if isinstance(error, grpc.Call) else None
    details = (error.details() if isinstance(error, grpc.Call) else "") or ""
    return code in _PASSING, details or (code.name if code else str(error))


def _chunks(name: str, read: Any) -> Iterator[pb.ArtifactChunk]:
    digest = hashlib.sha256()
    data, first = read.read(limits.CHUNK), True
    while True:
        following = read.read(limits.CHUNK) if data else b""
        digest.update(data)
        yield pb.ArtifactChunk(name=name if first else "", data=data, sha256=b"" if following else digest.digest())
        if not following:
            return
        data, first = following, False


def _receive(chunks: Iterator[pb.ArtifactChunk], target: Path) -> bool:
    """Write what comes beside the target, and put it there when it is whole."""
    beside = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    digest, last = hashlib.sha256(), b""
    try:
        with contextlib.ExitStack() as stack:
            file = None
            for chunk in chunks:
                if chunk.missing:
                    return False
                file = file or stack.enter_context(open(beside, "xb"))
                file.write(chunk.data)
                digest.update(chunk.data)
                last = chunk.sha256
        if last != digest.digest():
            raise _CorruptError("it did not arrive whole")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MorphMLError(f"{what}: {error.strerror or error}") from error
