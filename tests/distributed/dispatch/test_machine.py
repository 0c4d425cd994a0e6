"""The course of tasks: leases, prefetching, results in time and late, cancelling, stealing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from morphml_core.problem import Cause, Outcome, Report, Resources, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.dispatch.tasks import DispatchError
from morphml_distributed.scheduler import adaptive, work_stealing


def test_a_task_is_given_begun_reported_and_finished(cluster: Any) -> None:
    cluster.join("w")
    said = cluster.submit(1)
    task = Task(1, Genotype((1,)), 1)
    assert said == [
        m.Assign("w", m.Lease(1, 1), task),
        m.Note("assigned", "trial 1 is given to w", "w", 1, 1),
    ]
    assign = said[0]
    assert cluster.begin(assign) == [m.Note("began", "trial 1 has begun on w", "w", 1, 1)]
    assert cluster.report(assign, 1) == [m.Deliver(Report(1, 1, 1, {"loss": 0.5}))]
    assert cluster.finish(assign, 2.0) == [
        m.Acknowledge("w", m.Lease(1, 1), 1, True),
        m.Note("finished", "trial 1 has finished on w", "w", 1, 1),
        m.Deliver(Outcome(1, 1, {"loss": 0.5}, duration=2.0, worker="w")),
    ]


def test_a_result_that_comes_again_is_acknowledged_and_counts_once(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    assign = cluster.one(m.Assign)
    cluster.finish(assign)
    for _ in range(2):
        assert cluster.finish(assign) == [m.Acknowledge("w", assign.lease, 1, True)]


def test_a_failure_that_comes_again_does_not_count_for_the_next_attempt(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    first = cluster.one(m.Assign)
    cluster.fail(first)
    cluster.submit(1, attempt=2)
    assert cluster.fail(first) == [m.Acknowledge("w", first.lease, 1, True)]


def test_a_failure_is_delivered_with_its_cause(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    cluster.fail(cluster.one(m.Assign), Cause.OUT_OF_MEMORY, "the device is full")
    assert cluster.outcome == Outcome(1, 1, None, Cause.OUT_OF_MEMORY, "the device is full", worker="w")
    assert cluster.note("failed").text == "trial 1 has failed on w (out_of_memory)"


def test_a_report_is_delivered_with_the_attempt_that_was_submitted(cluster: Any) -> None:
    cluster.join("w", held=(m.Held(1, 1, m.Lease(0, 5), True, 3),))
    cluster.submit(1, attempt=2)
    lease = cluster.one(m.Assign).lease
    cluster.feed(m.Reported("w", 1, lease, Report(1, 1, 4, {"loss": 1.0})))
    assert cluster.one(m.Deliver).message == Report(1, 2, 4, {"loss": 1.0})


def test_events_of_a_former_session_are_not_listened_to(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    lease = cluster.one(m.Assign).lease
    cluster.join("w", held=cluster.held["w"])
    for event in (
        m.Disconnected("w", 1), m.Left("w", 1), m.Draining("w", 1, "x"), m.Returned("w", 1, lease, 1), m.Began("w", 1, lease, 1),
        m.Reported("w", 1, lease, Report(1, 1, 1, {})), m.Heartbeat("w", 1, m.Health(), 9, ()), m.Began("nobody", 1, lease, 1),
    ):  # fmt: skip
        assert cluster.feed(event) == []


def test_a_result_of_a_former_session_counts_by_its_lease(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    assign = cluster.one(m.Assign)
    cluster.join("w", held=cluster.held["w"])
    cluster.feed(m.Resulted("w", 1, assign.lease, Outcome(1, 1, {"loss": 1.0}, worker="w")))
    assert cluster.outcome.metrics == {"loss": 1.0}


def test_a_result_with_the_lease_of_another_worker_is_not_used(cluster: Any) -> None:
    cluster.join("w")
    cluster.join("v")
    cluster.submit(1)
    lease = cluster.one(m.Assign).lease
    said = cluster.feed(m.Resulted("v", 1, lease, Outcome(1, 1, {"loss": 1.0}, worker="v")))
    assert said == [m.Acknowledge("v", lease, 1, False)]


@pytest.mark.parametrize("lease", [m.Lease(1, 99), m.Lease(7, 1)])
def test_a_result_with_a_lease_that_nobody_gave_is_not_used(cluster: Any, lease: m.Lease) -> None:
    cluster.submit(1)
    said = cluster.feed(m.Resulted("w", 1, lease, Outcome(1, 1, {"loss": 1.0}, worker="w")))
    assert said[0] == m.Acknowledge("w", lease, 1, False)
    assert cluster.outcomes == []


def test_the_same_attempt_twice_is_an_error_with_the_story(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    with pytest.raises(DispatchError) as error:
        cluster.submit(1)
    assert str(error.value) == (
        "trial 1, attempt 1: attempt 1 was submitted while this one is open; its story:\n"
        "  0.000 attempt 1 was submitted\n  0.000 trial 1 is given to w"
    )
    assert cluster.machine.story(1) == ["0.000 attempt 1 was submitted", "0.000 trial 1 is given to w"]


def test_a_further_attempt_takes_the_place_of_an_open_one(cluster: Any) -> None:
    cluster.join("w", 2.0)
    cluster.submit(1)
    first = cluster.one(m.Assign)
    cluster.submit(1, attempt=2)
    assert cluster.one(m.Cancel) == m.Cancel("w", first.lease, 1)
    assert cluster.outcome == Outcome(1, 1)
    assert cluster.one(m.Assign).task.attempt == 2


# prefetching -------------------------------------------------------------------------------------------------


def test_nothing_is_prefetched_until_durations_are_known(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1, 2, 3)
    assert len(cluster.all(m.Assign)) == 1


@pytest.mark.parametrize(("duration", "more"), [(20.0, 1), (1.1, 1), (0.9, 2), (0.25, 3), (0.0001, 65)])
def test_so_many_are_prefetched_that_half_a_second_of_work_is_ahead(cluster: Any, duration: float, more: int) -> None:
    cluster.join("w")
    cluster.submit(*range(100))
    cluster.finish(cluster.one(m.Assign), duration)
    assert len(cluster.all(m.Assign)) == more
    assert cluster.machine.slots(Resources()) == more


def test_prefetched_tasks_begin_when_another_ends(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=2))
    cluster.join("w")
    cluster.submit(1, 2, 3, 4)
    first, second, third = cluster.all(m.Assign)
    assert (cluster.worker("w")["running"], cluster.worker("w")["prefetched"]) == ([1], [2, 3])
    cluster.finish(first)
    assert cluster.one(m.Assign).task.number == 4
    assert (cluster.worker("w")["running"], cluster.worker("w")["prefetched"]) == ([2], [3, 4])
    assert (second.lease, third.lease) == (m.Lease(1, 2), m.Lease(1, 3))


def test_the_worker_is_right_about_which_one_has_begun(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=2))
    cluster.join("w")
    cluster.submit(1, 2, 3)
    first, second, third = cluster.all(m.Assign)
    cluster.finish(first)
    cluster.begin(third)
    assert cluster.worker("w")["running"] == [2, 3]
    cluster.finish(third)
    cluster.finish(second)
    assert cluster.worker("w")["running"] == []


def test_tasks_with_gpus_are_not_prefetched(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=4))
    cluster.join("w", 8.0, gpus=(m.Gpu("0", 2**33),))
    cluster.submit(1, 2, gpus=1.0)
    assert len(cluster.all(m.Assign)) == 1


def test_a_task_that_is_given_back_goes_to_another(make: Callable[..., Any]) -> None:
    cluster = make(Rules(prefetch=1))
    cluster.join("w")
    cluster.submit(1, 2)
    second = cluster.all(m.Assign)[1]
    cluster.join("v")
    cluster.feed(m.Draining("w", 1, "it was told to"), m.Returned("w", 1, second.lease, 2))
    assert cluster.notes == ["draining", "assigned"]
    assert cluster.one(m.Assign).worker == "v"
    assert cluster.outcomes == []


def test_a_worker_that_gives_back_what_nobody_asked_for_rests_until_its_next_heartbeat(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    first = cluster.one(m.Assign)
    cluster.held["w"] = ()
    assert cluster.feed(m.Returned("w", 1, first.lease, 1)) == []
    cluster.feed(cluster.heartbeat("w"))
    assert cluster.one(m.Assign).lease == m.Lease(1, 2)


# stealing ----------------------------------------------------------------------------------------------------


def stealing(make: Callable[..., Any]) -> Any:
    cluster = make(Rules(prefetch=3), work_stealing.create(work_stealing.Config()))
    cluster.join("w")
    cluster.submit(1, 2, 3, 4)
    cluster.assigns = cluster.all(m.Assign)
    assert len(cluster.assigns) == 4
    return cluster


def test_an_idle_worker_takes_over_the_last_prefetched_task(make: Callable[..., Any]) -> None:
    cluster = stealing(make)
    cluster.join("v")
    last = cluster.assigns[3]
    assert cluster.one(m.Revoke) == m.Revoke("w", last.lease, 4)
    assert cluster.all(m.Assign) == []
    cluster.feed(m.Returned("w", 1, last.lease, 4))
    assert (cluster.one(m.Assign).worker, cluster.one(m.Assign).task.number) == ("v", 4)
    assert cluster.note("stolen").text == "trial 4 goes from w to v"


def test_a_steal_is_off_when_the_task_has_begun(make: Callable[..., Any]) -> None:
    cluster = stealing(make)
    cluster.join("v")
    cluster.begin(cluster.assigns[3])
    assert cluster.one(m.Revoke).number == 3
    cluster.finish(cluster.assigns[3])
    assert cluster.outcome.number == 4


# late results ------------------------------------------------------------------------------------------------


def lost(cluster: Any) -> m.Assign:
    """Trial 1 was lost with worker w, and its second attempt waits."""
    cluster.join("w")
    cluster.submit(1)
    first: m.Assign = cluster.one(m.Assign)
    cluster.begin(first)
    cluster.disconnect("w")
    cluster.pass_time(1.0)
    assert cluster.outcome.cause is Cause.LOST
    return first


def test_a_late_result_is_used_where_the_trial_waits(cluster: Any) -> None:
    first = lost(cluster)
    cluster.submit(1, attempt=2)
    cluster.finish(first)
    assert cluster.one(m.Acknowledge) == m.Acknowledge("w", first.lease, 1, True)
    assert cluster.outcome == Outcome(1, 2, {"loss": 0.5}, duration=1.0, worker="w")
    assert cluster.notes == ["late_used"]


def test_a_late_result_is_used_and_the_other_copy_is_cancelled(cluster: Any) -> None:
    first = lost(cluster)
    cluster.join("v")
    cluster.submit(1, attempt=2)
    second = cluster.one(m.Assign)
    cluster.begin(second)
    cluster.finish(first)
    assert cluster.one(m.Cancel) == m.Cancel("v", second.lease, 1)
    assert cluster.outcome.attempt == 2
    cluster.submit(2)
    assert cluster.all(m.Assign) == [], "the copy has not ended yet"
    cluster.result(second)
    assert cluster.one(m.Acknowledge).used is False
    assert cluster.one(m.Assign).task.number == 2


def test_a_late_result_of_a_trial_that_is_over_is_discarded_politely(cluster: Any) -> None:
    first = lost(cluster)
    cluster.join("v")
    cluster.submit(1, attempt=2)
    cluster.finish(cluster.one(m.Assign))
    cluster.finish(first)
    assert cluster.said == [
        m.Acknowledge("w", first.lease, 1, False),
        m.Note("late_discarded", "a late result of trial 1 from w is not used", "w", 1, 1),
    ]


def test_a_late_result_waits_for_the_search_to_submit_the_next_attempt(cluster: Any) -> None:
    first = lost(cluster)
    assert cluster.finish(first) == []
    cluster.submit(1, attempt=2)
    assert cluster.one(m.Acknowledge) == m.Acknowledge("w", first.lease, 1, True)
    assert cluster.outcome.attempt == 2


def test_reports_of_a_late_result_belong_to_its_curve(cluster: Any) -> None:
    first = lost(cluster)
    cluster.join("w")
    cluster.submit(1, attempt=2)
    assert cluster.report(first, 6) == []
    assert cluster.feed(m.Reported("w", 2, first.lease, Report(8, 1, 7, {"loss": 0.1}))) == []
    cluster.finish(first)
    reports = [each.message for each in cluster.all(m.Deliver) if isinstance(each.message, Report)]
    assert reports == [Report(1, 2, 6, {"loss": 0.5})]


def test_a_late_result_does_not_wait_for_ever(cluster: Any) -> None:
    first = lost(cluster)
    cluster.finish(first)
    cluster.pass_time(10.0)
    assert cluster.one(m.Acknowledge).used is False


@pytest.mark.parametrize("outcome", [{}, {"cause": Cause.LOST}, {"cause": Cause.TIMEOUT}])
def test_what_says_nothing_about_the_trial_is_not_used_late(cluster: Any, outcome: dict[str, Any]) -> None:
    first = lost(cluster)
    cluster.submit(1, attempt=2)
    cluster.result(first, **outcome)
    assert cluster.one(m.Acknowledge).used is False
    assert cluster.outcomes == []


def test_a_result_of_a_former_term_is_asked_for_again(make: Callable[..., Any]) -> None:
    """The record may have been begun anew: only the worker knows whether the task is the same."""
    for result_first in (True, False):
        cluster = make(term=2)
        cluster.join("w", held=(m.Held(5, 1, m.Lease(1, 9), True, 2),))
        event = m.Resulted("w", 1, m.Lease(1, 9), Outcome(5, 1, {"loss": 1.0}, duration=3.0, worker="w"))
        if result_first:
            assert cluster.feed(event) == []
            cluster.submit(5, attempt=2)
        else:
            cluster.submit(5, attempt=2)
            assigned = cluster.one(m.Assign)
            assert cluster.feed(event) == []
        assigned = assigned if not result_first else cluster.one(m.Assign)
        cluster.finish(assigned)
        assert (cluster.outcome.number, cluster.outcome.attempt, cluster.outcome.worker) == (5, 2, "w")


def test_a_result_of_a_former_term_that_the_worker_has_not_offered_is_not_used(make: Callable[..., Any]) -> None:
    cluster = make(term=2)
    cluster.join("w")
    cluster.feed(m.Resulted("w", 1, m.Lease(1, 9), Outcome(5, 1, {"loss": 1.0}, worker="w")))
    assert cluster.one(m.Acknowledge) == m.Acknowledge("w", m.Lease(1, 9), 5, False)
    assert cluster.outcomes == []


def test_attempts_after_any_failure_are_spaced_out(cluster: Any) -> None:
    """Exponential backoff with full jitter: the longest pause doubles with each failure, and is counted by its cause."""
    pauses: dict[int, list[float]] = {2: [], 4: []}
    cluster.join("w")
    for number in range(30):
        for attempt in (1, 2, 3, 4):
            said = cluster.submit(number, attempt=attempt)
            waited = 0.0
            while not any(isinstance(each, m.Assign) for each in said):
                said = cluster.pass_time(0.05)
                waited += 0.05
            pauses.setdefault(attempt, []).append(waited)
            cluster.fail(cluster.one(m.Assign))
    assert cluster.machine.snapshot(0.0)["retries"] == {"error": 90}
    assert max(pauses[1]) == 0.0
    assert 0.5 < max(pauses[2]) <= 1.1
    assert 1.5 < max(pauses[4]) <= 4.1


# cancelling --------------------------------------------------------------------------------------------------


def test_a_waiting_task_is_cancelled_at_once(cluster: Any) -> None:
    cluster.submit(1)
    cluster.cancel(1)
    assert cluster.outcome == Outcome(1, 1)
    assert cluster.notes == ["cancelled"]
    assert cluster.cancel(1) == []


def test_a_scheduler_remembers_no_task_that_is_over(make: Callable[..., Any]) -> None:
    scheduler = adaptive.component.create(adaptive.Config())
    cluster = make(scheduler=scheduler)
    for number in range(50):
        cluster.submit(number)
        cluster.cancel(number)
    cluster.submit(50)
    assert set(scheduler._works) == {50}


def test_a_leased_task_is_cancelled_by_its_worker(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    assign = cluster.one(m.Assign)
    assert cluster.cancel(1) == [m.Cancel("w", assign.lease, 1)]
    assert cluster.cancel(1) == []
    cluster.result(assign, duration=0.5)
    assert cluster.outcome == Outcome(1, 1, duration=0.5, worker="w")


def test_a_worker_that_does_not_end_a_cancelled_task_is_not_waited_for(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1, 2)
    assign = cluster.one(m.Assign)
    cluster.begin(assign)
    cluster.cancel(1)
    cluster.pass_time(29.0)
    assert cluster.outcomes == []
    cluster.pass_time(1.5)
    assert cluster.outcome == Outcome(1, 1)
    assert cluster.all(m.Assign) == [], "the worker still has it"
    cluster.result(assign)
    assert cluster.one(m.Assign).task.number == 2


def test_a_cancelled_task_of_a_lost_worker_is_cancelled_and_not_lost(cluster: Any) -> None:
    cluster.join("w")
    cluster.submit(1)
    cluster.begin(cluster.one(m.Assign))
    cluster.cancel(1)
    cluster.disconnect("w")
    cluster.pass_time(1.0)
    assert cluster.outcome == Outcome(1, 1)


def test_the_order_of_ranks_is_kept_when_a_task_comes_back(cluster: Any) -> None:
    cluster.submit(1)
    cluster.now = 1.0
    cluster.submit(2, 3)
    cluster.join("w")
    first = cluster.one(m.Assign)
    assert first.task.number == 1
    cluster.feed(m.Left("w", 1))
    cluster.join("v")
    assert cluster.one(m.Assign).task == attrs.evolve(first.task)
