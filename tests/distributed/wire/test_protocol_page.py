"""docs/protocol.md names everything that the protocol has, with the numbers of the code."""

import re
from pathlib import Path

import pytest

from morphml_core.problem import Cause, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch import tasks, workers
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.scheduler import fifo
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
QUOTED = {word for quoted in re.findall(r"`([^`\n]+)`", PAGE) for word in re.findall(r"\w+", quoted)}
MESSAGES = pb.DESCRIPTOR.message_types_by_name
ENVELOPES = {"WorkerFrame", "MasterFrame"}
LIMITS = {name: value for name, value in vars(limits).items() if name.isupper() and name != "PROTOCOL"}


@pytest.mark.parametrize("name", sorted(set(MESSAGES) - ENVELOPES))
def test_each_message_and_each_of_its_fields_is_told(name):
    missing = {field.name for field in MESSAGES[name].fields} - QUOTED - {"frames"}
    assert name in QUOTED or f"{name}s" in QUOTED
    assert not missing


def test_each_kind_of_frame_has_a_row():
    for envelope in ENVELOPES:
        for field in MESSAGES[envelope].fields:
            assert f"\n| `{field.message_type.name}` |" in PAGE


def test_each_call_is_told():
    assert {method.name for method in pb.DESCRIPTOR.services_by_name["Master"].methods} <= QUOTED


def test_each_cause_is_told():
    assert {cause.value for cause in Cause} <= QUOTED


def test_each_limit_is_told_with_its_number():
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([\d.]+) \|", PAGE, re.MULTILINE)
    told = {name: float(value) for names, value in rows for name in re.findall(r"[A-Z_]+", names)}
    assert told == LIMITS


def test_the_number_of_the_protocol_is_told():
    assert f"the number of the protocol, {limits.PROTOCOL} |" in PAGE


def keys_told(heading):
    """The names in the first column of the table with that heading."""
    rows = PAGE.split(f"| key of {heading} | what it is |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def test_each_key_of_the_snapshot_is_told():
    machine = Machine(Rules(), fifo.create(fifo.Config()), term=1)
    machine.handle(m.Joined("w1", 1, m.Capacity(1.0, 2**30)), 0.0)
    for number in range(3):
        machine.handle(m.Submitted(Task(number, Genotype((1,)), 1)), 1.0)
    shown = machine.snapshot(2.0)
    assert keys_told("the snapshot") == shown.keys() | {"master"}
    assert keys_told("a worker") == shown["workers"][0].keys()
    assert keys_told("a lease") == shown["leases"][0].keys()
    assert shown["queue"][0].keys() | shown["queue"][0]["resources"].keys() <= QUOTED


def test_each_state_of_a_worker_and_of_a_lease_is_told():
    assert {workers.READY, workers.SUSPECTED, workers.DISCONNECTED, workers.LOST, workers.LEFT, "draining"} <= QUOTED
    assert {tasks.LEASED, tasks.RUNNING} <= QUOTED
