"""A master that does what a test says, on a real socket; and workers for it."""

import json
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from morphml_core.artifacts.local import Config as LocalConfig
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import MorphMLError
from morphml_core.testing.executor import task as behaving
from morphml_distributed.dispatch.messages import Acknowledge, Assign, Capacity, Lease
from morphml_distributed.security.channels import OPTIONS, bind
from morphml_distributed.security.settings import Security
from morphml_distributed.wire import codec, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.morphml_pb2_grpc import MasterServicer, add_MasterServicer_to_server
from morphml_distributed.worker.log import Log
from morphml_distributed.worker.worker import Settings, Worker

MORPHML = str(Path(sys.executable).with_name("morphml"))
PARTS = """\
from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace

space = BehaviourSpace()
evaluator = BehaviourEvaluator()
"""
WORKLOAD = {
    "experiment": "search",
    "space": {"python": "parts.py:space"},
    "evaluator": {"python": "parts.py:evaluator"},
    "artifacts": {"name": "local"},
}


class Stream:
    """One connection of a worker: what it has said, and what is said to it."""

    def __init__(self, hello):
        self.hello = hello
        self.frames = []
        self.out = queue.SimpleQueue()
        self.acknowledges = True
        self.ended = threading.Event()

    def say(self, *instructions):
        self.out.put(pb.ToWorker(frames=[codec.frame_of(each) for each in instructions]))

    def close(self):
        self.out.put(None)

    def of(self, kind):
        return [getattr(frame, kind) for frame in list(self.frames) if frame.WhichOneof("kind") == kind]

    def read(self, requests):
        try:
            for message in requests:
                for frame in message.frames:
                    self.frames.append(frame)
                    if self.acknowledges and frame.WhichOneof("kind") == "result":
                        self.say(Acknowledge("w", codec.lease_of(frame.result), frame.result.number, True))
        except grpc.RpcError:
            pass
        self.ended.set()
        self.out.put(None)


class Scripted(MasterServicer):
    """Welcomes everybody (or says what `answer` is), and keeps their streams; its artifacts lie in a folder."""

    def __init__(self, folder):
        self.streams = []
        self.term = 1
        self.answer = None
        self.protocol = limits.PROTOCOL
        self.welcome = {"heartbeat": 0.2, "keep_held": True, "experiment": "digest", "workload": json.dumps(WORKLOAD)}
        self.store = LocalArtifacts(LocalConfig(str(folder / "artifacts")), "search")
        self.folder = folder
        self.calls = 0

    def Join(self, requests, context):  # noqa: N802
        yield pb.ToWorker(challenge=pb.Challenge(protocol=self.protocol, nonce=b"n" * 32, version="9.9"))
        try:
            hello = next(requests).hello
        except (StopIteration, grpc.RpcError):
            return
        stream = Stream(hello)
        self.streams.append(stream)
        if self.answer is not None:
            yield pb.ToWorker(refusal=self.answer)
            return
        yield pb.ToWorker(welcome=pb.Welcome(session_key=self.key, term=self.term, **self.welcome))
        threading.Thread(target=stream.read, args=(requests,), daemon=True).start()
        while (message := stream.out.get()) is not None:
            yield message

    @property
    def key(self):
        return f"key-{self.term}"

    def check(self, context):
        self.calls += 1
        if dict(context.invocation_metadata()).get("morphml-session") != self.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "this is no session of now")

    def PutArtifact(self, requests, context):  # noqa: N802
        self.check(context)
        first, content = "", b""
        for chunk in requests:
            first, content = first or chunk.name, content + chunk.data
        path = self.folder / f"incoming-{threading.get_ident()}"
        path.write_bytes(content)
        with said(context):
            self.store.put(first, path)
        return pb.ArtifactStored(size=len(content))

    def GetArtifact(self, request, context):  # noqa: N802
        import hashlib

        self.check(context)
        path = self.folder / f"outgoing-{threading.get_ident()}"
        if not self.store.get(request.name, path):
            yield pb.ArtifactChunk(missing=True)
            return
        content = path.read_bytes()
        parts = [content[at : at + limits.CHUNK] for at in range(0, len(content), limits.CHUNK)] or [b""]
        for part in parts[:-1]:
            yield pb.ArtifactChunk(data=part)
        yield pb.ArtifactChunk(data=parts[-1], sha256=hashlib.sha256(content).digest())

    def ListArtifacts(self, request, context):  # noqa: N802
        self.check(context)
        return pb.ArtifactNames(names=self.store.names(request.prefix))

    def DeleteArtifact(self, request, context):  # noqa: N802
        self.check(context)
        self.store.delete(request.name)
        return pb.ArtifactDeleted()


class said:  # noqa: N801
    def __init__(self, context):
        self.context = context

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, MorphMLError):
            self.context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


class Master:
    """The scripted master behind a socket, which can be shut and opened again at the same port."""

    def __init__(self, folder):
        self.script = Scripted(folder)
        self.port = 0
        self.security = Security()
        self.open()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def open(self):
        self._pool = ThreadPoolExecutor(16)
        self._server = grpc.server(self._pool, options=OPTIONS)
        add_MasterServicer_to_server(self.script, self._server)
        self.port = bind(self._server, f"127.0.0.1:{self.port}", self.security)
        self._server.start()

    def shut(self):
        stopped = self._server.stop(0)
        for stream in self.script.streams:
            stream.close()
        stopped.wait()
        self._pool.shutdown()

    def stream(self, count=1, seconds=10.0):
        """The newest stream, when there are so many and the worker is ready (or unable) on it."""
        wait_until(lambda: len(self.script.streams) >= count, f"{count} streams", seconds)
        stream = self.script.streams[count - 1]
        wait_until(lambda: stream.of("ready") or stream.of("unable"), "a worker that is ready", seconds)
        return stream


def wait_until(condition, what="it", seconds=10.0):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"{what} was due within {seconds} s"
        time.sleep(0.005)
    return found


def assignment(number, behaviour="finish", *, serial, term=1, gpus=(), steps=0, pause=0.0, **more):
    return Assign("w", Lease(term, serial), behaving(number, behaviour, steps=steps, pause=pause, **more), gpus)


@pytest.fixture
def master(tmp_path):
    master = Master(tmp_path)
    yield master
    master.shut()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "worker"
    path.mkdir()
    (path / "parts.py").write_text(PARTS)
    return path


class Lines:
    """What a worker has printed."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


class Local:
    """A worker in a thread of the test."""

    def __init__(self, master, folder, **settings):
        self.lines = Lines()
        given = {"capacity": Capacity(2.0, 2**33), "slots": 4, "isolation": "none", "deadline": 5.0} | settings
        self.worker = Worker(Settings(master.address, "w", folder, **given), Log("w", self.lines))
        self.code = None
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        self.code = self.worker.run()

    def end(self, seconds=15.0):
        self.worker.stop("the test is over")
        self.thread.join(seconds)
        assert not self.thread.is_alive(), self.lines.text
        return self.code


@pytest.fixture
def join(master, folder):
    """Starts a worker in a thread, by its settings."""
    workers = []

    def start(**settings):
        workers.append(Local(master, folder, **{"deadline": 0.5} | settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def spawn(master, folder):
    """Starts `morphml worker` as a process, with more options."""
    processes = []

    def start(*options):
        command = [
            MORPHML,
            "worker",
            "--master",
            master.address,
            "--name",
            "w",
            "--folder",
            str(folder),
            "--cpus",
            "2",
            *options,
        ]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def until():
    return wait_until


@pytest.fixture
def assign():
    return assignment
