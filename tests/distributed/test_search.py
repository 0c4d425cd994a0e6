"""A search that trains networks on two workers, one of which is killed: it ends as if nothing had happened."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from morphml_core.experiment import events
from morphml_core.session import open_experiment

MORPHML = str(Path(sys.executable).with_name("morphml"))
EPOCHS = 6


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start(tmp_path):
    """Starts a command in the folder of the test; what still runs at the end is killed, with its children."""
    started = []

    def begin(name, *arguments):
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [MORPHML, *arguments], cwd=tmp_path, stdout=log, stderr=log, process_group=0,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read(config):
    """The events so far; none while there is no database."""
    try:
        experiment = open_experiment(config, read_only=True)
    except Exception:
        return []
    try:
        return list(experiment.storage.read())
    finally:
        experiment.close()


def reports(log):
    """The steps of the trials that are under way, by number."""
    found = {}
    for event in log:
        if isinstance(event, events.Submitted):
            found[event.number] = []
        elif isinstance(event, events.Reported):
            found[event.number].append(event.step)
        elif isinstance(event, events.Finished):
            found.pop(event.number, None)
    return found


def measured(metrics):
    """The metrics, but for the time that it took."""
    return {name: value for name, value in metrics.items() if name != "seconds"}


@pytest.mark.timeout(240)
def test_a_killed_worker_changes_nothing(tmp_path, start, monkeypatch):
    pytest.importorskip("torch")
    port = free_port()
    search = {
        "experiment": "digits", "seed": 3, "objectives": ["accuracy"],
        "space": {"name": "cnn", "stages": [1, 2], "depth": [1, 2], "widths": [4, 8]},
        "evaluator": {"name": "train", "dataset": "digits", "epochs": EPOCHS, "batch_size": 16},
        "optimizer": "random", "reproducible": {"window": 2}, "storage": "sqlite:///digits.db",
        "output": "results", "stop": {"trials": 4},
    }  # fmt: skip
    (tmp_path / "one.yaml").write_text(
        yaml.safe_dump({**search, "executor": {"name": "grpc", "listen": f"127.0.0.1:{port}"}})
    )
    quiet = {**search, "executor": "inline", "storage": "memory", "output": str(tmp_path / "quiet"), "hooks": []}

    master = start("master", "run", "one.yaml")
    workers = [
        start(f"worker-{index}", "worker", "--master", f"127.0.0.1:{port}", "--name", f"worker-{index}", "--cpus", "1")
        for index in range(2)
    ]
    until = time.monotonic() + 90
    monkeypatch.chdir(tmp_path)
    while not (
        len(found := reports(read("one.yaml"))) == 2 and all(2 <= len(steps) < EPOCHS - 1 for steps in found.values())
    ):
        assert time.monotonic() < until, (tmp_path / "master.log").read_text()[-2000:]
        assert master.poll() is None, (tmp_path / "master.log").read_text()[-2000:]
        time.sleep(0.05)
    workers[0].kill()
    assert master.wait(120) == 0, (tmp_path / "master.log").read_text()[-2000:]

    log = read("one.yaml")
    lost = [event for event in log if isinstance(event, events.Lost)]
    assert len(lost) == 1
    assert "worker-0" in lost[0].message
    mine = [event for event in log if isinstance(event, events.Reported) and event.number == lost[0].number]
    before = [event for event in mine if event.time <= lost[0].time]
    after = mine[len(before) :]
    done = len(before)
    assert [event.step for event in before] == list(range(1, done + 1))
    assert [event.step for event in after] == list(range(1, EPOCHS + 1))
    # It went on from the checkpoint of its last epoch: what was known came again at once, and only then an epoch took its time.
    epoch = (before[-1].time - before[0].time) / (done - 1)
    assert after[done - 1].time - after[0].time < 0.5 * epoch * (done - 1)
    assert after[done].time - after[done - 1].time > 0.2 * epoch
    experiment = open_experiment(quiet)
    experiment.run()
    expected = experiment.state.trials
    experiment.close()
    finished = {event.number: measured(event.metrics) for event in log if isinstance(event, events.Finished)}
    assert finished == {number: measured(trial.metrics) for number, trial in expected.items()}
