"""What every scheduler promises: `SchedulerSuite`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import attrs
import numpy as np
import pytest

from morphml_core.problem import Budget, Resources, Task
from morphml_core.protocols import QueuedTask, Rank, Scheduler, Vectorized, WorkerView
from morphml_core.space.decisions import Genotype
from morphml_core.testing.cluster import Cluster, fits

Make = Callable[[], Scheduler]
GIB = 2**30
ROUNDS = 300
"""So many tasks of higher priority arrive before one that waits, one by one."""

seeds = pytest.mark.parametrize("seed", range(10))


class SchedulerSuite:
    """Tests of one scheduler.  Give it a fixture `make` that returns a function of nothing to a new scheduler.

    `starves`: whether a task may wait for ever while others of a higher priority keep coming.  Where it may, it must: what a scheduler is
    said to do, it does.
    """

    starves: ClassVar[bool] = False

    @pytest.fixture
    def make(self) -> Make:
        """A function to a scheduler."""
        raise NotImplementedError(
            "a SchedulerSuite needs a fixture 'make' that returns a function of () to a scheduler"
        )

    @seeds
    def test_ranks_are_numbers(self, make: Make, seed: int) -> None:
        """Every task and every worker has a rank, whatever it has or lacks: a tuple of finite numbers, all of one length."""
        queue, workers = scene(seed)
        check(ranks(make(), queue, workers))

    @seeds
    def test_ranks_are_numbers_after_learning(self, make: Make, seed: int) -> None:
        """The same holds after it has observed durations of any size, on workers that it knows and on ones that are gone."""
        queue, workers = scene(seed)
        scheduler = make()
        before = ranks(scheduler, queue, workers)
        for index in range(200):
            worker = gone() if index % 7 == 0 else workers[index % len(workers)]
            seconds = (0.0, 1e-9, 1.0, 60.0, 1e12)[index % 5]
            found = scheduler.observe(queue[index % len(queue)], worker, seconds)
            assert isinstance(found, bool), f"observe says {found!r}, neither True nor False"
        check([*ranks(scheduler, queue, workers), *before])

    @seeds
    def test_the_same_history_gives_the_same_ranks(self, make: Make, seed: int) -> None:
        """Two schedulers that were asked and told the same rank alike; and asking changes nothing."""
        queue, workers = scene(seed)
        found = [list(history(make(), queue, workers)) for _ in range(2)]
        assert found[0] == found[1]
        scheduler = make()
        assert ranks(scheduler, queue, workers) == ranks(scheduler, queue, workers)

    @seeds
    def test_ranks_change_only_when_it_says_so(self, make: Make, seed: int) -> None:
        """While `observe` returns False, tasks and workers keep their ranks: the master does not ask for them again."""
        queue, workers = scene(seed)
        scheduler = make()
        last = ranks(scheduler, queue, workers)
        for index in range(100):
            said = scheduler.observe(queue[index % len(queue)], workers[index % len(workers)], 1.0 + index % 9)
            found = ranks(scheduler, queue, workers)
            assert said or found == last, "ranks have changed, and observe did not say so"
            last = found

    @seeds
    def test_tasks_ranked_together_rank_as_one_by_one(self, make: Make, seed: int) -> None:
        """Where it ranks many at once (`Vectorized`): up to rounding, also after it has learnt."""
        queue, workers = scene(seed)
        scheduler = make()
        if not isinstance(scheduler, Vectorized):
            pytest.skip("this scheduler ranks tasks one by one")
        for _ in history(scheduler, queue, workers):
            pass
        together = [tuple(rank) for rank in scheduler.task_ranks(queue)]
        np.testing.assert_allclose(together, [scheduler.task_rank(queued) for queued in queue], rtol=1e-9)

    def test_ranks_change_rarely(self, make: Make) -> None:
        """It does not have everything ranked again and again while nothing new is to be learnt."""
        queue, workers = scene(0)
        scheduler = make()
        ranks(scheduler, queue, workers)
        said = [scheduler.observe(queue[n % len(queue)], workers[n % len(workers)], 1.0 + n % 9) for n in range(2000)]
        assert sum(said) <= 40, f"everything was to be ranked again {sum(said)} times in 2000 observations"

    @seeds
    def test_every_task_gets_its_turn(self, make: Make, seed: int) -> None:
        """Matching by rank, running and observing until nothing is left: every task that some worker can hold ran, once."""
        queue, workers = scene(seed, tasks=40)
        ran = Cluster(make(), workers, seed).run(queue)
        possible = [queued.task.number for queued in queue if any(fits(queued, w.capacity) for w in workers)]
        assert sorted(ran) == sorted(possible)

    def test_no_task_waits_for_ever(self, make: Make) -> None:
        """A task is not overtaken by all that come after it, although each of these is more urgent and takes longer; or `starves`."""
        patient = QueuedTask(_task(0), 0.0, (1.0, 1.0))
        urgent = attrs.evolve(_task(1), priority=5.0, budget=Budget(4))
        cluster = Cluster(make(), [_worker("w", Resources())], 0, shortest=3)

        def newcomers() -> Iterator[QueuedTask]:
            for number in range(1, ROUNDS):
                yield QueuedTask(attrs.evolve(urgent, number=number), cluster.now, (4.0, 1.0))

        coming = newcomers()
        ran = cluster.run([next(coming), patient, next(coming)], coming)
        last = ran.index(0) >= ROUNDS - 2
        assert last == self.starves, "a task waited for ever" if last else "starves is said, but the task had its turn"

    @seeds
    def test_tasks_and_workers_stay_as_they_were(self, make: Make, seed: int) -> None:
        """What it is handed is the master's."""
        queue, workers = scene(seed)
        before = copy.deepcopy((queue, workers))
        list(history(make(), queue, workers))
        assert (queue, workers) == before


