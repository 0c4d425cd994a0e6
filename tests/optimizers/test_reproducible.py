"""`reproducible: {window: 8}`, for every optimizer that is registered: neither the number, the speed nor the death of workers changes a search."""

from __future__ import annotations

import os
import signal
from importlib.metadata import entry_points

import attrs
import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.problem import Cause
from morphml_core.session import search

OPTIMIZERS = sorted(entry.name for entry in entry_points(group="morphml.optimizer"))
PROCESSES = ("genetic", "nsga2", "parego")
OBJECTIVES = {"one": ["accuracy"], "two": ["accuracy", {"name": "cost", "goal": "minimize"}]}
SPACE = {
    "name": "parameters",
    "decisions": {
        "rate": {"real": [0.001, 1.0], "log": True},
        "kind": {"choice": ["a", "b", "c"]},
        "units": {"integer": [4, 64]},
        "depth": {"integer": [1, 6]},
    },
}
EPOCHS = 9


def accuracy(candidate, task):
    """A report an epoch: noisy by the task's seed, better with every epoch."""
    values = candidate.values
    level = -((np.log10(values["rate"]) + 2) ** 2) - abs(values["units"] - 40) / 40 - abs(values["depth"] - 3)
    level += {"a": 0.0, "b": 0.5, "c": 1.0}[values["kind"]] + np.random.default_rng(task.seed).normal(scale=0.05)
    for epoch in range(1, (task.budget.epochs or EPOCHS) + 1):
        yield {"accuracy": level - 1 / epoch, "cost": values["units"] * values["depth"] * 1.0}


def deadly(candidate, task):
    """Some first attempts kill the process that they run in."""
    if task.attempt == 1 and task.number % 9 == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    yield from accuracy(candidate, task)


def searched(name, objectives, executor, function="accuracy", trials=30):
    """The trials, without times and attempts, and how many attempts there were."""
    experiment = search(
        SPACE, {"name": "function", "function": f"{__file__}:{function}", "epochs": EPOCHS}, objectives=OBJECTIVES[objectives], stop=trials,
        optimizer=name, seed=3, reproducible={"window": 8}, executor=executor, trial={"retries": 1000},
    )  # fmt: skip
    found = experiment.trials()
    assert all(trial.cause is not Cause.LOST for trial in found)
    return [attrs.evolve(trial, attempt=1, duration=0.0) for trial in found], sum(trial.attempt for trial in found)


def simulated(workers, failures=0.15):
    return {"name": "simulated", "workers": workers, "duration": 60.0, "failures": failures, "seed": workers}


@pytest.mark.parametrize("objectives", sorted(OBJECTIVES))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_trials_with_one_worker_and_with_3_and_8_that_die(name, objectives):
    try:
        calm, attempts = searched(name, objectives, simulated(1, 0.0))
    except ConfigurationError as error:
        if objectives == "one" or "follows one objective" not in str(error):
            raise
        return
    assert calm
    assert attempts == len(calm)
    for workers in (3, 8):
        found, attempts = searched(name, objectives, simulated(workers))
        assert found == calm
        assert attempts > len(calm)


@pytest.mark.parametrize("name", PROCESSES)
def test_the_same_trials_in_processes_that_are_killed(name):
    calm, _ = searched(name, "two", "inline", trials=24)
    found, attempts = searched(name, "two", {"name": "processes", "workers": 3}, "deadly", trials=24)
    assert found == calm
    assert attempts == len(calm) + 3
