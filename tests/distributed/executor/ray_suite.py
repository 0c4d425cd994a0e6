import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

ray = pytest.importorskip("ray")

from morphml_core.errors import BrokenComponentError, MorphMLError
from morphml_core.experiment import events
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Cause, Resources
from morphml_core.testing.executor import ExecutorSuite, behaviours, collect, outcomes, task
from morphml_core.work import Work
from morphml_distributed.executor.ray import Config, RayExecutor, needs


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One cluster for the module, started and ended by an executor; those of the tests find it there."""
    first = RayExecutor(Config("local", cpus=2), behaviours())
    yield first
    first.close()
    assert not ray.is_initialized()


class TestRay(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self):
        return lambda workload: RayExecutor(Config(), workload)


@pytest.fixture
def start():
    opened = []

    def start(**options):
        opened.append(RayExecutor(Config(**options), behaviours()))
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


def test_a_process_of_ray_that_is_killed_loses_its_trial(start, parents):
    executor = start()
    begin(executor, task(1, steps=10_000, pause=0.01))
    [victim] = parents()
    os.kill(victim.pid, signal.SIGKILL)
    outcome = outcomes(collect(executor, 1))[1]
    assert outcome.cause is Cause.LOST
    assert outcome.message.startswith(f"the process of Ray that ran it on {outcome.worker} died (WorkerCrashedError: ")
    assert outcome.worker.endswith(f"/{victim.pid}")
    assert run(executor, task(2))[2].metrics is not None


@pytest.mark.timeout(180)
def test_a_search_goes_on_where_the_killed_process_was(disturbed_search):
    log = disturbed_search({"name": "ray", "slots": 1})
    [lost] = [event for event in log if isinstance(event, events.Lost)]
    assert lost.message.startswith("the process of Ray that ran it on ")


def test_the_slots_are_those_that_the_cluster_has_room_for(start):
    executor = start()
    assert executor.slots == 2
    run(executor, task(1, resources=Resources(cpus=2)))
    assert executor.slots == 1
    assert start(slots=1).slots == 1


def test_a_task_that_no_node_can_run_fails_at_once_when_patience_is_over(start):
    executor = start(patience=0.0)
    outcome = run(executor, task(1, resources=Resources(cpus=3, gpus=1, labels=frozenset({"a100"}))))[1]
    assert (outcome.cause, outcome.final) == (Cause.ERROR, True)
    assert outcome.message == (
        "no node of the Ray cluster at 'auto' can ever run it: it needs 3 CPU cores, 1 GPUs, the label 'a100'"
    )


def test_what_a_task_needs_by_the_names_of_ray():
    found = needs(Resources(cpus=2, memory=10, gpus=0.5, labels=frozenset({"a100"})))
    assert found == {"CPU": 2, "GPU": 0.5, "memory": 10.0, "a100": 1 / 1024}


def test_a_task_that_waits_is_cancelled_at_once(start):
    executor = start()
    executor.submit(task(1, resources=Resources(cpus=3)))
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
    assert time.monotonic() - started < 8.0
    assert run(executor, task(2))[2].metrics is not None


def test_the_processes_are_kept(start):
    executor = start(slots=1)
    assert len({run(executor, task(number))[number].metrics["pid"] for number in range(5)}) <= 2


def test_a_workload_that_cannot_be_pickled_is_refused():
    with pytest.raises(
        MorphMLError, match=r"^the evaluation cannot be sent to another process: TypeError: cannot pickle"
    ):
        RayExecutor(Config(), Work(threading.Lock(), None, None))


def test_a_closed_executor_takes_nothing(start):
    executor = start()
    executor.close()
    with pytest.raises(RuntimeError, match="task 1 was submitted to an executor that is closed"):
        executor.submit(task(1))
    assert ray.is_initialized()  # the cluster belongs to another


def test_one_machine_needs_no_shared_store(start, caplog):
    with caplog.at_level(logging.WARNING):
        start()
    assert caplog.records == []


def test_without_its_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "morphml_distributed.executor.ray")
    with pytest.raises(BrokenComponentError, match=r"; pip install 'morphml-distributed\[ray\]'$"):
        Loader().component("executor", "ray")


HEADLESS = """
import psutil
from morphml_core.testing.executor import behaviours, collect, outcomes, task
from morphml_distributed.executor import ray

ray._SILENCE = 1.0
executor = ray.RayExecutor(ray.Config("local", cpus=1), behaviours())
executor.submit(task(1, steps=10_000, pause=0.01))
while not executor.poll(1.0):
    pass
for process in psutil.Process().children():
    if "gcs_server" in process.name():
        process.kill()
outcome = outcomes(collect(executor, 1))[1]
print(outcome.cause, outcome.message, sep="|")
executor.close()
"""


def test_a_cluster_whose_head_dies_does_not_take_the_search_along():
    found = subprocess.run([sys.executable, "-c", HEADLESS], capture_output=True, text=True, timeout=100, check=False)
    assert found.returncode == 0, found.stderr
    cause, message = found.stdout.strip().split("|")  # and nothing of Ray is on the standard output
    assert cause == "lost"
    assert message.startswith("the Ray cluster at 'local' is gone: its head at ")
    assert message.endswith(" does not answer")
