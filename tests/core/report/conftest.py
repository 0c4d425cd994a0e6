"""A small search, folded from its events, and the page's material of it."""

import math

import pytest

from morphml_core.experiment.events import (
    Ended,
    Failed,
    Finished,
    Opened,
    Proposed,
    Reported,
    Started,
    Stopped,
    Submitted,
)
from morphml_core.experiment.state import State
from morphml_core.graph.operations import Signature
from morphml_core.problem import Budget, Cause, Constraint, Objective, Problem
from morphml_core.report.material import Material
from morphml_core.space.language import chain, choice, integer, op, optional, real, repeat, space

NASTY = "<script>alert('x')</script> & \"quotes\" </script>"


def network():
    return space(
        chain(
            op("conv", channels=choice(8, 16, 32), kernel=choice(3, 5), name="stem"),
            "relu",
            repeat(
                chain(op("conv", channels=choice(16, 32)), "batch_norm", choice("relu", "gelu")),
                integer(1, 3),
                name="stage",
            ),
            optional(op("dropout", rate=real(0.1, 0.5))),
        ),
        hyperparameters={"learning_rate": real(1e-4, 1e-1, log=True)},
    )


def measure(problem, genotype, number):
    """Metrics with a known shape: the learning rate decides, the width helps a little."""
    values = problem.decisions.values(genotype)
    rate, width = values["hyperparameters.learning_rate"], values["stem.channels"]
    noise = float(problem.rng(number, 3).normal()) * 0.01
    accuracy = 0.95 - 0.1 * abs(math.log10(rate) + 2.5) + 0.01 * math.log2(width) + noise
    return {"accuracy": accuracy, "parameters": float(width * 1000 * values["stage.count"])}


class Search:
    """Proposes, measures and records; keeps the state."""

    def __init__(self, problem):
        self.problem, self.state = problem, State(problem)
        self.tell(Started({}, {"morphml-core": "0.1.0"}, 1000.0), Opened("host", 1, 0.0, 1000.0))

    def tell(self, *events):
        for event in events:
            self.state.apply(event)

    def propose(self, genotype, **more):
        number, at = len(self.state.trials), 1001.0 + len(self.state.trials)
        mark = self.problem.candidate(genotype).fingerprint
        self.tell(Proposed(number, genotype, mark, at, Budget(epochs=3), **more))
        return number, at

    def step(self, genotype, **more):
        number, at = self.propose(genotype, **more)
        self.tell(Submitted(number, 1, at))
        metrics = measure(self.problem, genotype, number)
        if number % 10 == 7:
            self.tell(Failed(number, Cause.ERROR, f"ValueError: {NASTY}\n  File my.py, line 3, in score", at, 0.5))
            return
        for epoch in range(1, 4):
            self.tell(Reported(number, epoch, {"accuracy": metrics["accuracy"] * epoch / 3}, at))
        if number % 10 == 5:
            self.tell(Stopped(number, {**metrics, "accuracy": 0.3}, "worse than the median", at, 0.3))
        else:
            self.tell(Finished(number, metrics, at, 1.5))


def searched(trials, objectives=1, *, made=None, repeats=0):
    wanted = [Objective("accuracy"), Objective("parameters", "minimize"), Objective("epochs_used", "minimize")][
        :objectives
    ]
    problem = Problem(made or network(), wanted, [Constraint.parse("parameters <= 80000")], seed=3)
    search = Search(problem)
    for number in range(trials):
        search.step(problem.sample(problem.rng(number)))
    best = search.state.best
    for _ in range(repeats):
        search.step(best.genotype, repeat_of=best.number)
    search.tell(Ended(f"{trials} trials", 2000.0))
    return search


def material_of(search, **more):
    state = search.state
    return Material(
        experiment="digits",
        problem=search.problem,
        trials=list(state.trials.values()),
        status=state.status,
        reason=state.reason,
        best=state.best,
        front=state.front,
        finalists=state.finalists,
        versions=state.started.versions,
        elapsed=state.elapsed(),
        **{"signature": Signature((1, 8, 8), 10), "configuration": {"experiment": "digits"}, **more},
    )


@pytest.fixture(scope="session")
def make_search():
    return searched


@pytest.fixture(scope="session")
def make_material():
    return material_of


@pytest.fixture(scope="session")
def material():
    return material_of(searched(60, 2, repeats=3))
