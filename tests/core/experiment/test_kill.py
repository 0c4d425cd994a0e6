"""Real processes that search with a real database, killed at any moment and started again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from morphml_core.experiment.state import State
from morphml_core.storage.sql import Config, component

SEARCH = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("lab", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from morphml_core.errors import HeldError
from morphml_core.storage.sql import Config, component
lab = module.Lab()

class Slow(module.Evaluate):
    def evaluate(self, task, candidate, workbench):
        for measurement in super().evaluate(task, candidate, workbench):
            time.sleep(0.002)
            yield measurement
        return {"accuracy": measurement.metrics["accuracy"], "parameters": candidate.values["width"] * 10.0}

storage = component.create(Config(sys.argv[2]), "killed")
options = {"window": 3, "trials": int(sys.argv[3]), "name": "killed"}
try:
    print(lab.loop(storage, evaluator=Slow(), make_stopper=lab.BelowMean, **options).run())
except HeldError as error:
    print(error)
"""
LAB = str(Path(__file__).with_name("conftest.py"))


TRIALS = 80


def start(url, trials=TRIALS):
    return subprocess.Popen([sys.executable, "-c", SEARCH, LAB, url, str(trials)], stdout=subprocess.PIPE, text=True)


def state_at(lab, url):
    storage = component.create(Config(url), "killed")
    state = State.of(storage.read(), lab.problem())
    storage.close()
    return state


def wait_until_open(lab, url, process):
    while process.poll() is None:
        state = state_at(lab, url)
        if state.holder is not None and state.holder.pid == process.pid:
            return
        time.sleep(0.01)


def test_a_search_killed_at_random_moments_ends_like_an_unbroken_one(lab, tmp_path):
    calm, killed, rng = f"sqlite:///{tmp_path}/calm.db", f"sqlite:///{tmp_path}/killed.db", random.Random(0)
    assert start(calm).communicate()[0] == f"{TRIALS} trials are done\n"
    kills = 0
    for _ in range(5):
        process = start(killed)
        wait_until_open(lab, killed, process)
        time.sleep(rng.random() * 0.1)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    assert start(killed).communicate()[0] == f"{TRIALS} trials are done\n"
    assert kills >= 2
    assert lab.table(state_at(lab, killed)) == lab.table(state_at(lab, calm))


def test_of_two_processes_one_searches_and_the_other_says_who_holds_it(lab, tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    first = start(url, 400)
    wait_until_open(lab, url, first)
    told = start(url, 400).communicate()[0]
    assert told.startswith(f"experiment 'killed' is held by process {first.pid} on host ")
    assert told.endswith("; wait for it, or stop it\n")
    first.send_signal(signal.SIGINT)
    assert first.communicate()[0] == "interrupted\n"
    state = state_at(lab, url)
    assert (state.status, state.counts["running"]) == ("interrupted", 0)