def scene(seed: int, tasks: int = 12) -> tuple[list[QueuedTask], list[WorkerView]]:
    """Tasks of all sizes and budgets, some of them retried or continued, before up to five workers; one of these is full.

    The same for the same seed.
    """
    rng = np.random.default_rng(seed)
    workers = [_worker("none", Resources(0.0, 0, 0.0)), _worker("some", Resources(2.0))]
    for index in range(int(rng.integers(1, 4))):
        capacity = Resources(float(rng.integers(1, 9)), int(rng.integers(1, 17)) * GIB, float(rng.integers(0, 3)))
        workers.append(_worker(f"w{index}", capacity))
    full = Resources(0.0, GIB, 0.0)
    workers[-1] = attrs.evolve(workers[-1], free=full, running=(900, 901), prefetched=(902, 903), assigned=4)
    return [_queued(number, rng) for number in range(tasks)], workers


def _queued(number: int, rng: np.random.Generator) -> QueuedTask:
    memory = None if rng.random() < 0.3 else int(rng.integers(1, 9)) * GIB // 2
    need = Resources(float(rng.choice([0.5, 1.0, 2.0, 4.0])), memory, float(rng.choice([0.0, 0.0, 0.5, 1.0])))
    epochs = None if rng.random() < 0.3 else int(rng.choice([1, 3, 9, 27]))
    task = attrs.evolve(
        _task(number),
        attempt=int(rng.integers(1, 3)),
        budget=Budget(epochs, float(rng.choice([0.1, 1.0]))),
        continues=None if rng.random() < 0.7 else 800 + number,
        priority=float(rng.choice([-1e9, -1.0, 0.0, 0.5, 1e9])),
        resources=need,
    )
    return QueuedTask(task, float(rng.integers(0, 100)), (float(epochs or 27), task.budget.fraction, number % 3, 0.5))


def _task(number: int) -> Task:
    return Task(number, Genotype((number,)), seed=number)


def _worker(name: str, capacity: Resources) -> WorkerView:
    return WorkerView(name, capacity, capacity)


def gone() -> WorkerView:
    """A worker that no scene has."""
    return _worker("a worker that is gone", Resources())


def ranks(scheduler: Scheduler, queue: Sequence[QueuedTask], workers: Sequence[WorkerView]) -> list[tuple[str, Rank]]:
    """The ranks of all tasks, then of all workers."""
    tasks = [("task", scheduler.task_rank(queued)) for queued in queue]
    return [*tasks, *[("worker", scheduler.worker_rank(worker)) for worker in workers]]


def check(found: Sequence[tuple[str, Rank]]) -> None:
    """Assert that ranks are tuples of finite numbers, those of tasks of one length, and those of workers."""
    for kind in ("task", "worker"):
        here = [rank for what, rank in found if what == kind]
        for rank in here:
            assert isinstance(rank, tuple), f"the rank of a {kind} is {rank!r}, not a tuple"
            assert all(isinstance(each, int | float) and math.isfinite(each) for each in rank), (
                f"the rank of a {kind} is {rank!r}: not all of it are finite numbers"
            )
        lengths = {len(rank) for rank in here}
        assert len(lengths) <= 1, f"the ranks of {kind}s are of several lengths: {sorted(lengths)}"


def history(
    scheduler: Scheduler, queue: Sequence[QueuedTask], workers: Sequence[WorkerView]
) -> Iterator[tuple[object, ...]]:
    """Everything that a scheduler answers while it is asked and told the same things."""
    for index, queued in enumerate([*queue] * 3):
        worker = workers[index % len(workers)]
        yield scheduler.task_rank(queued), scheduler.worker_rank(worker)
        yield (scheduler.observe(queued, worker, 1.0 + index % 5),)
    yield tuple(ranks(scheduler, queue, workers))
