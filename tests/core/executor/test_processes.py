import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.problem import Cause, Report, Resources
from morphml_core.testing.executor import BehaviourSpace, ExecutorSuite, behaviours, collect, outcomes, task
from morphml_core.work import Work


class TestProcesses(ExecutorSuite):
    isolates = True

    @pytest.fixture
    def make(self):
        return lambda workload: ProcessesExecutor(Config(workers=2), workload)


@pytest.fixture
def start():
    """Executors that are closed at the end."""
    opened = []

    def start(workload=None, **options):
        opened.append(ProcessesExecutor(Config(**options), workload or behaviours()))
        return opened[-1]

    yield start
    for executor in opened:
        executor.close()


def calling(function):
    """A workload whose evaluation calls `function(task)`; its class is local, so it travels as code, not by name."""

    class Evaluator:
        def evaluate(self, task, candidate, workbench):
            yield from ()
            return function(task)

    return Work(BehaviourSpace(), Evaluator(), None)


def run(executor, *tasks):
    for each in tasks:
        executor.submit(each)
    return outcomes(collect(executor, len(tasks)))


def test_processes_are_started_when_needed_and_kept(start):
    executor = start(workers=8)
    assert executor.slots == 8
    pids = {run(executor, task(number))[number].metrics["pid"] for number in range(4)}
    assert len(pids) == 1


def test_tasks_run_at_once_on_different_processes(start):
    executor = start(workers=2)
    found = run(executor, *(task(number, steps=1, pause=0.5) for number in range(2)))
    assert {outcome.worker for outcome in found.values()} == {"process-0", "process-1"}
    assert len({outcome.metrics["pid"] for outcome in found.values()}) == 2


def test_an_idle_process_that_is_killed_is_replaced(start):
    executor = start(workers=1)
    first = int(run(executor, task(1))[1].metrics["pid"])
    os.kill(first, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=5)
    assert executor.poll(0.1) == []
    assert int(run(executor, task(2))[2].metrics["pid"]) != first


def test_a_cancelled_task_that_does_not_listen_is_killed(start):
    executor = start(workers=1, grace=0.3)
    executor.submit(task(1, "hang", steps=1))
    while not executor.poll(1.0):
        pass
    assert executor.poll(0.5) == []
    executor.cancel(1)
    outcome = outcomes(collect(executor, 1, seconds=20))[1]
    assert (outcome.metrics, outcome.cause) == (None, None)
    assert run(executor, task(2))[2].metrics is not None


def test_a_task_of_a_process_that_is_still_starting_is_cancelled_at_once(start):
    executor = start(workers=1)
    executor.submit(task(1, "exit"))
    executor.cancel(1)
    [outcome] = executor.poll(0)
    assert (outcome.number, outcome.cause) == (1, None)
    assert run(executor, task(2))[2].metrics is not None


def test_a_graceful_cancel_closes_the_evaluation(start, tmp_path):
    mark = tmp_path / "closed"

    class Evaluator:
        def evaluate(self, task, candidate, workbench):
            from morphml_core.protocols import Measurement

            try:
                for step in range(1, 10_000):
                    time.sleep(0.01)
                    yield Measurement(step, {})
            finally:
                mark.write_text("closed", encoding="utf-8")

    executor = start(Work(BehaviourSpace(), Evaluator(), None), workers=1)
    executor.submit(task(1))
    assert isinstance(executor.poll(10.0)[0], Report)
    executor.cancel(1)
    assert outcomes(collect(executor, 1))[1].cause is None
    assert mark.read_text(encoding="utf-8") == "closed"


def test_the_message_of_the_memory_limit(start):
    executor = start(workers=1)
    found = run(executor, task(1, "hoard", resources=Resources(memory=300 * 2**20)))[1]
    assert found.cause is Cause.OUT_OF_MEMORY
    assert found.message in (
        "the evaluation needed more than the 300 MiB of memory that it may have",
        "MemoryError",
    )


