"""Clusters of virtual machines for tests."""

import attrs
import pytest

from morphml_core.problem import Cause, Outcome, Report, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.messages import Capacity
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.scheduler import fifo
from morphml_distributed.simulation.cluster import Cluster, Machines, Plan


@attrs.frozen
class Steps:
    """A workload: each task reports `steps` times, takes `seconds`, and has its number as its value."""

    seconds: float = 10.0
    steps: int = 0
    specification = None

    def run(self, task):
        for step in range(1, self.steps + 1):
            yield Report(task.number, task.attempt, step, {"value": float(step)})
        return Outcome(task.number, task.attempt, {"value": float(task.number)})

    def duration(self, task):
        return self.seconds

    def epochs(self, task):
        return self.steps or None


PATIENT = {"poison": 1000}
"""Rules under which no trial is given up."""


@pytest.fixture
def make_cluster():
    """Makes a cluster: workers, seconds, steps, rules; further options are those of `Plan`."""

    def make(workers=3, seconds=10.0, steps=0, rules=PATIENT, machines=None, **options):
        machines = machines or [Machines("worker", workers, Capacity(1.0, 2**33))]
        scheduler = options.pop("scheduler", lambda: fifo.component.create(fifo.component.config()))
        plan = Plan(machines, scheduler, Rules(**rules), checking=True, **options)
        return Cluster(Steps(seconds, steps), plan)

    return make


def task(number, **options):
    return Task(number, Genotype(()), number, **options)


@pytest.fixture
def run():
    """Does as a search does: submits tasks, takes all that comes, submits again what was lost.

    Checks that each attempt has one outcome.  Returns, by number, the moment of the last one and the outcome.
    """

    def run(cluster, *tasks):
        open_, found, cluster.reports = {each.number: each for each in tasks}, {}, []
        for each in tasks:
            cluster.submit(each)
        while messages := cluster.take():
            for message in messages:
                current = open_[message.number]  # fails where its outcome was there before
                assert message.attempt == current.attempt
                if isinstance(message, Report):
                    cluster.reports.append(message)
                elif message.cause is Cause.LOST and not message.final:
                    open_[message.number] = attrs.evolve(current, attempt=current.attempt + 1)
                    cluster.submit(open_[message.number])
                else:
                    del open_[message.number]
                    assert message.metrics in (None, {"value": float(message.number)})
                    found[message.number] = cluster.timeline.now, message
        assert not open_
        return found

    return run


@pytest.fixture
def tasks():
    """Makes so many tasks."""
    return lambda count, **options: [task(number, **options) for number in range(count)]
