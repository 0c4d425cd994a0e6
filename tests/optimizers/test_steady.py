"""What nsga2, nsga3 and moead have in common: who lives, who mates, and that asking stays quick."""

from __future__ import annotations

import time

import attrs
import pytest

from morphml_core.problem import Constraint, Objective, Proposal
from morphml_core.testing.problems import BOTH, Search, failed, problem, sampled
from morphml_optimizers import moead, nsga2, nsga3
from morphml_optimizers.ranking import front, standing

every_one = pytest.mark.parametrize("module", [nsga2, nsga3, moead], ids=lambda module: module.__name__[18:])
steady = pytest.mark.parametrize("module", [nsga2, nsga3], ids=lambda module: module.__name__[18:])


def made(module, given, **options):
    return module.component.create(module.Config(**options), given)


def of(module, population):
    """The options for so small a population."""
    return {"population": population, "neighbours": 2} if module is moead else {"population": population}


def parents(proposals):
    """The trials that the children come from."""
    return {int(one) for found in proposals for one in found.origin.removeprefix("child of ").split(" and ")}


@every_one
def test_random_until_the_population_is_told_or_pending(module):
    given = problem("flat", BOTH)
    search = Search(made(module, given, population=10), given, slots=4).run(30)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins[:10] == ["random"] * 10
    assert all(origin.startswith("child of ") for origin in origins[10:])


@steady
def test_the_front_of_all_that_was_told_lives_if_it_fits(module):
    given = problem("flat", BOTH)
    trials = sampled(given, 200)
    best = {trial.number for trial in front(trials, key=lambda trial: standing(given, trial))}
    optimizer = made(module, given, population=len(best))
    optimizer.tell(trials)
    assert parents(optimizer.ask(range(1000, 1200), [])) == best


@steady
def test_one_objective_keeps_the_best(module):
    given = problem("flat")
    trials = sampled(given, 60)
    optimizer = made(module, given, population=5)
    optimizer.tell(trials)
    best = sorted(trials, key=given.rank_key)[:5]
    assert parents(optimizer.ask(range(1000, 1100), [])) <= {trial.number for trial in best}


@every_one
def test_feasible_trials_live_before_infeasible_and_failed_ones(module):
    given = problem("flat", BOTH)
    trials = sampled(given, 40)
    bound = sorted(trial.metrics["cost"] for trial in trials)[3]
    given.constraints = (Constraint("cost", "<=", bound),)
    optimizer = made(module, given, **of(module, 4))
    optimizer.tell([failed(given, 900 + trial.number, Proposal(trial.genotype)) for trial in sampled(given, 4)])
    optimizer.tell(trials[4:])
    optimizer.tell([attrs.evolve(trial, number=500 + trial.number) for trial in trials[:4]])
    feasible = {trial.number for trial in trials if trial.metrics["cost"] <= bound}
    assert {number % 500 for number in parents(optimizer.ask(range(1000, 1100), []))} <= feasible


@every_one
def test_three_objectives(module):
    given = problem("flat", (*BOTH, Objective("loss", "minimize")))
    assert len(Search(made(module, given), given, 3).run(120).proposals) == 120


@every_one
def test_asking_and_telling_take_as_long_after_20_000_trials_as_after_100(module):
    given = problem("mixed", BOTH)
    short, long = made(module, given), made(module, given)
    past = sampled(given, 2000)
    short.tell(past[:100])
    for start in range(0, 20_000, 2000):
        long.tell([attrs.evolve(trial, number=start + trial.number) for trial in past])
    times = {"short": [], "long": []}
    for number, trial in enumerate(sampled(given, 400, 50_000)):
        for name, optimizer in (("short", short), ("long", long)):
            begin = time.perf_counter()
            optimizer.ask([60_000 + number], [])
            optimizer.tell([trial])
            times[name].append(time.perf_counter() - begin)
    quick = {name: sorted(values)[len(values) // 4] for name, values in times.items()}
    assert quick["long"] < 1.5 * quick["short"]


@every_one
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "'population' must be >= 2: 1"),
        ({"crossover": -0.5}, "'crossover' must be >= 0.0: -0.5"),
        ({"crossover": 1.5}, "'crossover' must be <= 1.0: 1.5"),
    ],
)
def test_options_out_of_range(module, options, message):
    with pytest.raises(ValueError, match=message):
        module.Config(**options)