def test_the_memory_limit_ends_with_its_task(start):
    executor = start(workers=1)
    assert run(executor, task(1, resources=Resources(memory=2**30)))[1].metrics is not None
    allocate = start(calling(lambda task: {"size": float(len(bytearray(2**29)))}), workers=1)
    assert run(allocate, task(1, resources=Resources(memory=2**27)))[1].cause is Cause.OUT_OF_MEMORY
    assert run(allocate, task(2))[2].metrics == {"size": float(2**29)}


def test_a_large_allocation_fails_without_ending_the_process(start):
    executor = start(workers=1)
    before = run(executor, task(1))[1].metrics["pid"]
    found = run(executor, task(2, "burst", resources=Resources(memory=2**30)))[2]
    assert (found.cause, found.message) == (Cause.OUT_OF_MEMORY, "MemoryError")
    assert run(executor, task(3))[3].metrics["pid"] == before


def test_live_objects_and_the_search_path_reach_the_processes(start, tmp_path, monkeypatch):
    (tmp_path / "module_beside_the_script.py").write_text("answer = 42.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def evaluate(task):
        import module_beside_the_script

        return {"answer": module_beside_the_script.answer}

    assert run(start(calling(evaluate), workers=1), task(1))[1].metrics == {"answer": 42.0}


def test_a_workload_that_cannot_be_pickled_is_refused():
    lock = threading.Lock()
    with pytest.raises(MorphMLError) as error:
        ProcessesExecutor(Config(workers=1), calling(lambda task: {"locked": float(lock.locked())}))
    assert str(error.value) == (
        "the evaluation cannot be sent to another process: TypeError: cannot pickle '_thread.lock' object; "
        "use the executor 'inline', or an evaluator and a space that can be pickled"
    )


class Unbuildable:
    """A workload that cannot be rebuilt in another process."""

    specification = None

    def __init__(self, function, *arguments):
        self.recipe = (function, arguments)

    def __reduce__(self):
        return self.recipe


def test_a_workload_that_cannot_be_built_there_fails_its_tasks_with_the_reason(start):
    def build():
        from morphml_core.errors import MorphMLError

        raise MorphMLError("there is no dataset in that folder")

    executor = start(Unbuildable(build), workers=2)
    found = run(executor, *(task(number) for number in range(5)))
    assert {(outcome.cause, outcome.message) for outcome in found.values()} == {
        (Cause.ERROR, "no worker process can be set up: there is no dataset in that folder")
    }
    assert run(executor, task(9))[9].cause is Cause.ERROR
    assert executor.slots == 1


def test_a_process_that_dies_while_it_starts_is_tried_three_times(start, tmp_path):
    starts = tmp_path / "starts"

    def build():
        with starts.open("a", encoding="utf-8") as file:
            file.write("x")
        os._exit(5)

    found = run(start(Unbuildable(build), workers=1), task(1), task(2))
    assert {(outcome.cause, outcome.message) for outcome in found.values()} == {
        (Cause.ERROR, "no worker process can be set up: it ended with exit code 5 before it was ready")
    }
    assert starts.read_text(encoding="utf-8") == "xxx"


def test_threads_are_shared_among_the_processes(start, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(12)))
    show = calling(lambda task: {name: float(os.environ[name]) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")})
    metrics = run(start(show, workers=3), task(1))[1].metrics
    assert metrics == {"OMP_NUM_THREADS": 4.0, "MKL_NUM_THREADS": 7.0}


def test_the_workers_are_as_many_as_the_cores(start, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(5)))
    assert start().slots == 5


def visible(seconds, meeting=None):
    """A workload that tells which GPU its process sees, and when it ran; with a folder, it waits there for one other task."""

    def evaluate(task):
        began = time.monotonic()
        if meeting is not None:
            (meeting / f"{task.number}").touch()
            while len(list(meeting.iterdir())) < 2 and time.monotonic() < began + 20:
                time.sleep(0.01)
        time.sleep(seconds)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "none").split(",")
        return {"began": began, "ended": time.monotonic(), "count": float(len(seen)), "device": float(seen[0])}

    return calling(evaluate)


