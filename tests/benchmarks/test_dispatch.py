"""`benchmarks/dispatch.py`: small versions of its parts; the stage on which policies are compared."""

import json

import numpy as np
import pytest

from morphml_distributed.scheduler.fifo import Fifo
from morphml_distributed.scheduler.priority import Priority


def results(capsys, dispatch, *arguments):
    assert dispatch.main([*map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_time_of_a_decision(script, capsys, tmp_path):
    options = ("--workers", 10, "--waiting", 100, "--decisions", 50, "--output", tmp_path)
    found = results(capsys, script("dispatch"), "--part", "decisions", *options)
    assert [each["policy"] for each in found] == [
        "fifo", "priority", "round_robin", "load_balancing", "work_stealing", "adaptive"
    ]  # fmt: skip
    for each in found:
        assert (each["workers"], each["waiting"], each["decisions"]) == (10, 100, 50)
        assert 0 < each["median_us"] <= each["p99_us"] <= each["longest_us"]
        assert each["processor_us"] > 0
    assert json.loads((tmp_path / "dispatch.json").read_text()) == {"decisions": found}


def test_policies_in_situations(script, capsys, tmp_path):
    options = (
        "--situations",
        "urgent tasks",
        "all equal",
        "--policies",
        "fifo",
        "priority",
        "--seeds",
        2,
        "--size",
        0.2,
    )
    found = results(capsys, script("dispatch"), *options, "--output", tmp_path)
    assert [(each["situation"], each["policy"], each["own"]) for each in found] == [
        ("urgent tasks", "fifo", False), ("urgent tasks", "priority", True), ("all equal", "fifo", True), ("all equal", "priority", False)
    ]  # fmt: skip
    assert found[0]["ratios"]["urgent"] == [1.0, 1.0]
    assert max(found[1]["ratios"]["urgent"]) < 0.9
    assert json.loads((tmp_path / "dispatch.json").read_text()) == {"situations": found}
    pytest.importorskip("matplotlib")
    assert (tmp_path / "dispatch.png").read_bytes().startswith(b"\x89PNG")


def test_a_lean_run_is_written_beside_the_other(script, capsys, tmp_path):
    options = (
        "--situations",
        "uneven lengths",
        "--policies",
        "adaptive",
        "--seeds",
        1,
        "--size",
        0.2,
        "--output",
        tmp_path,
    )
    full, lean = (results(capsys, script("dispatch"), *options, *more) for more in ((), ("--lean",)))
    assert [full[0]["lean"], lean[0]["lean"]] == [False, True]
    assert json.loads((tmp_path / "dispatch.json").read_text()) == {"situations": full, "situations, lean": lean}


def test_results_in_words(script):
    dispatch = script("dispatch")
    found = {
        "situation": "rungs", "policy": "priority", "own": True, "measure": "first_full",
        "ratios": {"first_full": [0.5, 0.7], "makespan": [1.0, 1.0], "wait": [1.0, 1.2]},
    }  # fmt: skip
    line = dispatch.line(found)
    assert line.startswith("rungs           priority *        first_full 0.600 ± ")
    assert ", makespan 1.000 ± 0.000, wait 1.100 ± " in line


@pytest.mark.parametrize(
    "name", ["uneven speeds", "long tails", "rungs", "urgent tasks", "bursts", "uneven sizes", "all equal"]
)
def test_a_seed_makes_the_same_situation_again(script, name):
    situations, stage = script("situations"), script("stage")
    runs = []
    for _ in range(2):
        play = situations.SITUATIONS[name].play(np.random.default_rng(3), 0.2)
        ran = stage.Stage(Fifo(), play.sites).run(play.jobs, play.more)
        assert all(each.queued <= each.began < each.ended and each.worker for each in ran)
        runs.append([(each.job, each.worker, each.began, each.ended) for each in ran])
    assert runs[0] == runs[1]


def test_machines_have_a_speed_and_run_one_task_for_each_core(script):
    stage = script("stage")
    jobs = [stage.Job(number, 10.0) for number in range(6)]
    ran = stage.Stage(Fifo(), [stage.Site("quick", 1.0, 2.5), stage.Site("wide", 2.0)]).run(jobs)
    assert sorted(round(each.ended, 1) for each in ran) == [4.0, 8.0, 10.0, 10.0, 12.0, 20.0]
    assert {each.worker for each in ran if each.ended < 7.0} == {"quick"}


def test_crowded_machines_are_slower(script):
    stage = script("stage")
    jobs = [stage.Job(0, 10.0), stage.Job(1, 10.0, at=5.0)]
    ran = stage.Stage(Fifo(), [stage.Site("w", 2.0, crowding=1.0)]).run(jobs)
    assert [round(each.ended, 1) for each in ran] == [15.0, 20.0]


def test_lean_runs_hold_back_what_the_master_has_no_slot_for(script):
    stage = script("stage")
    jobs = [stage.Job(number, 10.0, priority=float(number)) for number in range(12)]
    orders = []
    for lean in (False, True):
        ran = stage.Stage(Priority(None), [stage.Site("w")], lean=lean).run(jobs)
        orders.append([each.job.number for each in sorted(ran, key=lambda each: each.began)])
    assert orders[0][-1] < 6
    assert orders[1] != orders[0]
    assert orders[1][-1] > 6
