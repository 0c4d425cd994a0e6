"""The master's store of artifacts, for workers that do not reach it by themselves.

What comes and goes lies in a folder of the master's own meanwhile, under names that it has made: no name of a peer is used as a path here, and the
store checks names by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import grpc
import grpc.aio

from morphml_core.errors import MorphMLError
from morphml_core.protocols import Artifacts
from morphml_distributed.folders import PrivateFolder
from morphml_distributed.master.handlers import Received
from morphml_distributed.master.session import Session
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb

T = TypeVar("T")

_CALLS = 32
"""So many calls one worker may have open."""
_THREADS = 4


class _WrongError(Exception):
    """A call cannot be served; the sentence says why."""

    def __init__(self, reason: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(reason)
        self.code = code


class ArtifactCalls:
    """Serves the four calls.  `holder` finds the session of a key; an artifact has at most `largest` bytes."""

    def __init__(self, store: Artifacts | None, holder: Callable[[str], Session | None], largest: int) -> None:
        self._store = store
        self._holder = holder
        self._largest = largest
        self._folder = PrivateFolder("master")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="artifacts")

    def close(self) -> None:
        """Wait for what is being written, and remove what lies in between."""
        self._threads.shutdown(cancel_futures=True)
        self._folder.close()

    async def put(self, context: Any) -> pb.ArtifactStored:
        """Receive an artifact, check it, store it."""
        async with _answering(context), self._admitted(context) as store, self._spare() as (path, file):
            name, size = await self._receive(context, file)
            await self._run(lambda: store.put(name, path))
            return pb.ArtifactStored(size=size)

    async def get(self, said: Received[pb.ArtifactName], context: Any) -> AsyncIterator[pb.ArtifactChunk]:
        """Send an artifact, with the digest of all of it in the last chunk."""
        async with _answering(context), self._admitted(context) as store, self._spare() as (path, _):
            name = _name(said)
            if not await self._run(lambda: store.get(name, path)):
                yield pb.ArtifactChunk(name=name, missing=True)
                return
            digest, first = hashlib.sha256(), True
            with path.open("rb") as file:
                data = await self._run(lambda: file.read(limits.CHUNK))
                while data or first:
                    digest.update(data)
                    following = await self._run(lambda: file.read(limits.CHUNK))
                    last = b"" if following else digest.digest()
                    yield pb.ArtifactChunk(name=name if first else "", data=data, sha256=last)
                    data, first = following, False

    async def names(self, said: Received[pb.ArtifactPrefix], context: Any) -> pb.ArtifactNames:
        """The names with a prefix."""
        async with _answering(context), self._admitted(context) as store:
            prefix = _read(said).prefix
            if len(prefix) > limits.ARTIFACT:
                raise _WrongError(
                    f"a prefix of {len(prefix)} characters is longer than a name; {limits.ARTIFACT} are allowed"
                )
            answer = pb.ArtifactNames(names=await self._run(lambda: store.names(prefix)))
            if answer.ByteSize() > limits.MESSAGE:
                raise _WrongError(
                    f"there are too many artifacts for one list ({len(answer.names)}); ask with a longer prefix"
                )
            return answer

    async def delete(self, said: Received[pb.ArtifactName], context: Any) -> pb.ArtifactDeleted:
        """Forget an artifact."""
        async with _answering(context), self._admitted(context) as store:
            name = _name(said)
            await self._run(lambda: store.delete(name))
            return pb.ArtifactDeleted()

    # parts ------------------------------------------------------------------------------------------

    async def _receive(self, context: Any, file: IO[bytes]) -> tuple[str, int]:
        name, size, digest, given = "", 0, hashlib.sha256(), b""
        async with asyncio.timeout(limits.CALL_DEADLINE):
            while (said := await context.read()) is not grpc.aio.EOF:
                chunk = _read(said)
                name = name or chunk.name
                size += len(chunk.data)
                if given:
                    raise _WrongError("a chunk has come after the last one, which is the one with the digest")
                self._check(name, size, len(chunk.data))
                given = chunk.sha256
                digest.update(chunk.data)
                await self._run(lambda data=chunk.data: file.write(data))  # type: ignore[misc]
        self._check(name, size, 0)
        if given != digest.digest():
            raise _WrongError(f"the artifact '{name}' has not arrived whole", grpc.StatusCode.DATA_LOSS)
        await self._run(file.flush)
        return name, size

    def _check(self, name: str, size: int, chunk: int) -> None:
        if not 0 < len(name) <= limits.ARTIFACT:
            raise _WrongError(f"names of artifacts have 1 to {limits.ARTIFACT} characters, and this one {len(name)}")
        if chunk > limits.CHUNK:
            raise _WrongError(f"a chunk has {chunk} bytes; {limits.CHUNK} are allowed")
        if size > self._largest:
            raise _WrongError(
                f"the artifact '{name}' is larger than {self._largest} bytes, which the master allows (option 'artifact_size')"
            )

    def _admitted(self, context: Any) -> _Admission:
        keys = [value for key, value in context.invocation_metadata() or () if key == "morphml-session"]
        session = self._holder(keys[0]) if len(keys) == 1 and isinstance(keys[0], str) else None
        if session is None:
            raise _WrongError("the session of this call is none, or has ended", grpc.StatusCode.UNAUTHENTICATED)
        if self._store is None:
            raise _WrongError("this master has no store of artifacts", grpc.StatusCode.FAILED_PRECONDITION)
        return _Admission(session, self._store)

    def _spare(self) -> _Spare:
        return _Spare(self._folder.path)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class _Admission:
    """Counts the calls that a session has open."""

    def __init__(self, session: Session, store: Artifacts) -> None:
        self._session = session
        self._store = store

    async def __aenter__(self) -> Artifacts:
        if self._session.calls >= _CALLS:
            raise _WrongError(f"this worker has {_CALLS} calls open", grpc.StatusCode.RESOURCE_EXHAUSTED)
        self._session.calls += 1
        return self._store

    async def __aexit__(self, *exc: object) -> None:
        self._session.calls -= 1


class _Spare:
    """A file of the master's own, removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __aenter__(self) -> tuple[Path, IO[bytes]]:
        self._file = tempfile.NamedTemporaryFile(dir=self._folder, delete=False)  # noqa: SIM115 - closed below
        return Path(self._file.name), self._file

    async def __aexit__(self, *exc: object) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)


class _answering:  # noqa: N801 - reads as a statement
    """What goes wrong in this block is told to the caller, as a status with a sentence."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _WrongError):
            await self._context.abort(error.code, str(error))
        elif isinstance(error, TimeoutError):
            await self._context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"the call took longer than {limits.CALL_DEADLINE:g} s"
            )
        elif isinstance(error, MorphMLError | OSError | UnicodeError | ValueError):
            await self._context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error)[:1000])


def _read(said: Received[Any]) -> Any:
    if said.message is None:
        raise _WrongError("the message cannot be read; it is no protobuf of this protocol")
    return said.message


def _name(said: Received[pb.ArtifactName]) -> str:
    name: str = _read(said).name
    if not 0 < len(name) <= limits.ARTIFACT:
        raise _WrongError(f"names of artifacts have 1 to {limits.ARTIFACT} characters, and this one {len(name)}")
    return name
