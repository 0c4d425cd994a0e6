"""`SchedulerSuite` holds for first come first served, and catches what breaks its promises."""

from __future__ import annotations

import math

import attrs
import pytest

from morphml_core.problem import Resources
from morphml_core.protocols import QueuedTask, WorkerView
from morphml_core.testing import SchedulerSuite
from morphml_core.testing.cluster import Cluster
from morphml_core.testing.scheduler import scene

from .probe import failing


class Fifo:
    """First come, first served, to the first worker with room."""

    def task_rank(self, queued):
        return (queued.since,)

    def worker_rank(self, worker):
        return (0.0,)

    def observe(self, queued, worker, duration):
        return False


class TestFifo(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return Fifo


class Urgent(Fifo):
    """The highest priority first, whatever waits."""

    def task_rank(self, queued):
        return (-queued.task.priority, queued.since)


class TestUrgent(SchedulerSuite):
    starves = True

    @pytest.fixture
    def make(self):
        return Urgent


class Thief(Fifo):
    """Moves whatever can be moved, and makes tasks wait for whom they can wait for."""

    def steals(self, thief, victim):
        return True

    def waits(self, queued, free, busy):
        return True


class TestThief(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return Thief


class Unsure(Fifo):
    """Knows no place for a task without a limit of memory."""

    def task_rank(self, queued):
        memory = queued.task.resources.memory
        return (math.inf if memory is None else memory, queued.since)


class Numb(Fifo):
    """Ranks tasks by a number alone."""

    def task_rank(self, queued):
        return queued.since


class Uneven(Fifo):
    """The rank of a busy worker says more than that of an idle one."""

    def worker_rank(self, worker):
        return (1.0, float(len(worker.running))) if worker.running else (0.0,)


class Dividing(Fifo):
    """Has not heard of workers that have nothing."""

    def worker_rank(self, worker):
        return (1 - worker.free.cpus / worker.capacity.cpus,)


class Nervous(Fifo):
    """Has not heard of workers that come and go."""

    def observe(self, queued, worker, duration):
        if worker.name.startswith("a worker"):
            raise KeyError(worker.name)
        return False


class Logarithmic(Fifo):
    """Has not heard of tasks that take no time."""

    def observe(self, queued, worker, duration):
        math.log(duration)
        return False


class Silent(Fifo):
    """Does not say whether ranks have changed."""

    def observe(self, queued, worker, duration):
        return None


class Moody(Fifo):
    """Ranks anew whenever it is asked."""

    def worker_rank(self, worker):
        return (float(next(MOOD)),)


MOOD = iter(range(1, 10**9))


class Secret(Fifo):
    """Learns, and does not tell."""

    def __init__(self):
        self.mean = 0.0

    def task_rank(self, queued):
        return (queued.since + self.mean,)

    def observe(self, queued, worker, duration):
        self.mean += 0.1 * (duration - self.mean)
        return False


class Restless(Secret):
    """Has everything ranked again with each observation."""

    def observe(self, queued, worker, duration):
        super().observe(queued, worker, duration)
        return True


class Newest(Fifo):
    """Last come, first served."""

    def task_rank(self, queued):
        return (-queued.since,)


class Owner(Fifo):
    """Takes the master's workers for its own."""

    def worker_rank(self, worker):
        object.__setattr__(worker, "assigned", 0)
        return (0.0,)


NUMBERS, AFTER = "ranks_are_numbers", "ranks_are_numbers_after_learning"


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Unsure, {NUMBERS, AFTER}),
        (Numb, {NUMBERS, AFTER}),
        (Uneven, {NUMBERS, AFTER}),
        (
            Dividing,
            {
                NUMBERS, AFTER, "the_same_history_gives_the_same_ranks", "ranks_change_only_when_it_says_so", "ranks_change_rarely",
                "every_task_gets_its_turn", "tasks_and_workers_stay_as_they_were",
            },
        ),
        (Nervous, {AFTER}),
        (Logarithmic, {AFTER}),
        (Silent, {AFTER, "ranks_change_rarely"}),
        (Moody, {"the_same_history_gives_the_same_ranks", "ranks_change_only_when_it_says_so"}),
        (Secret, {"ranks_change_only_when_it_says_so"}),
        (Restless, {"ranks_change_rarely"}),
        (Newest, {"no_task_waits_for_ever"}),
        (Urgent, {"no_task_waits_for_ever"}),
        (Owner, {"tasks_and_workers_stay_as_they_were"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_broken_schedulers_are_caught(broken, caught, tmp_path):
    assert failing(SchedulerSuite, broken, tmp_path) == caught


def test_who_is_said_to_starve_tasks_and_does_not_is_caught(tmp_path):
    class Unjust(SchedulerSuite):
        starves = True

    assert failing(Unjust, Fifo, tmp_path) == {"no_task_waits_for_ever"}


def test_the_cluster_runs_by_rank():
    class ShortNeeds(Fifo):
        def task_rank(self, queued):
            return (queued.task.resources.cpus,)

    queue, _ = scene(3)
    worker = WorkerView("w", Resources(4.0), Resources(4.0))
    needy = [attrs.evolve(q, task=attrs.evolve(q.task, resources=Resources(n % 4 + 1.0))) for n, q in enumerate(queue)]
    ran = Cluster(ShortNeeds(), [worker], 0).run(needy)
    needs = {queued.task.number: queued.task.resources.cpus for queued in needy}
    assert [needs[number] for number in ran if needs[number] != 3] == [1.0] * 3 + [2.0] * 3 + [4.0] * 3


def test_the_cluster_lets_a_worker_hold_one_task_ahead_and_another_steal_it():
    class Watched(Fifo):
        def __init__(self):
            self.asked = []

        def steals(self, thief, victim):
            self.asked.append((thief.name, victim.name, victim.prefetched))
            return True

    scheduler = Watched()
    queue = [QueuedTask(attrs.evolve(queued.task, resources=Resources()), 0.0) for queued in scene(0, tasks=3)[0]]
    workers = [WorkerView(name, Resources(), Resources()) for name in "ab"]
    assert Cluster(scheduler, workers, 0).run(queue) == [1, 0, 2]  # the third task was held by a while a ran the first
    assert scheduler.asked == [("b", "a", (2,))]