def most_at_once(found, device):
    mine = [outcome.metrics for outcome in found.values() if outcome.metrics["device"] == device]
    return max(sum(other["began"] <= one["began"] < other["ended"] for other in mine) for one in mine)


def test_each_process_sees_its_share_of_the_gpus(start):
    executor = start(visible(0.3), workers=4, gpus=[3, 5])
    found = run(executor, *(task(number) for number in range(4)))
    assert sorted(outcome.metrics["device"] for outcome in found.values()) == [3.0, 3.0, 5.0, 5.0]


def test_a_fraction_shares_one_gpu(start, tmp_path):
    executor = start(visible(0.1, tmp_path), workers=4, gpus=[3])
    found = run(executor, *(task(number, resources=Resources(gpus=0.5)) for number in range(4)))
    assert executor.slots == 2
    assert most_at_once(found, 3.0) == 2


def test_a_whole_gpu_is_not_shared(start):
    executor = start(visible(0.1), workers=4, gpus=[3])
    found = run(executor, *(task(number, resources=Resources(gpus=1)) for number in range(3)))
    assert executor.slots == 1
    assert most_at_once(found, 3.0) == 1


def test_a_task_may_need_several_gpus(start):
    executor = start(visible(0.0), workers=2, gpus=["3", "4"])
    assert run(executor, task(1, resources=Resources(gpus=1)))[1].metrics["count"] == 1.0
    assert run(executor, task(2, resources=Resources(gpus=2)))[2].metrics["count"] == 2.0


def test_a_task_that_needs_more_gpus_than_there_are_fails_with_the_reason(start):
    outcome = run(start(workers=2, gpus=[0]), task(1, resources=Resources(gpus=2)))[1]
    assert (outcome.cause, outcome.message) == (
        Cause.ERROR,
        "the trial needs 2 GPUs, but the executor has 1; see its option 'gpus'",
    )


