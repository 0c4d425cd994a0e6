"""Whatever arrives, the master lives, does not grow, and keeps no stream open.

MORPHML_FUZZ_FRAMES sets how many frames are sent; 100,000 is the long form.
"""

import contextlib
import gc
import os
import queue
import random
import socket
import time

import grpc
import psutil
import pytest

from morphml_core.testing.executor import collect, outcomes, task
from morphml_distributed.dispatch.messages import Capacity, Held, Lease
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.joining import Greeting, hello_message

FRAMES = int(os.environ.get("MORPHML_FUZZ_FRAMES", "6000"))
SEED = int(os.environ.get("MORPHML_FUZZ_SEED", "0"))
INSTALLED = {"morphml-core": "0.1.0"}
GROWTH = 48 * 2**20
"""Bytes; gRPC's own pools take some."""
EXTREMES = (0, 1, 2, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**63, 2**64 - 1)
REALS = (0.0, -1.0, 0.5, 1.0, 1e300, float("inf"), float("nan"), -0.0)
TEXTS = ("", "a", "error", "lost", "nonsense", "x" * 9000, "\x00", "é\u2028")


def number(rng, bits=64):
    return min(rng.choice(EXTREMES), 2**bits - 1)


def lease(rng):
    return pb.Lease(term=number(rng), serial=rng.choice((1, 2, 3, number(rng)))) if rng.random() < 0.9 else None


def held(rng):
    return pb.Held(
        number=rng.randrange(5),
        attempt=number(rng, 32),
        lease=lease(rng),
        running=rng.random() < 0.5,
        step=number(rng, 32),
    )


def metrics(rng):
    return {rng.choice(TEXTS[:4]): rng.choice(REALS) for _ in range(rng.randrange(3))}


def heartbeat(rng):
    health = pb.Health(cpu=rng.choice(REALS[:4]), memory=rng.choice(REALS[:4]))
    return pb.Heartbeat(health=health, received=number(rng), held=[held(rng) for _ in range(rng.randrange(3))])


def result(rng):
    end = rng.choice(
        ({}, {"cancelled": True}, {"cause": rng.choice(TEXTS)}, {"metrics": pb.Metrics(values=metrics(rng))})
    )
    return pb.Result(
        lease=lease(rng), number=rng.randrange(5), attempt=number(rng, 32), message=rng.choice(TEXTS), duration=rng.choice(REALS), **end
    )  # fmt: skip


KINDS = {
    "heartbeat": heartbeat,
    "began": lambda rng: pb.Began(lease=lease(rng), number=rng.randrange(5)),
    "report": lambda rng: pb.Report(
        lease=lease(rng), number=rng.randrange(5), attempt=1, step=number(rng, 32), metrics=metrics(rng)
    ),
    "result": result,
    "returned": lambda rng: pb.Returned(lease=lease(rng), number=rng.randrange(5)),
    "ready": lambda rng: pb.Ready(),
    "unable": lambda rng: pb.Unable(reason=rng.choice(TEXTS)),
    "draining": lambda rng: pb.Draining(reason=rng.choice(TEXTS)),
    "goodbye": lambda rng: pb.Goodbye(reason=rng.choice(TEXTS)),
}


def frame(rng, *kinds):
    kind = rng.choice(kinds or tuple(KINDS))
    return pb.WorkerFrame(**{kind: KINDS[kind](rng)})


def noise(rng):
    return rng.randbytes(rng.randrange(200))


