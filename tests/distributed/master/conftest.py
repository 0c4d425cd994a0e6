"""A master with real sockets, and peers that say what a test tells them to."""

import queue
import time

import pytest

from morphml_core.artifacts import local
from morphml_core.problem import Outcome
from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace
from morphml_core.work import Work
from morphml_distributed.dispatch.messages import Capacity, Health
from morphml_distributed.executor.grpc import Config, GrpcExecutor
from morphml_distributed.security.channels import open_channel
from morphml_distributed.security.settings import Security
from morphml_distributed.security.tokens import WORKER, proof
from morphml_distributed.wire import codec
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.joining import Greeting, hello_message
from morphml_distributed.wire.morphml_pb2_grpc import MasterStub

SPECIFICATION = {
    "experiment": "digits", "folder": "/home/someone", "output": "/home/someone/results", "distributions": {"morphml-core": "0.1.0"},
    "space": {"name": "behaviour"}, "evaluator": {"name": "behaviour"}, "artifacts": {"name": "local"},
}  # fmt: skip
INSTALLED = {"morphml-core": "0.1.0", "morphml-distributed": "0.1.0"}


class Peer:
    """A worker that follows a script.  `heard` are the frames that have come, `welcome` and `refusal` the answers to its hello."""

    def __init__(self, address, name="one", *, cpus=1.0, token=b"", security=None, **said):
        self.address, self.name, self.cpus, self.token = address, name, cpus, token
        self.said = {"distributions": INSTALLED, "capacity": Capacity(cpus, 2**30), **said}
        self.frames = queue.SimpleQueue()
        self.channel = open_channel(address, security or Security())
        self.stub = MasterStub(self.channel)
        self.call = self.stub.Join(iter(self.frames.get, None))
        self.heard = []
        self.welcome = self.refusal = None

    def challenge(self):
        return next(self.call).challenge

    def hello(self, **changes):
        challenge = self.challenge()
        answer = proof(self.token, challenge.nonce, WORKER, self.name)
        message = hello_message(Greeting(self.name, answer, **self.said))
        for field, value in changes.items():
            setattr(message, field, value)
        self.frames.put(pb.FromWorker(hello=message))
        found = next(self.call)
        self.welcome = found.welcome if found.HasField("welcome") else None
        self.refusal = found.refusal if found.HasField("refusal") else None
        return self

    def join(self):
        self.hello()
        assert self.refusal is None, self.refusal
        return self.say(codec.ready_frame())

    def say(self, *frames):
        self.frames.put(pb.FromWorker(frames=frames))
        return self

    def beat(self, received=0, held=()):
        return self.say(codec.heartbeat_frame(Health(), received, held))

    def hear(self, kind):
        """The next frame of a kind, and its content."""
        while True:
            for index, frame in enumerate(self.heard):
                if frame.WhichOneof("kind") == kind:
                    del self.heard[: index + 1]
                    return getattr(frame, kind)
            self.heard += next(self.call).frames

    def rest(self):
        """What comes until the stream ends."""
        return [*self.heard, *(frame for message in self.call for frame in message.frames)]

    def work(self, metrics=(("value", 1.0),)):
        """Take one task, and finish it."""
        assign = self.hear("assign")
        lease, task, _ = codec.task_of(assign)
        self.say(codec.began_frame(lease, task.number))
        self.say(codec.result_frame(lease, Outcome(task.number, task.attempt, dict(metrics), duration=0.5)))
        return task

    def close(self):
        self.frames.put(None)
        self.call.cancel()
        self.channel.close()


@pytest.fixture
def master(tmp_path):
    """Starts masters; they are closed at the end."""
    made = []

    def make(specification=SPECIFICATION, **options):
        artifacts = local.component.create(local.component.config(str(tmp_path / "artifacts")), "digits")
        work = Work(BehaviourSpace(), BehaviourEvaluator(), artifacts, specification)
        executor = GrpcExecutor(Config(**{"listen": "127.0.0.1:0", **options}), work)
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def peer():
    """Makes peers; they are closed at the end."""
    made = []

    def make(executor, *arguments, **options):
        found = Peer(executor.address, *arguments, **options)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


@pytest.fixture
def until():
    """Waits for something to become true."""

    def wait(condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "it has not come true in time"
            time.sleep(0.01)
        return found

    return wait