def test_without_gpus_the_environment_is_left_alone(start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6")
    assert run(start(visible(0.0), workers=1), task(1))[1].metrics["device"] == 6.0


def test_a_number_of_gpus_takes_the_first_visible_ones(start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    assert run(start(visible(0.0), workers=1, gpus=1), task(1))[1].metrics["device"] == 6.0
    with pytest.raises(MorphMLError) as error:
        start(workers=1, gpus=3)
    assert str(error.value) == (
        "the executor 'processes' cannot be set up: gpus is 3, but CUDA_VISIBLE_DEVICES shows 2; lower one or widen the other"
    )


@pytest.mark.parametrize("gpus", [-1, True, "0", [0, 0], [0.5], None])
def test_gpus_that_are_none_are_refused(gpus):
    with pytest.raises(ValueError) as error:
        Config(gpus=gpus)
    assert str(error.value) == (
        f"gpus is {gpus!r}; give a number of GPUs (2) or a list of distinct device ids ([0, 3])"
    )


def test_what_an_evaluation_prints_stays_off_the_standard_output():
    program = """
from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.testing.executor import BehaviourSpace, collect, task
from morphml_core.work import Work

class Chatty:
    def evaluate(self, task, candidate, workbench):
        print("hello from the evaluation", flush=True)
        return {"value": 1.0}
        yield

executor = ProcessesExecutor(Config(workers=1), Work(BehaviourSpace(), Chatty(), None))
executor.submit(task(1))
print(collect(executor, 1)[0].metrics)
executor.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "{'value': 1.0}\n"
    assert "hello from the evaluation" in done.stderr


PARENT = """
import json, sys, time
from morphml_core.executor.processes import Config, ProcessesExecutor
from morphml_core.testing.executor import behaviours, task

executor = ProcessesExecutor(Config(workers=3), behaviours())
for number in range(2):
    executor.submit(task(number))
while len(executor.poll(1.0)) == 0: pass
for number, behaviour in ((2, "hang"), (3, "hang_with_lock"), (4, "finish")):
    executor.submit(task(number, behaviour, steps=1))
until = time.monotonic() + 1.0
while time.monotonic() < until: executor.poll(0.2)
import psutil
print(json.dumps([child.pid for child in psutil.Process().children()]), flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent():
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def all_end(processes):
    """Whether they end within ten seconds; one that nobody has reaped yet has ended."""

    def lives(process):
        try:
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    until = time.monotonic() + 10
    while any(lives(process) for process in processes) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(lives(process) for process in processes)


def test_the_processes_end_with_a_parent_that_is_killed(parent):
    children = [psutil.Process(pid) for pid in json.loads(parent.stdout.readline())]
    assert len(children) == 3
    parent.kill()
    assert all_end(children)


def test_ctrl_c_in_the_terminal_is_left_to_the_parent(parent):
    children = [psutil.Process(pid) for pid in json.loads(parent.stdout.readline())]
    os.killpg(parent.pid, signal.SIGINT)
    for child in children:
        if child.is_running():
            child.send_signal(signal.SIGINT)
    assert parent.wait(timeout=10) != 0
    assert all_end(children)


def test_a_thousand_short_tasks_take_seconds(start):
    executor = start(workers=2)
    run(executor, *(task(number) for number in range(2)))
    started = time.monotonic()
    run(executor, *(task(number) for number in range(1000)))
    assert time.monotonic() - started < 1000 / 150


def test_a_keyboard_interrupt_of_the_evaluation_is_an_error(start):
    def interrupt(task):
        raise KeyboardInterrupt

    found = run(start(calling(interrupt), workers=1), task(1))[1]
    assert (found.cause, found.message) == (Cause.ERROR, "KeyboardInterrupt")


def test_gpus_and_threads_that_the_caller_gives(start, monkeypatch):
    """The caller keeps account of them; a task sees those that it is given, and a process is used again for the same ones."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    show = calling(lambda task: {f"{name} {os.environ[name]}": float(os.getpid()) for name in names})
    executor = start(show, workers=4)
    for number, devices, cpus in [(1, ("2", "5"), 3.0), (2, (), 0.5), (3, ("5",), 1.0)]:
        executor.submit(task(number, resources=Resources(cpus=cpus)), devices)
    found = {number: outcome.metrics for number, outcome in outcomes(collect(executor, 3)).items()}
    assert {number: sorted(metrics) for number, metrics in found.items()} == {
        1: ["CUDA_VISIBLE_DEVICES 2,5", "OMP_NUM_THREADS 3"],
        2: ["CUDA_VISIBLE_DEVICES ", "OMP_NUM_THREADS 1"],
        3: ["CUDA_VISIBLE_DEVICES 5", "OMP_NUM_THREADS 1"],
    }
    executor.submit(task(4), ("5",))
    assert outcomes(collect(executor, 1))[4].metrics == found[3]


def test_poll_comes_back_for_what_else_is_watched(start):
    executor = start()
    read, write = os.pipe()
    os.write(write, b"x")
    began = time.monotonic()
    assert list(executor.poll(30.0, (read,))) == []
    assert time.monotonic() - began < 5.0
    os.close(read)
    os.close(write)


def test_close_without_grace_kills(start):
    executor = start(workers=1)
    executor.submit(task(1, "hang", steps=1))
    while not executor.poll(1.0):
        pass
    began = time.monotonic()
    executor.close(0.0)
    assert time.monotonic() - began < 2.0
    assert [(outcome.number, outcome.metrics, outcome.cause) for outcome in executor.poll()] == [(1, None, None)]
