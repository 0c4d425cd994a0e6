"""The executor `grpc` with real worker processes: the suite, and what is its own."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from morphml_core.artifacts import local
from morphml_core.errors import MorphMLError
from morphml_core.problem import Cause, Outcome
from morphml_core.testing.executor import ExecutorSuite, behaviours, task
from morphml_core.work import Work
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.executor.grpc import Config, GrpcExecutor

MORPHML = str(Path(sys.executable).with_name("morphml"))
PARTS = """\
from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace

space = BehaviourSpace()
evaluator = BehaviourEvaluator()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address for a master, and two worker processes that wait for one there."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "parts.py").write_text(PARTS)
    address = f"127.0.0.1:{free_port()}"
    workers = [start(folder, address, f"worker-{index}") for index in range(2)]
    yield address, workers
    for worker in workers:
        worker.kill()
        worker.wait()


def start(folder, address, name):
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [MORPHML, "worker", "--master", address, "--name", name, "--cpus", "2", "--folder", str(folder)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def names():
    """Names of experiments, as results of one must not be taken for those of another."""
    return (f"search-{number}" for number in itertools.count())


def specified(workload, experiment, tmp_path):
    """The suite's workload as a configuration would have it."""
    specification = {
        "experiment": experiment, "folder": str(tmp_path), "output": str(tmp_path), "distributions": {},
        "space": {"python": "parts.py:space"}, "evaluator": {"python": "parts.py:evaluator"}, "artifacts": {"name": "local"},
    }  # fmt: skip
    store = local.component.create(local.component.config(str(tmp_path / "artifacts")), experiment)
    return Work(workload.space, workload.evaluator, store, specification)


@pytest.fixture
def made(cluster, names, tmp_path):
    """Makes masters for the workers, and waits for these; what is open at the end is closed."""
    executors = []

    def make(workload, workers=2, **options):
        executor = GrpcExecutor(Config(cluster[0], **options), specified(workload, next(names), tmp_path))
        executors.append(executor)
        until = time.monotonic() + 20.0
        while sum(worker["state"] == "ready" for worker in executor.snapshot().get("workers", ())) < workers:
            assert time.monotonic() < until, f"the workers have not come: {executor.snapshot()}"
            time.sleep(0.02)
        return executor

    yield make
    for executor in executors:
        executor.close()


class TestSuite(ExecutorSuite):
    isolates = True
    slow = 30.0

    @pytest.fixture
    def make(self, made):
        return made


def test_a_killed_worker_loses_nothing(made, cluster, tmp_path):
    executor = made(behaviours())
    third = start_beside(cluster, tmp_path)
    for number in range(12):
        executor.submit(task(number, steps=10, pause=0.05))
    found, retried = {}, 0
    until = time.monotonic() + 30.0
    while len(found) < 12:
        assert time.monotonic() < until, found
        for event in executor.poll(0.05):
            if not isinstance(event, Outcome):
                continue
            if event.cause is Cause.LOST:
                retried += 1
                assert "third" in event.message
                executor.submit(task(event.number, steps=10, pause=0.05, attempt=event.attempt + 1))
            else:
                found[event.number] = event
        running = [worker.get("running") for worker in executor.snapshot()["workers"] if worker["name"] == "third"]
        if third.poll() is None and running and running[0]:
            third.send_signal(signal.SIGKILL)
            third.wait()
    assert retried >= 1
    assert all(outcome.metrics is not None for outcome in found.values())


def start_beside(cluster, tmp_path):
    (tmp_path / "parts.py").write_text(PARTS)
    return start(tmp_path, cluster[0], "third")


@pytest.mark.parametrize("heartbeat", [0.01, 1000.0])
def test_a_heartbeat_that_workers_would_not_follow(heartbeat):
    with pytest.raises(ValueError, match=f"^'rules.heartbeat' must be from 0.05 to 600 s: {heartbeat:g}$"):
        Config(rules=Rules(heartbeat=heartbeat))


def test_live_objects_are_refused():
    with pytest.raises(MorphMLError) as caught:
        GrpcExecutor(Config("127.0.0.1:0"), behaviours())
    assert str(caught.value) == (
        "the executor 'grpc' sends the configuration to other machines, but this one holds live Python objects; name space and "
        "evaluator by their names, or as 'python: file.py:name', or use the executor 'processes'"
    )


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(MorphMLError) as caught:
            GrpcExecutor(Config(address), specified(behaviours(), "search", tmp_path))
    assert str(caught.value) == (
        f"the master cannot listen on {address}: the port is taken; end what listens there, or name another port (0: any that is free)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"listen": "4567"},
            "the option 'listen' of the executor 'grpc' is '4567'; write HOST:PORT, such as 127.0.0.1:4567",
        ),
        (
            {"metrics": "9464"},
            "the option 'metrics' of the executor 'grpc' is '9464'; write HOST:PORT, such as 127.0.0.1:9464",
        ),
        (
            {"log": Path("/nowhere/log")},
            "the log of the executor 'grpc' cannot be written to /nowhere/log: No such file or directory",
        ),
        (
            {"authority": Path("/nowhere/ca.pem")},
            "TLS needs 'authority', 'certificate' and 'key', but 'certificate' and 'key' are missing; `morphml cluster init` makes all of them",
        ),
        (
            {"token_file": Path("/nowhere/token")},
            "the token file /nowhere/token cannot be read: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path, options, message):
    with pytest.raises(MorphMLError) as caught:
        GrpcExecutor(Config(**{"listen": "127.0.0.1:0", **options}), specified(behaviours(), "search", tmp_path))
    assert str(caught.value) == message


def test_beyond_this_machine_security_is_needed(tmp_path):
    with pytest.raises(MorphMLError, match=r"the master cannot listen on 0\.0\.0\.0:0 without TLS"):
        GrpcExecutor(Config("0.0.0.0:0"), specified(behaviours(), "search", tmp_path))


def test_nothing_is_submitted_after_the_end(tmp_path):
    executor = GrpcExecutor(Config("127.0.0.1:0"), specified(behaviours(), "search", tmp_path))
    executor.close()
    with pytest.raises(RuntimeError, match="task 1 was submitted to an executor that is closed"):
        executor.submit(task(1))


def test_an_error_of_the_dispatcher_ends_the_search_with_a_sentence(tmp_path):
    executor = GrpcExecutor(Config("127.0.0.1:0"), specified(behaviours(), "search", tmp_path))
    executor.submit(task(1))
    executor.submit(task(1))
    with pytest.raises(MorphMLError, match=r"the master has broken down: .*trial 1"):
        executor.poll(5.0)
    executor.close()
