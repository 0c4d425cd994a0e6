"""What every scheduler promises: `SchedulerSuite`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np
import pytest

from morphml_core.problem import Resources, Task
from morphml_core.protocols import Assignment, QueuedTask, Scheduler, WorkerView
from morphml_core.space.decisions import Genotype

Make = Callable[[], Scheduler]
GIB = 2**30

seeds = pytest.mark.parametrize("seed", range(20))


class SchedulerSuite:
    """Tests of one scheduler.  Give it a fixture `make` that returns a function of nothing to a new scheduler."""

    @pytest.fixture
    def make(self) -> Make:
        """A function to a scheduler."""
        raise NotImplementedError(
            "a SchedulerSuite needs a fixture 'make' that returns a function of () to a scheduler"
        )

    def test_nothing_to_do(self, make: Make) -> None:
        """No task, no worker: no assignment."""
        queue, workers = scene(0)
        assert list(make().assign([], [], 0.0)) == []
        assert list(make().assign([], workers, 0.0)) == []
        assert list(make().assign(queue, [], 0.0)) == []

    @seeds
    def test_free_resources_are_never_exceeded(self, make: Make, seed: int) -> None:
        """What is assigned to a worker fits into what it has free, all together; a task goes to one worker."""
        queue, workers = scene(seed)
        check(queue, workers, make().assign(queue, workers, 100.0))

    @seeds
    def test_after_learning_too(self, make: Make, seed: int) -> None:
        """The same holds after it has observed durations, of any size."""
        queue, workers = scene(seed)
        scheduler = make()
        for index, queued in enumerate(queue):
            scheduler.observe(queued, workers[index % len(workers)].name, 10.0 ** (index % 6 - 3))
        scheduler.observe(queue[0], "a worker that is gone", 0.0)
        check(queue, workers, scheduler.assign(queue, workers, 100.0))

    def test_a_free_worker_gets_a_task_that_fits(self, make: Make) -> None:
        """A worker does not stay idle while a task waits that fits it."""
        worker = WorkerView("w", Resources(2, 4 * GIB, 1), Resources(2, 4 * GIB, 1))
        queued = QueuedTask(_task(3), Resources(1, GIB, 0.5), since=0.0)
        assert list(make().assign([queued], [worker], 1.0)) == [Assignment(3, "w")]

    def test_a_task_that_fits_nowhere_waits(self, make: Make) -> None:
        """A task that no worker can hold is not assigned, and does not keep others from it."""
        worker = WorkerView("w", Resources(2, 4 * GIB, 0), Resources(2, 4 * GIB, 0))
        large = [Resources(3), Resources(1, 5 * GIB), Resources(1, None, 0.25)]
        queue = [QueuedTask(_task(number), need, since=0.0) for number, need in enumerate([*large, Resources(1, GIB)])]
        assert list(make().assign(queue, [worker], 1.0)) == [Assignment(3, "w")]

    @seeds
    def test_every_task_gets_its_turn(self, make: Make, seed: int) -> None:
        """Assigning, running and observing until nothing is left: every task that some worker can hold ran, once."""
        queue, workers = scene(seed)
        ran = Cluster(make(), queue, workers, seed).run()
        possible = [queued.task.number for queued in queue if any(_fits(queued.resources, w.capacity) for w in workers)]
        assert sorted(ran) == sorted(possible)

    @seeds
    def test_queue_and_workers_stay_as_they_were(self, make: Make, seed: int) -> None:
        """The lists that it is handed are the master's."""
        queue, workers = scene(seed)
        before = list(queue), list(workers)
        make().assign(queue, workers, 100.0)
        assert (queue, workers) == before


