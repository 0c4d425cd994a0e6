"""The plan of the faults is decided by its seed, and has each kind early."""

import pytest

from morphml_distributed.chaos.plan import KINDS, Fault, plan


def test_one_seed_one_plan():
    assert plan(3, 60.0, list(KINDS)) == plan(3, 60.0, list(KINDS))
    assert plan(3, 60.0, list(KINDS)) != plan(4, 60.0, list(KINDS))


@pytest.mark.parametrize("seed", range(10))
def test_faults_come_in_order_within_the_length(seed):
    faults = plan(seed, 120.0, list(KINDS))
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(2.0 < fault.at < 120.0 and fault.length >= 0.0 for fault in faults)
    assert 30 < len(faults) < 95


@pytest.mark.parametrize("seed", range(10))
def test_the_first_faults_are_one_of_each_kind(seed):
    assert {fault.kind for fault in plan(seed, 120.0, list(KINDS))[: len(KINDS)]} == set(KINDS)


def test_only_the_kinds_that_are_wanted():
    assert {fault.kind for fault in plan(0, 60.0, ["kill_worker", "kill_master"])} == {"kill_worker", "kill_master"}


def test_the_draw_chooses_a_target_and_an_offset():
    assert [Fault(0, "kill_worker", 1, draw).target(3) for draw in (0.0, 0.34, 0.999, 1.0)] == [0, 1, 2, 2]
    assert [Fault(0, "step_clock", 0, draw).offset for draw in (0.0, 0.5, 1.0)] == [-3600, 0, 3600]