def mutated(rng):
    data = bytearray(pb.FromWorker(frames=[frame(rng) for _ in range(3)]).SerializeToString())
    for _ in range(rng.randrange(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.3 else bytes(data)


def disordered(rng):
    return pb.FromWorker(frames=[frame(rng) for _ in range(rng.randrange(6))]).SerializeToString()


def orderly(rng):
    """What passes all checks of the wire, and has no meaning: it must get as far as the dispatcher."""
    lease = pb.Lease(term=rng.choice((5, 2**62)), serial=rng.randrange(1, 50))
    which = rng.randrange(4)
    made = (
        pb.WorkerFrame(began=pb.Began(lease=lease, number=rng.randrange(5))),
        pb.WorkerFrame(result=pb.Result(lease=lease, number=rng.randrange(5), attempt=1, cause="lost")),
        pb.WorkerFrame(returned=pb.Returned(lease=lease, number=rng.randrange(5))),
        pb.WorkerFrame(report=pb.Report(lease=lease, number=rng.randrange(5), attempt=1, step=1, metrics={"a": 1.0})),
    )
    return pb.FromWorker(frames=[made[which]] * rng.randrange(1, 20)).SerializeToString()


class Fuzzer:
    """Opens streams and sends things; counts the frames."""

    def __init__(self, address, rng):
        self.rng, self.sent = rng, 0
        self.channel = grpc.insecure_channel(address, (("grpc.use_local_subchannel_pool", 1),))
        self.join = self.channel.stream_stream("/morphml.v1.Master/Join", lambda data: data, pb.ToWorker.FromString)

    def hello(self):
        rng = self.rng
        greeting = Greeting(
            f"fuzz-{rng.randrange(20)}", b"", Capacity(rng.choice((0.5, 1.0, 64.0)), 2**30), INSTALLED,
            tuple(Held(rng.randrange(5), 1, Lease(rng.randrange(9), 1), True) for _ in range(rng.randrange(3))),
        )  # fmt: skip
        return pb.FromWorker(hello=hello_message(greeting)).SerializeToString()

    def stream(self):
        """One stream, that begins well or not, and then goes on until the master or the script ends it."""
        rng, box = self.rng, queue.SimpleQueue()
        script = [self.hello()] if rng.random() < 0.8 else []
        if rng.random() < 0.8:
            script.append(pb.FromWorker(frames=[pb.WorkerFrame(ready=pb.Ready())]).SerializeToString())
        make = rng.choice((noise, mutated, disordered, orderly, orderly))
        script += [make(rng) for _ in range(rng.randrange(40))]
        self.sent += len(script)
        for each in script:
            box.put(each)
        half = rng.random() < 0.2
        if not half:
            box.put(None)
        call = self.join(iter(box.get, None), timeout=20.0)
        with contextlib.suppress(grpc.RpcError):
            if half:
                next(call)
                call.cancel()
            for _ in call:
                pass
        box.put(None)
        assert call.code() is not grpc.StatusCode.DEADLINE_EXCEEDED, "the stream was stuck"
        assert call.code() is not grpc.StatusCode.UNKNOWN, call.details()


def memory():
    gc.collect()
    return psutil.Process().memory_info().rss


def works(executor, peer):
    executor.submit(task(900))
    executor._master.snapshot()
    worker = peer(executor, "sound", cpus=2.0).join()
    while worker.work().number != 900:
        pass
    found = outcomes(collect(executor, 1, 10.0))
    return found[900].metrics == {"value": 1.0}


@pytest.mark.timeout(900)
def test_random_frames(master, peer, until):
    executor = master(rules=Rules(stalled=1000.0))
    fuzzer = Fuzzer(executor.address, random.Random(SEED))
    while fuzzer.sent < FRAMES // 5:
        fuzzer.stream()
    before = memory()
    while fuzzer.sent < FRAMES:
        fuzzer.stream()
    fuzzer.channel.close()
    until(lambda: not executor._master._conductor.sessions)
    assert memory() - before < GROWTH
    assert not executor._master._conductor._keys
    assert works(executor, peer)


@pytest.mark.timeout(300)
def test_random_bytes_on_the_socket(master, peer):
    executor = master()
    rng = random.Random(SEED)
    host, _, port = executor.address.rpartition(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for _ in range(max(50, FRAMES // 100)):
        with socket.create_connection((host, int(port)), timeout=5.0) as connection:
            begun = rng.choice((b"", preface, preface[: rng.randrange(len(preface))], preface + b"\0\0\0\4\0\0\0\0\0"))
            connection.sendall(begun + rng.randbytes(rng.randrange(300)))
    assert works(executor, peer)


def test_a_peer_that_says_nothing_is_refused_in_time(master, peer, monkeypatch):
    executor = master()
    executor._master._door.terms = type(executor._master._door.terms)(hello=0.3)
    silent = [peer(executor, f"silent-{index}") for index in range(20)]
    since = time.monotonic()
    for each in silent:
        each.challenge()
        assert next(each.call).refusal.reason == "there was no hello within 0.3 s"
        assert each.rest() == []
    assert time.monotonic() - since < 5.0
    assert works(executor, peer)


def test_a_worker_that_never_gets_ready_is_closed(master, peer):
    executor = master()
    executor._master._door.terms = type(executor._master._door.terms)(ready=0.3)
    slow = peer(executor, "slow").hello()
    assert [frame.evict.reason for frame in slow.rest()] == ["it has not built the workload within 0.3 s"]
    assert works(executor, peer)


def test_a_worker_that_does_not_read_is_cut_off(master, peer, monkeypatch, until):
    monkeypatch.setattr("morphml_distributed.master.session.BACKLOG", 3)
    executor = master()
    worker = peer(executor, cpus=8.0).join()
    for number in range(200):
        executor.submit(task(number))
    reasons = [frame.evict.reason for frame in worker.rest() if frame.HasField("evict")]
    assert reasons == ["it does not read what it is sent: 3 frames wait"]


def test_streams_are_opened_at_no_more_than_a_rate(master, peer):
    executor = master()
    meter = executor._master._door._meter
    meter.rate, meter.burst = 0.001, 3.0
    first = [peer(executor, f"peer-{index}") for index in range(3)]
    for each in first:
        each.challenge()
    late = peer(executor, "late")
    assert next(late.call).refusal == pb.Refusal(
        reason="too many streams are being opened; try again later", final=False
    )
