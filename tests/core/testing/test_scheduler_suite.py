"""`SchedulerSuite` holds for first fit, and catches what breaks its promises."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.protocols import Assignment
from morphml_core.testing import SchedulerSuite

from .probe import failing


def fits(need, free):
    memory = free.memory is None or (need.memory or 0) <= free.memory
    return need.cpus <= free.cpus and memory and need.gpus <= free.gpus


def less(free, need):
    memory = None if free.memory is None else free.memory - (need.memory or 0)
    return attrs.evolve(free, cpus=free.cpus - need.cpus, memory=memory, gpus=free.gpus - need.gpus)


class FirstFit:
    """Each task, in order, goes to the first worker with room."""

    def assign(self, queue, workers, now):
        free = {worker.name: worker.free for worker in workers}
        found = []
        for queued in queue:
            name = next((name for name, room in free.items() if fits(queued.resources, room)), None)
            if name is not None:
                free[name] = less(free[name], queued.resources)
                found.append(Assignment(queued.task.number, name))
        return found

    def observe(self, queued, worker, duration):
        """First fit learns nothing."""


class TestFirstFit(SchedulerSuite):
    @pytest.fixture
    def make(self):
        return FirstFit


class Greedy(FirstFit):
    """Looks at each task alone, and so gives a worker more than it has."""

    def assign(self, queue, workers, now):
        pairs = [(q, next((w for w in workers if fits(q.resources, w.free)), None)) for q in queue]
        return [Assignment(queued.task.number, worker.name) for queued, worker in pairs if worker]


class Twice(FirstFit):
    """Assigns each task twice."""

    def assign(self, queue, workers, now):
        return [each for each in super().assign(queue, workers, now) for _ in range(2)]


class Stuck(FirstFit):
    """Waits for the first task of the queue, whether it fits anywhere or not."""

    def assign(self, queue, workers, now):
        found = []
        for assignment, queued in zip(super().assign(queue, workers, now), queue, strict=False):
            if assignment.number != queued.task.number:
                break
            found.append(assignment)
        return found


class Lazy(FirstFit):
    """Never starts the last task of the queue."""

    def assign(self, queue, workers, now):
        return super().assign(queue[:-1], workers, now)


class Owner(FirstFit):
    """Takes the master's queue for its own."""

    def assign(self, queue, workers, now):
        found = super().assign(queue, workers, now)
        queue.clear()
        return found


class Nervous(FirstFit):
    """Has not heard of workers that come and go."""

    def observe(self, queued, worker, duration):
        if not worker.startswith("w"):
            raise KeyError(worker)


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Greedy, {"free_resources_are_never_exceeded", "after_learning_too", "every_task_gets_its_turn"}),
        (
            Twice,
            {
                "a_free_worker_gets_a_task_that_fits", "a_task_that_fits_nowhere_waits", "free_resources_are_never_exceeded",
                "after_learning_too", "every_task_gets_its_turn",
            },
        ),
        (Stuck, {"a_task_that_fits_nowhere_waits", "every_task_gets_its_turn"}),
        (Lazy, {"a_free_worker_gets_a_task_that_fits", "a_task_that_fits_nowhere_waits", "every_task_gets_its_turn"}),
        (Owner, {"free_resources_are_never_exceeded", "after_learning_too", "every_task_gets_its_turn", "queue_and_workers_stay_as_they_were"}),
        (Nervous, {"after_learning_too"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_broken_schedulers_are_caught(broken, caught, tmp_path):
    assert failing(SchedulerSuite, broken, tmp_path) == caught
