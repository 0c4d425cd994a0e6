"""A task on a virtual clock."""

import pytest

from morphml_core.executor.virtual import VirtualRun, expected
from morphml_core.problem import Budget, Cause, Outcome, Report
from morphml_core.testing.executor import behaviours, task


def told(run):
    found = []
    while not (found and isinstance(found[-1][1], Outcome)):
        found.append(run.advance())
    run.close()
    return found


def test_reports_and_the_end_have_their_moments():
    found = told(VirtualRun(behaviours(), task(1, steps=2, budget=Budget(4)), 100.0, 20.0))
    assert [(moment, type(message)) for moment, message in found] == [
        (105.0, Report),
        (110.0, Report),
        (120.0, Outcome),
    ]
    assert found[-1][1].duration == 20.0


def test_a_quick_machine_takes_less_time():
    [(moment, outcome)] = told(VirtualRun(behaviours(), task(1), 1.0, 20.0, speed=4.0))
    assert (moment, outcome.duration) == (6.0, 5.0)


def test_without_a_total_it_takes_as_long_as_it_takes():
    found = told(VirtualRun(behaviours(), task(1, steps=1, pause=0.02), 1.0, speed=0.5))
    assert found[0][0] >= 1.04
    assert 1.04 <= found[1][0] < 30.0


def test_a_pause_moves_what_is_still_to_come_and_counts_for_nothing():
    run = VirtualRun(behaviours(), task(1, steps=1, budget=Budget(2)), 0.0, 20.0)
    assert run.advance()[0] == 10.0
    run.delay(100.0)
    moment, outcome = run.advance()
    assert (moment, outcome.duration) == (120.0, 20.0)


@pytest.mark.parametrize("total", [10.0, None])
def test_one_that_dies_is_lost(total):
    run = VirtualRun(behaviours(), task(1, steps=1, budget=Budget(2)), 0.0, total)
    run.die_at(0.75, "it died")
    *reports, (moment, outcome) = told(run)
    assert len(reports) == 1
    assert (outcome.cause, outcome.message, outcome.duration) == (Cause.LOST, "it died", pytest.approx(moment))
    if total:
        assert moment == 7.5


def test_the_timeout_comes_before_a_later_death():
    run = VirtualRun(behaviours(), task(1, timeout=4.0), 0.0, 10.0)
    run.die_at(0.5, "it died")
    [(moment, outcome)] = told(run)
    assert (moment, outcome.cause) == (4.0, Cause.TIMEOUT)


def test_how_long_a_task_takes():
    work = behaviours()
    assert expected(work, task(1), None) is None
    assert expected(work, task(1), 12.0) == 12.0
    assert expected(work, task(1, budget=Budget(3, 0.5)), 12.0) == 6.0
