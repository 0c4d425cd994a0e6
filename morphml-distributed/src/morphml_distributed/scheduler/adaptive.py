"""Learns how long tasks take, and which workers are fast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from morphml_core.plugins.component import scheduler
from morphml_core.protocols import QueuedTask, Rank, WorkerView
from morphml_distributed.scheduler.durations import Durations, Predictions

ALIKE = 0.1
"""Workers whose logarithms of the time for a task differ by less are as good as each other."""
SURE = 0.8
"""A task waits for a worker where it takes less than this part of the time, the wait included."""
FIRST, MOST = 8, 64
"""It looks at what it has learnt at the earliest after so many observations; then when there are twice as many, or so many more."""


@attrs.frozen
class Config:
    """The longest task first, to the worker on which it ends first; both are learnt from what has run."""

    overtake: float = attrs.field(default=10.0, validator=attrs.validators.ge(0))
    """A task goes before those that were queued up to this many times its expected duration earlier; 0: first come, first served."""


class Adaptive:
    """Tasks by expected duration, workers by when they would have finished a task.

    On equal workers the longest first takes at most a third longer than the best order (R. L. Graham: Bounds on Multiprocessing Timing Anomalies, 1969),
    where first come, first served may take twice as long.  How long a task takes is learnt by `Durations`.  A task waits for a fast worker
    that is busy where it is expected to end earlier there, and what a worker has not begun moves to an idle one where it ends earlier.

    Ranks are those of one set of predictions, which is replaced only when it would tell tasks or workers apart otherwise.  It looks whether it
    would first after as many observations as the root of the number of tasks that it knows, and then no more often than once for every
    second of these tasks: so ranking everything again adds, for each task, one ranking when it comes and two when it ends.
    """

    def __init__(self, overtake: float) -> None:
        self._overtake = overtake
        self._durations = Durations()
        self._now = Predictions()
        self._works: dict[int, float] = {}  # log seconds of the tasks that wait or run
        self._seen, self._look = 0, FIRST

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The time at which it was queued, less a multiple of its expected duration."""
        work = self._works[queued.task.number] = self._now.work(queued.features)
        return (queued.since - self._overtake * math.exp(work),)

    def task_ranks(self, queue: Sequence[QueuedTask]) -> Iterable[Rank]:
        """What `task_rank` gives for each, up to rounding."""
        works = self._now.works([queued.features for queued in queue])
        self._works.update(zip([queued.task.number for queued in queue], works.tolist(), strict=True))
        ranks = np.array([queued.since for queued in queue]) - self._overtake * np.exp(works)
        return zip(ranks.tolist(), strict=True)

    def worker_rank(self, worker: WorkerView) -> Rank:
        """When it would have finished a task, counting what it has, in steps of a tenth; among equals the share of it that is taken."""
        finish, backlog, cpus = self._now.paces.get(worker.name, 0.0), _backlog(worker), worker.capacity.cpus
        if backlog:
            finish += math.log(1.0 + backlog)
        return float(round(finish / ALIKE)), 1.0 - worker.free.cpus / (cpus if cpus > 1.0 else 1.0)

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """Learns; says that ranks have changed where the predictions have, noticeably."""
        self.forget(queued.task.number)
        self._durations.learn(queued.features, worker.name, duration)
        self._seen += 1
        if self._seen < self._look or self._seen**2 < len(self._works):
            return False
        self._look = self._seen + max(min(self._seen, MOST), len(self._works) // 2)
        found = self._durations.predictions()
        if not self._durations.differ(self._now, found):
            return False
        self._now = found
        return True

    def forget(self, number: int) -> None:
        """A task is over."""
        self._works.pop(number, None)

    def waits(self, queued: QueuedTask, free: WorkerView, busy: WorkerView) -> bool:
        """Where the task is expected to end clearly earlier on the busy worker."""
        number, need = queued.task.number, queued.task.resources.cpus
        here, there = self._takes(number, free), self._takes(number, busy)
        return self._frees(busy, busy.prefetched, need) + there < SURE * here

    def steals(self, thief: WorkerView, victim: WorkerView) -> bool:
        """Where the task is expected to end earlier on the idle worker."""
        if thief.prefetched or not victim.prefetched:
            return False
        number = victim.prefetched[-1]
        return self._takes(number, thief) < self._frees(victim, victim.prefetched[:-1]) + self._takes(number, victim)

    def _takes(self, number: int, worker: WorkerView) -> float:
        """Seconds that a task takes on a worker."""
        return math.exp(self._works.get(number, 0.0) + self._now.paces.get(worker.name, 0.0))

    def _frees(self, worker: WorkerView, before: Sequence[int], cpus: float = 0.0) -> float:
        """Seconds until a worker has begun those tasks and has so many CPUs free again.

        Of what runs, each task is equally likely at any point of its way: of n tasks, the m-th to end does so after m/(n+1) of their time.
        """
        count = max(len(worker.running), 1)
        each = max(worker.capacity.cpus - worker.free.cpus, 1e-9) / count
        ends = min(count, max(1, math.ceil((cpus - worker.free.cpus) / each - 1e-9)))
        running = sum(self._takes(number, worker) for number in worker.running) / count
        return running * ends / (count + 1) + sum(self._takes(number, worker) for number in before) / count


def _backlog(worker: WorkerView) -> float:
    """How many tasks, each a second long, go by before the worker has room for one more."""
    has, free = worker.capacity, worker.free
    room = free.cpus > 0 and (not has.gpus or free.gpus > 0) and (not has.memory or free.memory != 0)
    if room and not worker.prefetched:
        return 0.0
    count = max(len(worker.running), 1)
    return (0.0 if room else 1 / (count + 1)) + len(worker.prefetched) / count


def create(config: Config) -> Adaptive:
    """The scheduler."""
    return Adaptive(config.overtake)


component = scheduler(Config, create)
