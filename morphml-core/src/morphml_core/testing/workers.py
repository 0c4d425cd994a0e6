"""A whole search on simulated workers that are of unequal speed and die: what reproducible searches are tested with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory

import attrs
import numpy as np

from morphml_core.artifacts import local
from morphml_core.executor import simulated
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings, Stop
from morphml_core.problem import Budget, Candidate, Metrics, Problem, Task, Trial
from morphml_core.protocols import Evaluation, Measurement, Optimizer, Workbench
from morphml_core.space.decisions import DecisionSpace
from morphml_core.storage.memory import Memory
from morphml_core.testing.problems import measure
from morphml_core.work import Work

EPOCHS = 9
WINDOW = 8  # of trials that reproducible searches have pending


@attrs.frozen
class Uneven:
    """An evaluator: `measure`, with noise by the task's seed that falls with the epochs, and times that depend on trial and attempt."""

    decisions: DecisionSpace
    budget: Budget = attrs.field(factory=lambda: Budget(EPOCHS))

    def known(self, candidate: Candidate) -> Metrics:
        """Nothing."""
        return {}

    def evaluate(self, task: Task, candidate: Candidate, workbench: Workbench) -> Evaluation:
        """A report an epoch."""
        exact = measure(self.decisions, task.genotype)
        noise = np.random.default_rng(task.seed).normal(scale=0.02)
        found: Mapping[str, float] = exact
        for epoch in range(1, (task.budget.epochs or EPOCHS) + 1):
            found = {name: value + noise / epoch if name != "cost" else value for name, value in exact.items()}
            yield Measurement(epoch, found)
        return found

    def duration(self, task: Task) -> float:
        """From 1 to 20 seconds for each epoch."""
        rng = np.random.default_rng([task.number, task.attempt])
        return float(rng.uniform(1.0, 20.0)) * (task.budget.epochs or EPOCHS)


def searched(
    make: Callable[[Problem], Optimizer], problem: Problem, workers: int, *, trials: int = 40, failures: float = 0.2
) -> list[Trial]:
    """The trials of a reproducible search on so many workers, without times and attempts.

    A worker dies during an attempt with probability `failures`; the trial then runs again.
    """
    with TemporaryDirectory() as folder:
        work = Work(problem.space, Uneven(problem.decisions), local.component.create(local.Config(folder), "search"))
        executor = simulated.SimulatedExecutor(simulated.Config(workers=workers, failures=failures, seed=workers), work)
        settings = Settings(stop=Stop(trials=trials), window=WINDOW, retries=1000)
        loop = Loop(problem, make(problem), executor, Memory().open("search"), settings, clock=executor.clock)
        loop.run()
    return [attrs.evolve(trial, attempt=1, duration=0.0) for trial in loop.state.trials.values()]
