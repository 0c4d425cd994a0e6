import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed")

from morphml_core.errors import BrokenComponentError, MorphMLError
from morphml_core.experiment import events
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Cause, Resources
from morphml_core.testing.executor import ExecutorSuite, behaviours, collect, outcomes, task
from morphml_distributed.executor.dask import Config, DaskExecutor


@pytest.fixture(scope="module")
def cluster():
    """One cluster of two worker processes under nannies, for the module."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None, memory_limit=None
    ) as cluster:
        yield cluster


class TestDask(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self, cluster):
        return lambda workload: DaskExecutor(Config(cluster.scheduler_address), workload)


@pytest.fixture
def start(cluster):
    opened = []

    def start(**options):
        opened.append(DaskExecutor(Config(**{"scheduler": cluster.scheduler_address, **options}), behaviours()))
        return opened[-1]

    yield start
    for executor in opened:
        executor.close()


def run(executor, *tasks):
    for each in tasks:
        executor.submit(each)
    return outcomes(collect(executor, len(tasks)))


def begin(executor, each):
    executor.submit(each)
    while not executor.poll(1.0):
        pass


def test_a_worker_that_is_killed_loses_its_trial(start, parents):
    executor = start()
    begin(executor, task(1, steps=10_000, pause=0.01))
    [victim] = parents()
    os.kill(victim.pid, signal.SIGKILL)
    events = collect(executor, 1)
    outcome = outcomes(events)[1]
    assert outcome.cause is Cause.LOST
    assert outcome.message == (
        f"the Dask worker {outcome.worker} that ran it left the cluster: its process or its machine died"
    )
    assert run(executor, task(2))[2].metrics is not None


@pytest.mark.timeout(180)
def test_a_search_goes_on_where_the_killed_worker_was(cluster, disturbed_search):
    log = disturbed_search({"name": "dask", "scheduler": cluster.scheduler_address, "slots": 1})
    [lost] = [event for event in log if isinstance(event, events.Lost)]
    assert lost.message.startswith("the Dask worker tcp://127.0.0.1:")


def test_the_slots_are_the_threads_of_the_workers(cluster, start):
    cluster.wait_for_workers(2, timeout=30)
    assert start().slots == 2
    assert start(slots=1).slots == 1


def test_a_task_that_no_worker_can_run_fails_at_once_when_patience_is_over(cluster, start):
    executor = start(patience=0.0)
    outcome = run(executor, task(1, resources=Resources(gpus=1, labels=frozenset({"a100"}))))[1]
    assert (outcome.cause, outcome.final) == (Cause.ERROR, True)
    assert outcome.message == (
        f"no worker of the Dask cluster at '{cluster.scheduler_address}' can ever run it: "
        "it needs 1 CPU cores, 1 GPUs, the label 'a100'"
    )


def test_a_task_that_waits_is_cancelled_at_once(start):
    executor = start()
    executor.submit(task(1, resources=Resources(labels=frozenset({"a100"}))))
    executor.cancel(1)
    [outcome] = executor.poll(0.0)
    assert (outcome.metrics, outcome.cause) == (None, None)


def test_a_task_that_does_not_listen_is_ended_by_force(start):
    executor = start(grace=0.3)
    begin(executor, task(1, "hang_with_lock", steps=1))
    started = time.monotonic()
    executor.cancel(1)
    outcome = outcomes(collect(executor, 1))[1]
    assert (outcome.metrics, outcome.cause) == (None, None)
    assert time.monotonic() - started < 5.0


def test_nothing_is_left_on_the_workers(start, parents):
    executor = start()
    run(executor, task(1))
    assert len(parents()) == 1
    executor.close()
    until = time.monotonic() + 10
    while parents() and time.monotonic() < until:
        time.sleep(0.05)
    assert parents() == []
    with pytest.raises(RuntimeError, match="task 1 was submitted to an executor that is closed"):
        executor.submit(task(1))


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("morphml_distributed.executor.dask._ANSWER", 0.3)
    with pytest.raises(MorphMLError, match=r"^the Dask cluster at 'tcp://127\.0\.0\.1:9' cannot be used: Timed out"):
        DaskExecutor(Config("tcp://127.0.0.1:9"), behaviours())


def test_without_its_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "morphml_distributed.executor.dask")
    with pytest.raises(BrokenComponentError, match=r"; pip install 'morphml-distributed\[dask\]'$"):
        Loader().component("executor", "dask")


@pytest.fixture
def dask(tmp_path):
    """Starts a command of Dask; what still runs at the end is killed."""
    started = []

    def begin(*arguments):
        with (tmp_path / "dask.log").open("ab") as log:
            command = [str(Path(sys.executable).with_name("dask")), *arguments]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, process_group=0))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cluster_that_goes_away_and_comes_back(dask, start):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "30"]
    first, _ = dask(*scheduler), dask(*worker)
    executor = start(scheduler=address)
    begin(executor, task(1, steps=10_000, pause=0.01))
    first.kill()
    outcome = outcomes(collect(executor, 1))[1]
    assert (outcome.cause, outcome.message) == (
        Cause.LOST, f"the Dask cluster at '{address}' is gone: the connection to its scheduler broke",
    )  # fmt: skip
    assert executor.slots == 0
    dask(*scheduler)
    dask(*worker)
    until = time.monotonic() + 40
    while executor.slots == 0:
        assert time.monotonic() < until
        executor.poll(0.5)
    assert run(executor, task(2))[2].metrics is not None
