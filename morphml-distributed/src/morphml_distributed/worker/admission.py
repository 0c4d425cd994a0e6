"""Which of a worker's tasks may begin: it keeps account of its CPU cores, its memory, and a share of each GPU."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from morphml_core.problem import Task
from morphml_distributed.dispatch.messages import Capacity

_EPSILON = 1e-6
_PATIENCE = 8
"""A task that so many later ones have overtaken is overtaken no more."""


@attrs.define(eq=False)
class Job:
    """A task with the ids of the GPUs that it may use.  `cancelled`: it is to end at its next step."""

    task: Task
    devices: tuple[str, ...] = ()
    overtaken: int = 0
    cancelled: bool = False


class Admission:
    """Jobs begin in the order in which they came, when what they need is free; a small one may overtake a large one a few times.

    A job that needs more than the worker has begins when nothing else runs.  At most `slots` run at once.
    """

    def __init__(self, capacity: Capacity, slots: int) -> None:
        self.waiting: dict[int, Job] = {}
        self.running: dict[int, Job] = {}
        self._slots = slots
        self._cpus = capacity.cpus
        self._memory = capacity.memory
        self._used_cpus = 0.0
        self._used_memory = 0
        self._used_gpus = dict.fromkeys((gpu.id for gpu in capacity.gpus), 0.0)

    def add(self, job: Job) -> None:
        """A job waits."""
        self.waiting[job.task.number] = job

    def withdraw(self, number: int) -> Job | None:
        """Take a waiting job back; None where there is none of that trial."""
        return self.waiting.pop(number, None)

    def next(self) -> Job | None:
        """Let the next job begin that can; None where none can."""
        if not self.waiting or len(self.running) >= self._slots:
            return None
        overtaken = []
        for job in self.waiting.values():
            if not self.running or self._fits(job):
                break
            if job.overtaken >= _PATIENCE:
                return None
            overtaken.append(job)
        else:
            return None
        for earlier in overtaken:
            earlier.overtaken += 1
        number = job.task.number
        del self.waiting[number]
        self.running[number] = job
        self._account(job, 1)
        return job

    def end(self, number: int) -> None:
        """A running job is over."""
        job = self.running.pop(number)
        self._account(job, -1)
        if not self.running:
            self._forget_rounding()

    def shares(self) -> Mapping[str, float]:
        """How much of each GPU is taken."""
        return self._used_gpus

    def _fits(self, job: Job) -> bool:
        needs = job.task.resources
        if self._used_cpus + needs.cpus > self._cpus + _EPSILON:
            return False
        if needs.memory is not None and self._used_memory + needs.memory > self._memory:
            return False
        share = min(1.0, needs.gpus)
        return all(self._used_gpus.get(device, 0.0) + share <= 1.0 + _EPSILON for device in job.devices)

    def _account(self, job: Job, sign: int) -> None:
        needs = job.task.resources
        self._used_cpus += sign * needs.cpus
        self._used_memory += sign * (needs.memory or 0)
        for device in job.devices:
            self._used_gpus[device] = self._used_gpus.get(device, 0.0) + sign * min(1.0, needs.gpus)

    def _forget_rounding(self) -> None:
        self._used_cpus = 0.0
        for device in self._used_gpus:
            self._used_gpus[device] = 0.0
