"""Asking takes as long after many trials as after few."""

from __future__ import annotations

import statistics
import time

import attrs
import numpy as np
import pytest

from morphml_core.problem import Objective, Problem, Trial, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing.problems import failed, problem, sampled
from morphml_optimizers import (
    bananas,
    cma_es,
    differential_evolution,
    gaussian_process,
    genetic,
    hill_climbing,
    pso,
    random_forest,
    regularized_evolution,
    simulated_annealing,
    tpe,
)


def named(value):
    return getattr(value, "__name__", str(value)).rpartition(".")[2]


def tell(optimizer, past, trials):
    """The past again and again, under other numbers, until `trials` are told."""
    for start in range(0, trials, len(past)):
        optimizer.tell([attrs.evolve(trial, number=start + trial.number) for trial in past])


def seconds(short, long, asks):
    """The seconds of each ask, of the two in turn."""
    times = {"short": [], "long": []}
    for number in range(asks):
        for name, optimizer in (("short", short), ("long", long)):
            begin = time.perf_counter()
            optimizer.ask([200_000 + number], [])
            times[name].append(time.perf_counter() - begin)
    return times


@pytest.mark.parametrize(
    ("module", "options", "origin", "trials", "asks", "bound"),
    [
        (cma_es, {}, "elsewhere", 20_000, 300, 1.5),
        (differential_evolution, {}, "elsewhere", 20_000, 300, 1.5),
        (genetic, {}, "elsewhere", 20_000, 300, 1.5),
        (hill_climbing, {"patience": 10**6}, "start", 20_000, 300, 1.5),
        (pso, {}, "elsewhere", 20_000, 300, 1.5),
        (regularized_evolution, {}, "elsewhere", 100_000, 400, 1.2),
        (simulated_annealing, {}, "start", 20_000, 300, 1.5),
    ],
    ids=named,
)
def test_asking_takes_as_long_after_many_trials_as_after_100(module, options, origin, trials, asks, bound, made):
    given = problem("mixed")
    short, long = made(module, given, **options), made(module, given, **options)
    past = [attrs.evolve(trial, origin=origin) for trial in sampled(given, 100)]
    short.tell(past)
    tell(long, past, trials)
    quick = {name: sorted(values)[len(values) // 4] for name, values in seconds(short, long, asks).items()}
    assert quick["long"] < bound * quick["short"]


def twenty():
    """Twenty decisions of every kind."""
    decisions = [Decision(f"choice{index}", Choice(("relu", "gelu", "silu", "tanh"))) for index in range(7)]
    decisions += [Decision(f"real{index}", Real(1e-5, 1.0, log=index % 2 == 0)) for index in range(7)]
    decisions += [Decision(f"integer{index}", Integer(1, 64, log=index % 2 == 1)) for index in range(6)]
    return Problem(SearchSpace(DecisionSpace(decisions)), [Objective("loss", "minimize")])


def test_tpe_takes_as_long_after_10_000_trials_as_after_2_000(made):
    given = twenty()
    short, long = made(tpe, given), made(tpe, given)
    rng = np.random.default_rng(0)
    past = [
        Trial(number, given.decisions.sample(rng), TrialState.FINISHED, metrics={"loss": float(rng.random())})
        for number in range(2_000)
    ]
    short.tell(past)
    tell(long, past, 10_000)
    quick = {name: min(values) for name, values in seconds(short, long, 30).items()}
    assert quick["long"] < 2.0 * quick["short"]
    assert quick["long"] < 0.02


@pytest.mark.parametrize(
    ("module", "space", "trials", "asks", "middle"),
    [
        (bananas, "cell", 600, 10, statistics.fmean),
        (gaussian_process, "flat", 3000, 5, min),
        (random_forest, "flat", 3000, 5, statistics.fmean),
    ],
    ids=named,
)
def test_asking_a_model_costs_little_with_many_trials(module, space, trials, asks, middle, made):
    given = problem(space)
    optimizer = made(module, given)
    optimizer.tell([*sampled(given, trials), failed(given, trials + 1, optimizer.ask([0], [])[0])])
    optimizer.ask([4000], [])
    times = []
    for number in range(4001, 4001 + asks):
        start = time.process_time()
        optimizer.ask([number], [])
        times.append(time.process_time() - start)
    assert middle(times) < 0.1
