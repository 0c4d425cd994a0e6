"""Optimizers find more than random search does."""

from __future__ import annotations

import pytest

from morphml_core.optimizer import random
from morphml_core.testing.problems import BOTH, Search, problem
from morphml_optimizers import (
    bananas,
    cma_es,
    differential_evolution,
    genetic,
    hill_climbing,
    moead,
    nsga2,
    nsga3,
    parego,
    pso,
    random_forest,
    regularized_evolution,
    reinforce,
    simulated_annealing,
    tpe,
)


def named(value):
    return getattr(value, "__name__", str(value)).rpartition(".")[2]


def best(optimizer, given, trials, slots):
    return max(trial.metrics["accuracy"] for trial in Search(optimizer, given, slots).run(trials).past())


@pytest.mark.parametrize(
    ("module", "space", "seed"),
    [
        *((module, "flat", 7) for module in (genetic, hill_climbing, regularized_evolution, simulated_annealing)),
        *((module, space, 7) for module in (differential_evolution, pso) for space in ("flat", "mixed")),
        *((reinforce, space, seed) for space in ("flat", "mixed") for seed in range(3)),
    ],
    ids=named,
)
def test_it_beats_random_search(module, space, seed, made):
    found = []
    for one in (random, module):
        given = problem(space, seed=seed)
        found.append(best(made(one, given), given, 200, 2))
    assert found[0] < found[1]


@pytest.mark.parametrize(
    ("module", "options", "seeds", "trials", "drawn", "slots"),
    [
        (cma_es, {}, 5, 80, 80, 2),
        (tpe, {}, 3, 80, 80, 2),
        (bananas, {}, 3, 40, 160, 1),
        (random_forest, {"trees": 10}, 3, 40, 160, 1),
    ],
    ids=named,
)
@pytest.mark.parametrize("space", ["flat", "mixed"])
def test_it_beats_random_search_on_average(module, options, seeds, trials, drawn, slots, space, made):
    """After as many trials, or after a quarter of those that random search has."""
    found = []
    for one, given_options, count in ((random, {}, drawn), (module, options, trials)):
        problems = [problem(space, seed=seed) for seed in range(seeds)]
        found.append(sum(best(made(one, given, **given_options), given, count, slots) for given in problems))
    assert found[0] < found[1]


def area(trials):
    """The hypervolume of accuracy and cost, from the point (loss 0, cost 6)."""
    found, low = 0.0, 6.0
    for loss, cost in sorted((-trial.metrics["accuracy"], trial.metrics["cost"]) for trial in trials):
        if cost < low:
            found, low = found + (low - cost) * -loss, cost
    return found


@pytest.mark.parametrize("module", [moead, nsga2, nsga3, parego], ids=named)
def test_its_front_has_more_volume_than_that_of_random_search(module, made):
    for seed in range(3):
        found = []
        for one in (random, module):
            given = problem("flat", BOTH, seed=seed)
            found.append(area(Search(made(one, given), given, 2).run(300).past()))
        assert found[0] < found[1]
