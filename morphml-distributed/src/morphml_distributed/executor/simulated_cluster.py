"""Executor `simulated_cluster`: the whole cluster in simulated time, with its dispatcher, its scheduler, its network and its faults.

The dispatcher and the workers' bookkeeping are those of the executor `grpc`; clock, network and machines are virtual.  The evaluations are
real, but should be quick (a table, a function), and take the time that `duration` or the evaluator says, as with core's executor `simulated`.

Which of the two: `simulated` has equal workers, no network and no master, and is the quickest; it answers what more workers would bring.
This one answers what a scheduling policy brings on a certain mix of machines, what faults cost, and whether a search survives them.  Each heartbeat
of each worker is an event: where evaluations take hours, let `rules` have a longer one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from morphml_core.plugins.component import Part, executor, part
from morphml_core.plugins.units import Bytes, Seconds
from morphml_core.problem import Outcome, Report, Resources, Task
from morphml_core.protocols import Scheduler, Workload
from morphml_distributed.dispatch.messages import Capacity, Gpu
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.executor.features import Features
from morphml_distributed.scheduler import fifo
from morphml_distributed.simulation.cluster import Cluster, Machines, Plan
from morphml_distributed.simulation.faults import Faults

_positive: Any = attrs.validators.gt(0)
_not_negative: Any = attrs.validators.ge(0)


@attrs.frozen
class Group:
    """Machines of one kind."""

    count: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many of them."""
    cpus: float = attrs.field(default=1.0, validator=_positive)
    """CPU cores of each."""
    memory: Bytes = attrs.field(default=Bytes(8 * 2**30), validator=_positive)
    """Memory of each."""
    gpus: int = attrs.field(default=0, validator=_not_negative)
    """GPUs of each."""
    gpu_memory: Bytes = attrs.field(default=Bytes(16 * 2**30), validator=_positive)
    """Memory of each GPU."""
    labels: tuple[str, ...] = ()
    """What trials can ask for."""
    speed: float = attrs.field(default=1.0, validator=_positive)
    """How many times as fast as a usual machine."""


@attrs.frozen
class Config:
    """The machines, the network between them, and what goes wrong."""

    workers: int | tuple[Group, ...] = attrs.field(default=32)
    """A number of machines with one core each, or a list of groups."""
    scheduler: Part[Scheduler] = part("scheduler", default="fifo")
    """Which waiting task goes to which worker."""
    duration: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    """Seconds of a full evaluation on a machine of speed 1, in place of what the evaluator says."""
    latency: Seconds = attrs.field(default=Seconds(0.0005), validator=_not_negative)
    """How long a message takes, one way."""
    jitter: Seconds = attrs.field(default=Seconds(0.0005), validator=_not_negative)
    """What comes to it, on average."""
    faults: Faults = attrs.field(factory=Faults)
    """What goes wrong, how often, and for how long."""
    rules: Rules = attrs.field(factory=Rules)
    """When somebody is lost, tried again, or put aside."""
    seed: int = 0
    """The seed of network and faults."""

    @workers.validator
    def _some(self, attribute: Any, value: int | tuple[Group, ...]) -> None:
        if not value or (isinstance(value, int) and value < 0):
            raise ValueError("'workers' must be a number of machines, at least 1, or a list of groups")


class SimulatedClusterExecutor:
    """Hands tasks to a virtual cluster.  `poll` goes on to the next moment at which the search hears something, and never waits."""

    def __init__(self, config: Config, workload: Workload) -> None:
        self._features = Features(workload)
        self._need = Resources()
        self._closed = False
        self.cluster = Cluster(workload, plan_of(config))

    @property
    def slots(self) -> int:
        """How many tasks like the last one may be in flight, those that workers fetch ahead included."""
        return self.cluster.slots(self._need)

    @property
    def workers(self) -> int:
        """How many machines there are."""
        return len(self.cluster.workers)

    @property
    def clock(self) -> Callable[[], float]:
        """Gives the simulated seconds."""
        timeline = self.cluster.timeline
        return lambda: timeline.now

    @property
    def utilization(self) -> float:
        """The share of the CPU cores' time that went into evaluations."""
        return self.cluster.utilization

    @property
    def summary(self) -> Mapping[str, Any]:
        """What has happened so far, in numbers."""
        return self.cluster.summary()

    def submit(self, task: Task) -> None:
        """Hand in one task.  Raises `RuntimeError` after `close`."""
        if self._closed:
            raise RuntimeError(f"task {task.number} was submitted to an executor that is closed")
        self._need = task.resources
        self.cluster.submit(task, self._features.of(task))

    def poll(self, timeout: float = 0.0) -> Sequence[Report | Outcome]:
        """What the search hears next; the clock goes on to its moment.  Empty when there is no task.

        Raises `MorphMLError` where nothing will ever happen any more.
        """
        return self.cluster.take()

    def cancel(self, number: int) -> None:
        """End the task of that trial; its outcome comes when the cluster has heard of it."""
        self.cluster.cancel(number)

    def close(self) -> None:
        """End everything; `poll` then gives an outcome for each open task."""
        if not self._closed:
            self._closed = True
            self.cluster.close()


def plan_of(config: Config) -> Plan:
    """The cluster that a configuration describes."""
    groups = (Group(config.workers),) if isinstance(config.workers, int) else config.workers
    part = config.scheduler
    make = (lambda: fifo.component.create(fifo.component.config())) if part is None else part.create
    single = len(groups) == 1
    machines = [_machines("worker" if single else f"group{index}", group) for index, group in enumerate(groups, 1)]
    return Plan(
        machines, make, config.rules, config.duration, config.latency, config.jitter, config.faults, config.seed
    )  # fmt: skip


def _machines(name: str, group: Group) -> Machines:
    gpus = tuple(Gpu(str(index), group.gpu_memory) for index in range(group.gpus))
    capacity = Capacity(group.cpus, group.memory, gpus, frozenset(group.labels))
    return Machines(name, group.count, capacity, group.speed)


component = executor(Config, SimulatedClusterExecutor)
