from __future__ import annotations

from morphml_distributed.dispatch.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from morphml_distributed.dispatch.rules import Rules

RULES = Rules(breaker_lost=2, breaker_failed=4, cooldown=5.0, cooldown_cap=15.0)


def test_lost_processes_of_different_trials_open_it() -> None:
    breaker = Breaker(RULES)
    assert not breaker.failed(1, True, 0.0)
    assert not breaker.failed(1, True, 0.0), "the same trial again: it may be the trial's fault"
    assert breaker.allows(3)
    assert breaker.failed(2, True, 1.0)
    assert (breaker.state, breaker.until, breaker.allows(0)) == (OPEN, 6.0, False)


def test_failures_of_any_cause_open_it_later() -> None:
    breaker = Breaker(RULES)
    assert [breaker.failed(number, False, 0.0) for number in range(4)] == [False, False, False, True]


def test_where_everything_fails_nothing_grows() -> None:
    breaker = Breaker(RULES)
    for number in range(30_000):
        breaker.failed(number, False, 0.0, others=False)
    assert (breaker.failures, breaker.state) == (10_000, CLOSED)


def test_a_success_begins_the_count_anew() -> None:
    breaker = Breaker(RULES)
    breaker.failed(1, True, 0.0)
    assert not breaker.succeeded()
    assert not breaker.failed(2, True, 0.0)


def test_half_open_it_allows_one_task_and_a_success_closes_it() -> None:
    breaker = Breaker(RULES)
    breaker.failed(1, True, 0.0)
    breaker.failed(2, True, 0.0)
    assert not breaker.try_again(4.9)
    assert breaker.try_again(5.0)
    assert breaker.state == HALF_OPEN
    assert breaker.allows(0)
    assert not breaker.allows(1)
    assert breaker.succeeded()
    assert (breaker.state, breaker.cooldown) == (CLOSED, 5.0)


def test_each_failed_trial_of_it_doubles_the_cool_down_up_to_a_cap() -> None:
    breaker, now, pauses = Breaker(RULES), 0.0, []
    breaker.failed(1, True, now)
    breaker.failed(2, True, now)
    for number in range(3, 7):
        pauses.append(breaker.until - now)
        now = breaker.until
        assert breaker.try_again(now)
        assert breaker.failed(number, False, now)
    assert pauses == [5.0, 10.0, 15.0, 15.0]


def test_where_trials_fail_everywhere_no_worker_is_to_blame():
    breaker = Breaker(RULES)
    assert not any(breaker.failed(number, False, 0.0, others=False) for number in range(50))
    assert breaker.state == CLOSED
    assert breaker.failed(50, False, 1.0, others=True), "others do well again: it is this worker"
    assert breaker.try_again(6.0)
    assert not breaker.failed(51, False, 6.0, others=False)
    assert breaker.state == CLOSED
