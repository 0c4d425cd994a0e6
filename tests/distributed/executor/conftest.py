"""A search with real training on an engine, one of whose processes is killed; what the tests of Ray and Dask have in common."""

import os
import signal
import threading
import time

import psutil
import pytest

from morphml_core.experiment import events
from morphml_core.session import open_experiment

EPOCHS = 8


def evaluations():
    """The child processes that evaluate, below this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "morphml_core.executor._child" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def hosts():
    """The processes of the engine that run an evaluation now."""
    found = [process.parent() for process in evaluations()]
    return [process for process in found if process is not None and "IDLE" not in " ".join(process.cmdline())]


def reports(config):
    """The steps of the trials that are under way, by number; none while there is no record."""
    try:
        experiment = open_experiment(config, read_only=True)
    except Exception:
        return {}
    found = {}
    try:
        for event in experiment.storage.read():
            if isinstance(event, events.Submitted):
                found[event.number] = 0
            elif isinstance(event, events.Reported):
                found[event.number] += 1
            elif isinstance(event, events.Finished):
                found.pop(event.number, None)
    finally:
        experiment.close()
    return found


def kill_midway(config, killed):
    """Kill the process of the engine that runs a trial, when that has a few epochs behind it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(2 <= steps < EPOCHS - 1 for steps in reports(config).values()):
            victim = hosts()[0]
            killed.append(victim.pid)
            os.kill(victim.pid, signal.SIGKILL)
            return
        time.sleep(0.05)


@pytest.fixture
def parents():
    """Gives the processes of the engine that run an evaluation now, or, as Dask's do, have an idle child for one."""
    return hosts


@pytest.fixture
def disturbed_search(tmp_path, monkeypatch):
    """Runs a search whose engine loses a process midway, and checks that it ends as an undisturbed one does."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    search = {
        "experiment": "digits", "seed": 3, "objectives": ["accuracy"],
        "space": {"name": "cnn", "stages": [1, 2], "depth": [1, 2], "widths": [4, 8]},
        "evaluator": {"name": "train", "dataset": "digits", "epochs": EPOCHS, "batch_size": 16},
        "optimizer": "random", "hooks": [], "stop": {"trials": 2},
    }  # fmt: skip

    def run(executor):
        config = {**search, "executor": executor, "storage": "sqlite:///one.db", "output": "one"}
        killed = []
        killer = threading.Thread(target=kill_midway, args=(config, killed))
        experiment = open_experiment(config)
        killer.start()
        experiment.run()
        log = list(experiment.storage.read())
        experiment.close()
        killer.join()
        check(log, killed, {**search, "storage": "memory", "output": "quiet"})
        return log

    return run


def check(log, killed, quiet):
    assert len(killed) == 1
    [lost] = [event for event in log if isinstance(event, events.Lost)]
    mine = [event for event in log if isinstance(event, events.Reported) and event.number == lost.number]
    before = [event for event in mine if event.time <= lost.time]
    after = mine[len(before) :]
    done = len(before)
    assert [event.step for event in before] == list(range(1, done + 1))
    assert [event.step for event in after] == list(range(1, EPOCHS + 1))
    # It went on from the checkpoint of its last epoch: what was known came again at once.
    epoch = (before[-1].time - before[0].time) / (done - 1)
    assert after[done - 1].time - after[0].time < 0.5 * epoch * (done - 1)
    experiment = open_experiment(quiet)
    experiment.run()
    expected = {number: untimed(trial.metrics) for number, trial in experiment.state.trials.items()}
    experiment.close()
    assert {event.number: untimed(event.metrics) for event in log if isinstance(event, events.Finished)} == expected


def untimed(metrics):
    return {name: value for name, value in metrics.items() if name != "seconds"}
