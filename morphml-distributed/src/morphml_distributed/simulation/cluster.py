"""`Cluster`: a master, its workers, the network between them, and what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Report, Resources, Task
from morphml_core.protocols import Scheduler, Workload
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.simulation.faults import KINDS, Faults, Strike, poison, strikes
from morphml_distributed.simulation.master import VirtualMaster
from morphml_distributed.simulation.network import Route
from morphml_distributed.simulation.timeline import Timeline
from morphml_distributed.simulation.worker import VirtualWorker

_STUCK = 24 * 3600.0
"""Simulated seconds after which a cluster in which no task runs, and none ends, is said to be stuck."""


@attrs.frozen
class Machines:
    """Some machines of one kind: their names begin with `name`."""

    name: str
    count: int
    capacity: m.Capacity
    speed: float = 1.0


@attrs.frozen
class Plan:
    """A cluster.  `full`: seconds of a full evaluation at speed 1 (None: what the evaluator says, or what it truly takes).

    `latency` and `jitter`: see `network.Route`.  `strikes` come in addition to `faults`.  With `checking`, the dispatcher checks its
    invariants after each event, which takes long.
    """

    machines: Sequence[Machines]
    scheduler: Callable[[], Scheduler]
    rules: Rules
    full: float | None = None
    latency: float = 0.0005
    jitter: float = 0.0005
    faults: Faults = attrs.field(factory=Faults)
    seed: int = 0
    strikes: Sequence[Strike] = ()
    checking: bool = False


class Cluster:
    """Runs submitted tasks on virtual workers.  Made with all of its workers joined."""

    def __init__(self, workload: Workload, plan: Plan) -> None:
        self.timeline = Timeline()
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self.master = VirtualMaster(self.timeline, self._machine, plan.rules.heartbeat, plan.checking)
        self.workers = [self._worker(workload, group, index) for group in plan.machines for index in range(group.count)]
        self.cores = sum(worker.capacity.cpus for worker in self.workers)
        self._returns: dict[str, float] = {}
        self._stirred = 0.0
        self._join()
        self._plan_faults()

    # what the search does -------------------------------------------------------------------------------

    def submit(self, task: Task, features: tuple[float, ...] = ()) -> None:
        """Hand in a task."""
        self._stirred = self.timeline.now
        self.master.submit(task, features)

    def cancel(self, number: int) -> None:
        """End the task of that trial."""
        self.master.cancel(number)

    def take(self) -> list[Report | Outcome]:
        """Go on until something has happened to a task, and return it; nothing where there is no task."""
        master = self.master
        while not master.outbox and master.open:
            self.step()
        found, master.outbox = master.outbox, []
        return found

    def step(self) -> None:
        """Go on to the next event.  Raises `MorphMLError` where nothing will ever happen to the open tasks."""
        self.timeline.step()
        if self.timeline.now - self._stirred > _STUCK:
            if not any(worker.runner is not None and worker.runner.running for worker in self.workers):
                raise MorphMLError(self._stuck())
            self._stirred = self.timeline.now

    def close(self) -> None:
        """End everything; each open task gets its outcome."""
        self.timeline.clear()
        for worker in self.workers:
            if worker.runner is not None:
                worker.runner.close()
        master = self.master
        master.outbox.extend(Outcome(entry.task.number, entry.task.attempt) for entry in master.open.values())
        master.open.clear()

    def slots(self, need: Resources) -> int:
        """How many tasks of that need may be in flight."""
        found: int = self.master.machine.slots(need)
        return found

    @property
    def utilization(self) -> float:
        """The share of the CPU cores' time that went into evaluations, those that were lost included."""
        now = self.timeline.now
        running = sum(worker.cpu_seconds for worker in self.workers)
        return min(1.0, running / (self.cores * now)) if now else 0.0

    def summary(self) -> Mapping[str, Any]:
        """What has happened, in numbers, as JSON."""
        return {
            "seconds": self.timeline.now,
            "events": self.timeline.events,
            "workers": len(self.workers),
            "utilization": self.utilization,
            "evaluations": sum(worker.evaluations for worker in self.workers),
            "notes": dict(sorted(self.master.counts.items())),
        }

    # how it is made -------------------------------------------------------------------------------------

    def _machine(self, term: int) -> Machine:
        return Machine(self._plan.rules, self._plan.scheduler(), term, self._plan.seed + term)

    def _worker(self, workload: Workload, group: Machines, index: int) -> VirtualWorker:
        plan = self._plan
        route = Route(self.timeline, self._rng, plan.latency, plan.jitter)
        name = f"{group.name}-{index + 1}"
        worker = VirtualWorker(name, group.capacity, self.timeline, route, self._rng, self.master, plan.rules.heartbeat)
        worker.equip(workload, plan.full, group.speed, lambda number: poison(plan.faults.poison, plan.seed, number))
        worker.on_death = self._bring_back
        return worker

    def _join(self) -> None:
        for worker in self.workers:
            worker.boot()
        while self.master.counts["joined"] < len(self.workers):
            self.timeline.step()

    def _stuck(self) -> str:
        numbers = sorted(self.master.open)
        story = "; ".join(self.master.machine.story(numbers[0]))
        return f"the simulated cluster does nothing any more, although {len(numbers)} tasks are open; trial {numbers[0]}: {story}"

    # what goes wrong ------------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        for strike in self._plan.strikes:
            self.timeline.at(strike.at, partial(self._strike, strike))
        for kind in KINDS:
            coming = strikes(self._plan.faults, kind, len(self.workers), random.Random(f"{self._plan.seed} {kind}"))
            self._plan_next(coming)

    def _plan_next(self, coming: Iterator[Strike]) -> None:
        strike = next(coming, None)
        if strike is not None:
            self.timeline.at(strike.at, partial(self._strike_and_plan, strike, coming))

    def _strike_and_plan(self, strike: Strike, coming: Iterator[Strike]) -> None:
        self._strike(strike)
        self._plan_next(coming)

    def _strike(self, strike: Strike) -> None:
        worker, length = self.workers[strike.worker % len(self.workers)], strike.length
        if strike.kind in ("deaths", "kills"):
            if worker.alive:
                self._returns[worker.name] = length
                worker.die(silently=strike.kind == "deaths")
        elif strike.kind == "crashes":
            worker.crash()
        elif strike.kind == "stalls":
            worker.stall(length)
        elif strike.kind == "partitions":
            worker.route.block(length)
        elif strike.kind == "delays":
            worker.route.slow(length, length)
        else:
            self.master.fall(length)

    def _bring_back(self, worker: VirtualWorker) -> None:
        """A process that has died is started again; one that its own task has killed, after a second."""
        self.timeline.after(self._returns.pop(worker.name, 1.0), worker.boot)
