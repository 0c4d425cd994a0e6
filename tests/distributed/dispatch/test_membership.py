"""Workers that vanish, fall silent, come back, are unwell, or break everything; and trials that break workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from morphml_core.problem import Cause
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.rules import Rules


def running(cluster: Any, number: int = 1, attempt: int = 1) -> m.Assign:
    cluster.submit(number, attempt=attempt)
    assign: m.Assign = cluster.one(m.Assign)
    cluster.begin(assign)
    return assign


def test_a_killed_workers_trial_runs_elsewhere_within_two_heartbeats(cluster: Any) -> None:
    cluster.join("w")
    running(cluster)
    cluster.join("v")
    cluster.disconnect("w")
    cluster.pass_time(1.0)
    assert [note.kind for note in cluster.all(m.Note)] == ["lost", "failed"]
    assert cluster.note("lost").text == "w is lost: its connection broke, and it did not come back within 1 s"
    how = "the worker w was lost: its connection broke, and it did not come back within 1 s"
    assert (cluster.outcome.cause, cluster.outcome.message, cluster.outcome.final) == (Cause.LOST, how, False)
    cluster.submit(1, attempt=2)
    assert cluster.one(m.Assign).worker == "v"
    assert cluster.now <= 2.0


def test_a_stopped_worker_is_noticed_within_three_heartbeats(cluster: Any) -> None:
    cluster.join("w")
    cluster.join("v")
    running(cluster)
    cluster.pass_time(30.0)
    cluster.beating.discard("w")
    cluster.pass_time(1.9)
    assert cluster.note("suspected").worker == "w"
    assert cluster.worker("w")["state"] == "suspected"
    cluster.pass_time(1.1)
    assert cluster.one(m.Evict) == m.Evict("w", 1, cluster.one(m.Evict).reason)
    assert (cluster.outcome.cause, cluster.outcome.worker) == (Cause.LOST, "w")


def test_a_suspected_worker_that_is_heard_again_has_recovered(cluster: Any) -> None:
    cluster.join("w")
    cluster.pass_time(10.0)
    cluster.beating.discard("w")
    cluster.pass_time(1.9)
    cluster.submit(1)
    assert cluster.all(m.Assign) == []
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.notes == ["recovered", "assigned"]


def test_a_worker_that_comes_back_in_time_goes_on(cluster: Any) -> None:
    cluster.join("w")
    assign = running(cluster)
    cluster.disconnect("w")
    cluster.pass_time(0.9)
    cluster.join("w", held=(m.Held(1, 1, assign.lease, True, 4),))
    cluster.pass_time(30.0)
    assert (cluster.outcomes, cluster.all(m.Cancel)) == ([], [])
    cluster.finish(assign)
    assert cluster.outcome.attempt == 1


def test_what_a_worker_has_not_begun_waits_again_without_a_lost_attempt(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=2))
    cluster.join("w")
    cluster.submit(1, 2, 3)
    cluster.begin(cluster.all(m.Assign)[0])
    cluster.disconnect("w")
    cluster.join("v", 4.0)
    cluster.pass_time(1.0)
    assert [outcome.number for outcome in cluster.outcomes] == [1]
    assert [(each.task.number, each.task.attempt, each.worker) for each in cluster.all(m.Assign)] == [
        (2, 1, "v"),
        (3, 1, "v"),
    ]


def test_a_worker_that_has_started_anew_has_lost_what_it_ran(cluster: Any) -> None:
    cluster.join("w")
    running(cluster)
    cluster.join("w")
    assert cluster.outcome.message == "the worker has started anew, without it"


def test_the_sleep_of_the_master_itself_makes_nobody_suspicious(cluster: Any) -> None:
    cluster.join("w")
    running(cluster)
    cluster.pass_time(10.0)
    cluster.now += 3600.0
    assert cluster.feed(m.Ticked()) == []
    cluster.pass_time(10.0)
    assert cluster.outcomes == []


# tasks that are gone -----------------------------------------------------------------------------------------


def test_a_running_task_that_the_worker_does_not_have_is_lost(cluster: Any) -> None:
    cluster.join("w")
    running(cluster)
    cluster.held["w"] = ()
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.outcome.message == "the worker does not have it any more, and has no result of it"


def test_an_assignment_that_was_lost_on_the_way_is_given_again(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    cluster.held["w"] = ()
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.outcomes == []
    assert cluster.one(m.Assign).lease == m.Lease(1, 2)


def test_an_assignment_that_is_on_its_way_is_not_gone(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    cluster.held["w"], cluster.received["w"] = (), 0
    assert cluster.feed(cluster.heartbeat("w")) == []


# retries and poison ------------------------------------------------------------------------------------------


def test_after_the_death_of_its_process_a_trial_waits_longer_and_longer(make: Callable[..., Any]) -> None:
    cluster = make(Rules(poison=100, backoff=4.0, backoff_cap=20.0, breaker_lost=100))
    cluster.join("w")
    assign, pauses = running(cluster), []
    for attempt in range(2, 40):
        cluster.fail(assign, Cause.LOST, "its process died")
        since = cluster.now
        cluster.submit(1, attempt=attempt)
        while not cluster.all(m.Assign):
            cluster.pass_time(0.1)
        pauses.append(cluster.now - since)
        assign = cluster.one(m.Assign)
    assert pauses[0] <= 4.1
    assert pauses[1] <= 8.1
    assert max(pauses) <= 20.1
    assert max(pauses) > 10.0, "the pause has grown"
    assert min(pauses[5:]) < 5.0, "the jitter is full"


def test_the_first_loss_of_a_whole_worker_makes_no_pause(cluster: Any) -> None:
    cluster.join("w")
    running(cluster)
    cluster.join("v")
    cluster.disconnect("w")
    cluster.pass_time(1.0)
    cluster.submit(1, attempt=2)
    assert cluster.notes == ["retried", "assigned"]
    assert cluster.note("retried").text == "trial 1 is tried again, for the 2. time"


def test_a_trial_that_three_workers_died_with_is_put_aside_with_its_story(cluster: Any) -> None:
    for attempt, name in enumerate(("a", "b", "c"), 1):
        cluster.join(name)
        cluster.submit(1, attempt=attempt)
        while not cluster.all(m.Assign):
            cluster.pass_time(0.5)
        cluster.begin(cluster.one(m.Assign))
        cluster.disconnect(name)
        cluster.now = float(int(cluster.now)) + 1.0
        cluster.feed(m.Ticked())
        while not cluster.outcomes:
            cluster.pass_time(0.5)
    assert (cluster.outcome.cause, cluster.outcome.final, cluster.outcome.attempt) == (Cause.LOST, True, 3)
    text = cluster.outcome.message
    assert text.startswith("trial 1 is put aside: 3 workers or processes died with it (at ")
    for name in ("a", "b", "c"):
        assert f"s on {name}: the worker {name} was lost: its connection broke" in text
    assert cluster.note("quarantined").text == text


def test_a_worker_that_was_only_cut_off_did_not_die_with_the_trial(make: Callable[..., Any]) -> None:
    cluster = make(Rules(poison=1))
    cluster.join("w")
    running(cluster)
    assert cluster.machine.check() is None
    cluster = make(Rules(poison=2, backoff=0.0))
    cluster.join("w")
    for attempt in range(1, 6):
        assign = running(cluster, attempt=attempt)
        cluster.disconnect("w")
        cluster.pass_time(1.5)
        assert cluster.outcome.final is False
        cluster.join("w", held=(m.Held(1, attempt, assign.lease, True, 1),))
        cluster.pass_time(20.0)  # the trial is not submitted in time: the kept task is cancelled
        assert cluster.all(m.Cancel)
        cluster.result(assign)


def test_a_worker_that_leaves_gives_its_running_trial_no_blame(make: Callable[..., Any]) -> None:
    cluster = make(Rules(poison=1))
    cluster.join("w")
    running(cluster)
    cluster.feed(m.Left("w", 1))
    assert (cluster.outcome.cause, cluster.outcome.final) == (Cause.LOST, False)
    assert cluster.notes == ["left", "failed"]


# breakers ----------------------------------------------------------------------------------------------------


def test_a_worker_on_which_everything_dies_gets_no_tasks_for_a_while_then_one(cluster: Any) -> None:
    cluster.join("w", 2.0)
    for number in (1, 2, 3):
        cluster.fail(running(cluster, number), Cause.LOST, "its process died")
    assert cluster.note("breaker_open").text == "w gets no tasks for 5 s: 3 trials failed on it in a row"
    cluster.submit(4, 5)
    assert cluster.all(m.Assign) == []
    cluster.pass_time(5.0)
    assert cluster.notes == ["breaker_half_open", "assigned"]
    probe = cluster.one(m.Assign)
    assert cluster.worker("w")["breaker"] == "half_open"
    cluster.finish(probe)
    assert cluster.note("breaker_closed").text == "w gets tasks again"
    assert cluster.one(m.Assign).task.number == 5


# health ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ill", "better", "well", "why"),
    [
        (m.Health(disk_free=10**8), m.Health(disk_free=51 * 10**7), m.Health(disk_free=10**9), "100 MB of its disk are free, and 500 MB must be"),
        (m.Health(memory=0.99), m.Health(memory=0.96), m.Health(memory=0.5), "99% of its memory are used, and 97% may be"),
        (m.Health(temperature=99.0), m.Health(temperature=93.0), m.Health(temperature=60.0), "a GPU has 99 degrees, and may have 95"),
    ],
)  # fmt: skip
def test_an_unhealthy_worker_gets_no_new_tasks_until_it_is_well(
    cluster: Any, ill: m.Health, better: m.Health, well: m.Health, why: str
) -> None:
    cluster.join("w")
    cluster.feed(cluster.heartbeat("w", ill))
    assert cluster.note("unhealthy").text == f"w gets no new tasks: {why}"
    cluster.submit(1)
    assert cluster.feed(cluster.heartbeat("w", better)) == []
    cluster.feed(cluster.heartbeat("w", well))
    assert cluster.notes == ["healthy", "assigned"]


def test_a_draining_worker_finishes_and_gets_nothing_new(cluster: Any) -> None:
    cluster.join("w")
    assign = running(cluster)
    cluster.feed(m.Draining("w", 1, "it was told to by SIGTERM"))
    assert cluster.note("draining").text == "w wants no more tasks: it was told to by SIGTERM"
    cluster.finish(assign)
    cluster.submit(2)
    assert cluster.all(m.Assign) == []
    assert cluster.worker("w")["state"] == "draining"


# adoption ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joins_first", [True, False])
def test_a_restarted_master_takes_up_what_workers_have_kept(make: Callable[..., Any], joins_first: bool) -> None:
    cluster = make(term=2)
    held = (m.Held(7, 1, m.Lease(1, 3), True, 5),)
    if joins_first:
        cluster.join("w", held=held)
        cluster.submit(8)
        assert cluster.all(m.Assign) == [], "what it has kept takes its place"
        cluster.submit(7, attempt=2)
    else:
        cluster.submit(7, attempt=2)
        cluster.join("w", held=held)
    assert cluster.all(m.Cancel) == []
    assert cluster.one(m.Assign).lease.term == 2
    assert cluster.note("adopted").text == "trial 7 goes on on w, which has kept it"
    cluster.held["w"] = (m.Held(7, 2, cluster.one(m.Assign).lease, True, 5),)
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.all(m.Cancel) == []


def test_of_two_copies_the_one_that_is_further_goes_on(make: Callable[..., Any]) -> None:
    cluster = make(term=2)
    cluster.join("v")
    cluster.submit(7, attempt=2)
    fresh = cluster.one(m.Assign)
    cluster.report(fresh, 1)
    cluster.join("w", held=(m.Held(7, 1, m.Lease(1, 3), True, 5),))
    assert cluster.one(m.Cancel) == m.Cancel("v", fresh.lease, 7)
    assert cluster.one(m.Assign).worker == "w"
    assert cluster.outcomes == []


def test_of_two_copies_the_one_that_is_behind_is_cancelled(make: Callable[..., Any]) -> None:
    cluster = make(term=2)
    cluster.join("v")
    cluster.submit(7, attempt=2)
    cluster.report(cluster.one(m.Assign), 5)
    cluster.join("w", held=(m.Held(7, 1, m.Lease(1, 3), True, 4),))
    assert cluster.one(m.Cancel) == m.Cancel("w", m.Lease(1, 3), 7)


def test_what_nobody_submits_is_cancelled_after_a_while(make: Callable[..., Any]) -> None:
    cluster = make(term=2)
    cluster.join("w", held=(m.Held(7, 1, m.Lease(1, 3), True, 5),))
    cluster.pass_time(9.9)
    cluster.submit(8)
    assert cluster.said == []
    cluster.pass_time(0.2)
    assert cluster.one(m.Cancel) == m.Cancel("w", m.Lease(1, 3), 7)
    cluster.held["w"] = ()
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.one(m.Assign).task.number == 8


# looking on --------------------------------------------------------------------------------------------------


def test_the_snapshot_is_json_and_has_what_there_is(cluster: Any) -> None:
    cluster.join("w", 2.0, gpus=(m.Gpu("0", 2**33),), labels=frozenset({"b", "a"}))
    cluster.submit(1, 2, 3)
    cluster.submit(4, gpus=1.0, gpu_memory=2**30)
    found = json.loads(json.dumps(cluster.machine.snapshot(cluster.now)))
    (worker,) = found["workers"]
    assert (worker["name"], worker["state"], worker["running"], worker["breaker"]) == ("w", "ready", [1, 2], "closed")
    assert worker["capacity"] == {
        "cpus": 2.0,
        "memory": 2**33,
        "gpus": [{"id": "0", "memory": 2**33}],
        "labels": ["a", "b"],
    }
    assert [(each["need"], each["length"]) for each in found["queue"]] == [("1 cpu", 1), ("1 cpu, 1 gpu of 1.0 GiB", 1)]
    assert [(each["trial"], each["worker"], each["state"]) for each in found["leases"]] == [
        (1, "w", "leased"),
        (2, "w", "leased"),
    ]
    assert (found["submitted"], found["open"], found["notes"]) == (4, 4, {"joined": 1, "assigned": 2})


def test_workers_that_are_gone_for_long_are_forgotten(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morphml_distributed.dispatch.membership._REMEMBERED", 5)
    cluster.join("stays")
    for number in range(20):
        cluster.join(f"w{number}")
        cluster.submit(number)
        cluster.feed(m.Left(f"w{number}", cluster.sessions[f"w{number}"]))
    names = [worker["name"] for worker in cluster.machine.snapshot(cluster.now)["workers"]]
    assert names == ["stays", *(f"w{number}" for number in range(15, 20))]
    cluster.join("w3")
    cluster.join("w17")
    assert {cluster.worker(name)["state"] for name in ("stays", "w3", "w17")} == {"ready"}