def scene(seed: int) -> tuple[list[QueuedTask], list[WorkerView]]:
    """A queue of up to twelve tasks before up to four workers, of all sizes; one worker is busy.  The same for the same seed."""
    rng = np.random.default_rng(seed)
    workers = []
    for index in range(int(rng.integers(1, 5))):
        capacity = Resources(float(rng.integers(1, 9)), int(rng.integers(1, 17)) * GIB, float(rng.integers(0, 3)))
        workers.append(WorkerView(f"w{index}", capacity, capacity))
    workers[0] = attrs.evolve(workers[0], free=Resources(0.5, GIB // 2, 0.0), running=(900,))
    return [_queued(number, rng) for number in range(int(rng.integers(1, 13)))], workers


def _queued(number: int, rng: np.random.Generator) -> QueuedTask:
    memory = None if rng.random() < 0.3 else int(rng.integers(1, 9)) * GIB // 2
    need = Resources(float(rng.choice([0.5, 1.0, 2.0, 4.0])), memory, float(rng.choice([0.0, 0.0, 0.5, 1.0])))
    task = attrs.evolve(_task(number), resources=need, priority=float(rng.integers(0, 3)))
    return QueuedTask(task, need, since=float(rng.integers(0, 100)), features=(float(number % 3), need.cpus))


def _task(number: int) -> Task:
    return Task(number, Genotype((number,)), seed=number)


def check(queue: Sequence[QueuedTask], workers: Sequence[WorkerView], found: Sequence[Assignment]) -> None:
    """Assert that the assignments are of known tasks, once each, to known workers, within what these have free."""
    needs: Mapping[int, Resources] = {queued.task.number: queued.resources for queued in queue}
    numbers = [assignment.number for assignment in found]
    assert len(set(numbers)) == len(numbers), f"a task was assigned twice: {numbers}"
    assert set(numbers) <= needs.keys(), f"tasks were assigned that do not wait: {set(numbers) - needs.keys()}"
    names = {worker.name for worker in workers}
    assert {assignment.worker for assignment in found} <= names, "a worker was named that is not there"
    for worker in workers:
        total = _sum([needs[assignment.number] for assignment in found if assignment.worker == worker.name])
        assert _fits(total, worker.free), f"{worker.name} has {worker.free} free, but was given tasks that need {total}"


def _sum(needs: Sequence[Resources]) -> Resources:
    memory = sum(need.memory or 0 for need in needs)
    return Resources(sum(need.cpus for need in needs), memory, sum(need.gpus for need in needs))


def _fits(need: Resources, free: Resources) -> bool:
    """Whether a need fits; a worker without a memory limit (None) holds any."""
    memory = free.memory is None or (need.memory or 0) <= free.memory
    return need.cpus <= free.cpus + 1e-9 and memory and need.gpus <= free.gpus + 1e-9


class Cluster:
    """Workers that run what a scheduler assigns, on a clock of their own; each task takes a second or more."""

    def __init__(
        self, scheduler: Scheduler, queue: Sequence[QueuedTask], workers: Sequence[WorkerView], seed: int
    ) -> None:
        self._scheduler = scheduler
        self._waiting = {queued.task.number: queued for queued in queue}
        self._workers = {worker.name: attrs.evolve(worker, free=worker.capacity, running=()) for worker in workers}
        self._running: dict[int, tuple[float, float, QueuedTask, str]] = {}
        self._rng = np.random.default_rng(seed)
        self._now = 100.0

    def run(self) -> list[int]:
        """The numbers of the tasks in the order in which they ended, until nothing runs and nothing is assigned."""
        ended: list[int] = []
        while self._start() or self._running:
            number = min(self._running, key=lambda number: self._running[number][0])
            self._now, duration, queued, name = self._running.pop(number)
            self._change(name, queued, -1)
            self._scheduler.observe(queued, name, duration)
            ended.append(number)
        return ended

    def _start(self) -> bool:
        queue, workers = list(self._waiting.values()), list(self._workers.values())
        found = self._scheduler.assign(queue, workers, self._now)
        check(queue, workers, found)
        for assignment in found:
            queued = self._waiting.pop(assignment.number)
            duration = float(self._rng.integers(1, 10))
            self._running[assignment.number] = self._now + duration, duration, queued, assignment.worker
            self._change(assignment.worker, queued, 1)
        return bool(found)

    def _change(self, name: str, queued: QueuedTask, sign: int) -> None:
        worker, need, number = self._workers[name], queued.resources, queued.task.number
        memory = None if worker.free.memory is None else worker.free.memory - sign * (need.memory or 0)
        free = Resources(worker.free.cpus - sign * need.cpus, memory, worker.free.gpus - sign * need.gpus)
        running = (*worker.running, number) if sign > 0 else tuple(held for held in worker.running if held != number)
        self._workers[name] = attrs.evolve(worker, free=free, running=running)
