"""The numbers by which schedulers that learn tell tasks apart."""

from __future__ import annotations

from typing import Any

from morphml_core.problem import Task
from morphml_core.protocols import Workload


class Features:
    """Makes them for the tasks of one workload: epochs, share of the data, and the encoding of the genotype where there is one."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        space: Any = getattr(workload, "space", None)
        self._decisions: Any = getattr(space, "decisions", None)

    def of(self, task: Task) -> tuple[float, ...]:
        """The features of a task; as many for each."""
        budget = task.budget
        epochs = budget.epochs if budget.epochs is not None else self._workload.epochs(task)
        first = (float(epochs or 1), budget.fraction)
        return first if self._decisions is None else (*first, *self._decisions.encode(task.genotype).tolist())
