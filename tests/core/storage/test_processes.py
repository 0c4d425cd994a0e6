"""Many processes on one database: they race for each index, and are killed while they append."""

import os
import signal
import subprocess
import sys
import time

from morphml_core.experiment import events
from morphml_core.experiment.state import State
from morphml_core.storage.sql import Config, component

RACE = """
import sys
from morphml_core.errors import ConflictError
from morphml_core.experiment import events
from morphml_core.storage.sql import Config, component
url, who, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = component.create(Config(url), "race")
sys.stdin.readline()
for index in range(rounds):
    try:
        storage.append([events.Ended(who, float(index))], index)
        print(index)
    except ConflictError:
        while len(storage.read(index)) == 0:
            pass
storage.close()
"""

APPEND = """
import sys, time
from morphml_core.experiment import events
from morphml_core.space.decisions import Genotype
from morphml_core.storage.sql import Config, component
storage = component.create(Config(sys.argv[1]), "killed")
index = len(storage.read())
if index == 0:
    storage.append([events.Started({}, {}, 0.0)], 0)
    index = 1
number = (index - 1) // 3
while True:
    trial = [events.Proposed(number, Genotype((1, 2)), "f", 1.0), events.Submitted(number, 1, 2.0)]
    trial.append(events.Finished(number, {"a": float(number)}, 3.0))
    storage.append(trial, index)
    index += 3
    number += 1
    print(index, flush=True)
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdin=-1, stdout=-1, text=True)


def test_of_processes_that_append_at_once_exactly_one_wins(tmp_path):
    url, rounds, count = f"sqlite:///{tmp_path}/x.db", 30, 4
    racers = [start(RACE, url, str(who), str(rounds)) for who in range(count)]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * count
    winners = {int(index): str(who) for who, text in enumerate(told) for index in text.split()}
    assert sum(len(text.split()) for text in told) == rounds
    storage = component.create(Config(url), "race")
    kept = storage.read()
    storage.close()
    assert [event.reason for event in kept] == [winners[index] for index in range(rounds)]


def test_what_was_appended_survives_kill_9(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    for moment in range(8):
        told = tmp_path / f"told{moment}"
        with told.open("w") as output:
            writer = subprocess.Popen([sys.executable, "-c", APPEND, url], stdout=output)
        while not told.read_text().endswith("\n"):
            time.sleep(0.01)
        time.sleep(0.013 * moment)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        confirmed = int(told.read_text().rsplit("\n", 1)[0].split()[-1])
        storage = component.create(Config(url), "killed")
        log = storage.read()
        storage.close()
        assert confirmed <= len(log) <= confirmed + 3
        assert (len(log) - 1) % 3 == 0, "a part of an append was stored"
        state = State.of(log)
        assert state.counts["finished"] == len(state.trials) == (len(log) - 1) // 3
    assert isinstance(log[0], events.Started)
