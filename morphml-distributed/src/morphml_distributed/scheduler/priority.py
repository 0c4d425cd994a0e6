"""What the optimizer finds most urgent first."""

from __future__ import annotations

import attrs
from attrs.validators import gt, optional

from morphml_core.plugins.component import scheduler
from morphml_core.plugins.units import Seconds
from morphml_core.problem import Budget
from morphml_core.protocols import QueuedTask, Rank, WorkerView

FULL = 1e9
"""The epochs of a full evaluation, where nothing says how many these are: more than any part of one."""


@attrs.frozen
class Config:
    """The task with the highest priority first, then those that a rung waits for, then first come, first served.

    A task of low priority waits as long as others of a higher one keep coming, unless `patience` is given.
    """

    patience: Seconds | None = attrs.field(default=None, validator=optional(gt(Seconds(0))))
    """A wait of so long is worth one point of priority; none: priority alone decides."""


class Priority:
    """Tasks by the priority that the optimizer gave them, workers by how many tasks they hold.

    Among tasks of one priority come first those that keep an optimizer with rungs (Hyperband, ASHA) waiting: one that runs again after its
    worker was lost, for the rest of its rung is done or running by then; then those with the larger budget, which are the fewest of their
    bracket and take the longest; among these the ones that go on from a checkpoint; then the oldest.
    """

    def __init__(self, patience: float | None) -> None:
        self._patience = patience

    def task_rank(self, queued: QueuedTask) -> Rank:
        """Urgency (priority, and with patience the time, in whole steps of it), then what a rung waits for, then age."""
        task = queued.task
        urgency = -task.priority if self._patience is None else queued.since // self._patience - task.priority
        again, resumed = -float(task.attempt > 1), -float(task.continues is not None)
        return urgency, again, -_epochs(queued, task.budget), resumed, queued.since

    def worker_rank(self, worker: WorkerView) -> Rank:
        """How many tasks it holds and has not begun, then how many it runs, for each of its CPUs."""
        cpus = max(worker.capacity.cpus, 1.0)
        return len(worker.prefetched) / cpus, len(worker.running) / cpus

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """It learns nothing."""
        return False


def _epochs(queued: QueuedTask, budget: Budget) -> float:
    """The budget in epochs over all data: that of the features, which know what a full evaluation has, else that of the task."""
    if queued.features:
        return queued.features[0] * budget.fraction
    return (FULL if budget.epochs is None else budget.epochs) * budget.fraction


def create(config: Config) -> Priority:
    """The scheduler."""
    return Priority(config.patience)


component = scheduler(Config, create)
