"""The six policies keep what every scheduler promises, and each does what it is for."""

from __future__ import annotations

from functools import cache

import attrs
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Resources, Task
from morphml_core.protocols import Patient, QueuedTask, Stealing, WorkerView
from morphml_core.space.decisions import Genotype
from morphml_core.testing import SchedulerSuite

GIB = 2**30


@cache
def loader():
    return Loader()


def load(name, **options):
    return loader().load(ComponentRef("scheduler", name, options)).create()


class TestFifo(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("fifo")


class TestPriority(SchedulerSuite):
    starves = True

    @pytest.fixture
    def make(self):
        return lambda: load("priority")


class TestPriorityWithPatience(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("priority", patience="20s")


class TestRoundRobin(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("round_robin")


class TestLoadBalancing(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("load_balancing")


class TestWorkStealing(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("work_stealing")


class TestAdaptive(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return lambda: load("adaptive")


def queued(number, since=0.0, features=(), **values):
    return QueuedTask(Task(number, Genotype((number,)), seed=0, **values), since, features)


def worker(name, capacity=None, free=None, **values):
    capacity = capacity or Resources()
    return WorkerView(name, capacity, free or capacity, **values)


def order(scheduler, tasks):
    return [each.task.number for each in sorted(tasks, key=scheduler.task_rank)]


def ranked(scheduler, workers):
    return [each.name for each in sorted(workers, key=scheduler.worker_rank)]


@pytest.mark.parametrize("name", ["fifo", "round_robin", "load_balancing", "work_stealing"])
def test_first_come_first_served(name):
    tasks = [queued(1, 3.0, priority=9.0), queued(2, 1.0, budget=Budget(1)), queued(3, 2.0), queued(4, 2.0)]
    assert order(load(name), tasks) == [2, 3, 4, 1]


def test_only_these_steal_or_wait():
    names = ["fifo", "priority", "round_robin", "load_balancing", "work_stealing", "adaptive"]
    assert [name for name in names if isinstance(load(name), Stealing)] == ["work_stealing", "adaptive"]
    assert [name for name in names if isinstance(load(name), Patient)] == ["adaptive"]


def test_fifo_ranks_workers_alike():
    scheduler = load("fifo")
    assert ranked(scheduler, [worker("b", running=(1, 2)), worker("a"), worker("c", prefetched=(3,))]) == [
        "b",
        "a",
        "c",
    ]


def test_round_robin_prefers_the_worker_that_was_given_a_task_longest_ago():
    workers = [worker("a", assigned=7), worker("b", assigned=3, running=(1,)), worker("c")]
    assert ranked(load("round_robin"), workers) == ["c", "b", "a"]


# priority ---------------------------------------------------------------------------------------------


def test_priority_decides_before_all_else():
    tasks = [queued(1, 0.0), queued(2, 9.0, priority=0.5), queued(3, 8.0, priority=2.0, budget=Budget(1))]
    assert order(load("priority"), tasks) == [3, 2, 1]


def test_what_a_rung_waits_for_goes_first():
    tasks = [
        queued(1, 1.0, budget=Budget(1)),
        queued(2, 2.0, budget=Budget(3)),
        queued(3, 3.0, budget=Budget(3), continues=0),
        queued(4, 4.0, budget=Budget(9, 0.1)),
        queued(5, 5.0),
        queued(6, 6.0, budget=Budget(1), attempt=2),
    ]
    assert order(load("priority"), tasks) == [6, 5, 3, 2, 1, 4]


def test_features_say_what_a_full_evaluation_has():
    full, nine = queued(1, 1.0, (3.0, 1.0)), queued(2, 2.0, (9.0, 1.0), budget=Budget(9))
    assert order(load("priority"), [full, nine]) == [2, 1]


def test_with_patience_a_wait_is_worth_priority():
    scheduler = load("priority", patience=10)
    old, new = queued(1, 3.0), queued(2, 25.0, priority=1.0)
    assert order(scheduler, [new, old]) == [1, 2]
    assert order(scheduler, [attrs.evolve(new, since=12.0), attrs.evolve(old, since=9.0)]) == [1, 2]
    assert order(scheduler, [old, attrs.evolve(new, since=8.0)]) == [2, 1]
    assert order(load("priority"), [new, old]) == [2, 1]


def test_patience_is_a_time():
    with pytest.raises(ConfigurationError, match=r"patience.* 0"):
        load("priority", patience=0)


def test_priority_prefers_a_worker_that_has_little_to_begin():
    workers = [worker("a", running=(1,), prefetched=(2,)), worker("b", running=(3,)), worker("c")]
    assert ranked(load("priority"), workers) == ["c", "b", "a"]


# load balancing ---------------------------------------------------------------------------------------


def test_the_largest_share_of_its_own_capacity():
    workers = [
        worker("small", Resources(4.0, 8 * GIB), Resources(3.0, 8 * GIB)),
        worker("large", Resources(64.0, 256 * GIB), Resources(56.0, 256 * GIB)),
        worker("half", Resources(64.0, 256 * GIB), Resources(60.0, 128 * GIB)),
        worker("gpu", Resources(64.0, 256 * GIB, 2.0), Resources(64.0, 256 * GIB, 0.5)),
        worker("idle", Resources(1.0)),
    ]
    assert ranked(load("load_balancing"), workers) == ["idle", "large", "small", "half", "gpu"]


def test_among_full_workers_the_least_backlog_for_its_size():
    full = Resources(0.0)
    workers = [
        worker("small", Resources(2.0), full, prefetched=(1,)),
        worker("large", Resources(8.0), full, prefetched=(2, 3)),
    ]
    assert ranked(load("load_balancing"), workers) == ["large", "small"]


# work stealing ----------------------------------------------------------------------------------------


def test_an_idle_worker_steals_and_a_busy_one_does_not():
    scheduler = load("work_stealing")
    victim = worker("victim", running=(1,), prefetched=(2,))
    assert scheduler.steals(worker("thief"), victim) is True
    assert scheduler.steals(worker("thief", prefetched=(3,)), victim) is False
    assert scheduler.steals(worker("thief"), worker("other", running=(4,))) is False


def test_the_worker_that_holds_least_for_its_size_is_first():
    workers = [worker("a", running=(1,)), worker("b", Resources(8.0), running=(2, 3), prefetched=(4,)), worker("c")]
    assert ranked(load("work_stealing"), workers) == ["c", "b", "a"]
