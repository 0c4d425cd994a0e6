"""MOEA/D: the suite, what is kept, who mates, the front it finds, and that asking stays quick."""

from __future__ import annotations

import time

import attrs
import pytest

from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import RandomSearch
from morphml_core.problem import Constraint, Objective, Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, problem, sampled
from morphml_optimizers.moead import Config, Moead
from morphml_optimizers.ranking import front, standing


class TestMoead(OptimizerSuite):
    @pytest.fixture(params=[Config(6, 3), Config(), Config(8, 8, 0.5, 0.0)], ids=["small", "default", "one parent"])
    def make(self, request):
        return lambda problem: Moead(request.param, problem)


def parents(proposals):
    """The trials that the children come from."""
    return {int(one) for found in proposals for one in found.origin.removeprefix("child of ").split(" and ")}


def area(trials):
    """The hypervolume of accuracy and cost, from the point (loss 0, cost 6)."""
    found, low = 0.0, 6.0
    for loss, cost in sorted((-trial.metrics["accuracy"], trial.metrics["cost"]) for trial in trials):
        if cost < low:
            found, low = found + (low - cost) * -loss, cost
    return found


def test_random_until_the_population_is_told_or_pending():
    given = problem("flat", BOTH)
    search = Search(Moead(Config(10, 4), given), given, slots=4).run(30)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins[:10] == ["random"] * 10
    assert all(origin.startswith("child of ") for origin in origins[10:])


def test_each_weight_keeps_its_best():
    given = problem("flat", BOTH)
    trials = sampled(given, 200)
    optimizer = Moead(Config(5, 1), given)
    optimizer.tell(trials)
    kept = parents(optimizer.ask(range(1000, 1200), []))
    best = {trial.number for trial in front(trials, key=lambda trial: standing(given, trial))}
    assert 2 <= len(kept) <= 5
    assert kept <= best
    assert min(trials, key=given.rank_key).number in kept
    lowest = min(trial.metrics["cost"] for trial in trials)
    assert lowest in {trials[number].metrics["cost"] for number in kept}


def test_both_parents_are_kept_by_one_weight_where_nothing_else_is_near():
    given = problem("flat", BOTH)
    optimizer = Moead(Config(9, 1, local=1.0), given)
    optimizer.tell(sampled(given, 100))
    for proposal in optimizer.ask(range(1000, 1050), []):
        assert len(parents([proposal])) == 1


def test_feasible_trials_are_kept_before_infeasible_and_failed_ones():
    given = problem("flat", BOTH)
    trials = sampled(given, 40)
    bound = sorted(trial.metrics["cost"] for trial in trials)[3]
    given.constraints = (Constraint("cost", "<=", bound),)
    optimizer = Moead(Config(4, 2), given)
    optimizer.tell([failed(given, 900 + trial.number, Proposal(trial.genotype)) for trial in sampled(given, 4)])
    assert optimizer.ask([2000], [])[0].origin == "random"
    optimizer.tell(trials)
    feasible = {trial.number for trial in trials if trial.metrics["cost"] <= bound}
    assert parents(optimizer.ask(range(1000, 1100), [])) <= feasible


def test_three_objectives():
    given = problem("flat", (*BOTH, Objective("loss", "minimize")))
    assert len(Search(Moead(Config(), given), given, 3).run(120).proposals) == 120


def test_its_front_has_more_volume_than_that_of_random_search():
    for seed in range(3):
        found = []
        for make in (lambda given: RandomSearch(RandomConfig(), given), lambda given: Moead(Config(), given)):
            given = problem("flat", BOTH, seed=seed)
            found.append(area(Search(make(given), given, 2).run(300).past()))
        assert found[0] < found[1]


def test_asking_and_telling_take_as_long_after_20_000_trials_as_after_100():
    given = problem("mixed", BOTH)
    short, long = Moead(Config(), given), Moead(Config(), given)
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"population": 4},
            "'neighbours' is 5, but 'population' is 4; there are no more neighbours than weight vectors",
        ),
        ({"neighbours": 0}, "'neighbours' must be >= 1: 0"),
        ({"local": 1.5}, "'local' must be <= 1.0: 1.5"),
        ({"population": 1}, "'population' must be >= 2: 1"),
        ({"crossover": -0.5}, "'crossover' must be >= 0.0: -0.5"),
        ({"crossover": 1.5}, "'crossover' must be <= 1.0: 1.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)
