import io
import json
import re
import socket

import pytest
from click.testing import CliRunner
from rich.console import Console

from morphml_core.artifacts import local
from morphml_core.cli import main
from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace, task
from morphml_core.work import Work
from morphml_distributed.cli.cluster_view import render
from morphml_distributed.executor.grpc import Config, GrpcExecutor
from morphml_distributed.master.watch import written

SPECIFICATION = {
    "experiment": "digits",
    "space": {"name": "x"},
    "evaluator": {"name": "x"},
    "artifacts": {"name": "local"},
}


@pytest.fixture
def master(tmp_path):
    store = local.component.create(local.component.config(str(tmp_path)), "digits")
    executor = GrpcExecutor(Config("127.0.0.1:0"), Work(BehaviourSpace(), BehaviourEvaluator(), store, SPECIFICATION))
    yield executor
    executor.close()


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        found = CliRunner().invoke(main, ["cluster", *arguments])
        return found.exit_code, found.output

    return call


def test_without_workers(master, run):
    for number in range(2):
        master.submit(task(number))
    code, output = run(master.address)
    assert code == 0
    assert re.sub(r"up [\d.]+ m?s", "up 1 s", output) == (
        f"digits at {master.address}   up 1 s, 2 waiting, 0 on workers\n"
        "no worker is connected\n"
        "waiting for 1 cpu each: 2 tasks\n"
    )
    assert run("show", master.address)[0] == 0


def test_json_has_everything(master, run):
    code, output = run(master.address, "--json")
    held = json.loads(output)
    assert code == 0
    assert set(held) == {
        "term", "workers", "queue", "delayed", "leases", "notes", "causes", "retries", "submitted", "open", "master",
    }  # fmt: skip
    assert held["master"]["experiment"] == "digits"
    assert held["master"]["listen"] == master.address


def worker(name, **changes):
    return {
        "name": name, "state": "ready", "capacity": {"cpus": 2.0, "memory": 2**30, "gpus": [], "labels": []},
        "health": {"cpu": 0.25, "memory": 0.5, "gpu": None}, "unhealthy": "", "running": [], "prefetched": [], "breaker": "closed",
        "finished": 0, "lost": 0, **changes,
    }  # fmt: skip


def test_the_table():
    snapshot = {
        "workers": [
            worker("two", running=list(range(10, 20)), prefetched=[1, 2], finished=12345, lost=1),
            worker("one", breaker="half_open", running=[7]),
            worker("three", unhealthy="0 MB of its disk are free, and 500 MB must be"),
            worker("four", state="suspected", health={}),
            {"name": "five", "state": "unable", "reason": "the data are not here"},
            worker(
                "six", capacity={"gpus": [{"id": "0", "memory": 1}]}, health={"cpu": 1.0, "memory": 0.0, "gpu": 0.99}
            ),
        ],
        "queue": [
            {"need": "1 cpu", "length": 1},
            {"need": "2 cpus, 1 gpu", "length": 1000},
            {"need": "9 cpus", "length": 0},
        ],
        "leases": [],
        "delayed": 3,
        "master": {"experiment": "digits", "listen": "10.0.0.1:4567", "uptime": 90.0},
    }
    console = Console(width=110, file=io.StringIO())
    console.print(render(snapshot))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == [
        "digits at 10.0.0.1:4567   up 1 min 30 s, 1,001 waiting, 13 on workers",
        "worker    state                     running                     ahead   cpu  memory  gpu  finished  lost",
        "five      unable                    -                               -     -       -    -         0     0",
        "four      suspected                 -                               -     -       -    -         0     0",
        "one       ready, breaker half-open  7                               -   25%     50%    -         0     0",
        "six       ready                     -                               -  100%      0%  99%         0     0",
        "three     unhealthy                 -                               -   25%     50%    -         0     0",
        "two       ready                     10 11 12 13 14 15 16 17 +2      2   25%     50%    -    12,345     1",
        "five: the data are not here",
        "three: 0 MB of its disk are free, and 500 MB must be",
        "waiting for 1 cpu each: 1 task",
        "waiting for 2 cpus, 1 gpu each: 1,000 tasks",
        "waiting to be tried again: 3 tasks",
    ]


def test_a_large_cluster_is_shown_without_its_single_leases():
    snapshot = {"workers": [worker("one")], "leases": [{"serial": number} for number in range(1000)]}
    assert json.loads(written(snapshot)) == snapshot
    assert json.loads(written(snapshot, 2000)) == {**snapshot, "leases": []}


def test_nobody_there_is_a_sentence(run):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        code, output = run(address)
    assert (code, output) == (2, f"Error: there is no connection to the master at {address}: nobody listens there\n")


def test_what_is_no_address_is_a_sentence(run):
    code, output = run("show", "4567")
    assert code == 2
    assert output.splitlines()[-1] == (
        "Error: Invalid value for 'HOST:PORT': '4567' is not an address; write HOST:PORT, such as 10.0.0.1:4567"
    )
