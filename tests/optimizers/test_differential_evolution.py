"""Differential evolution: the suite, whose place a child takes, and what a difference does to a choice."""

from __future__ import annotations

import re

import attrs
import pytest

from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, failed, problem, sampled
from morphml_optimizers.differential_evolution import Config, DifferentialEvolution


class TestDifferentialEvolution(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(4, 1, 0.3, 2.0, 0.5)], ids=["default", "small"])
    def make(self, request):
        return lambda problem: DifferentialEvolution(request.param, problem)


def evolution(given, **options):
    return DifferentialEvolution(Config(**options), given)


def living(optimizer):
    return [member.trial.number for member in optimizer._living]


def test_random_until_the_population_is_told_or_pending_then_the_places_take_turns():
    given = problem("flat")
    search = Search(evolution(given, population=6), given).run(20)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins[:6] == ["random"] * 6
    assert origins[6:12] == [f"for place {place}" for place in range(6)]


def test_a_child_takes_its_place_unless_it_is_worse():
    given = problem("flat")
    optimizer = evolution(given, population=5)
    best, *trials = sorted(sampled(given, 7), key=given.rank_key)
    worst = attrs.evolve(trials.pop(), number=20, origin="for place 2")
    optimizer.tell(trials)
    before = living(optimizer)
    optimizer.tell([worst])
    assert living(optimizer) == before
    optimizer.tell([attrs.evolve(best, number=21, origin="for place 2")])
    assert living(optimizer) == [*before[:2], 21, *before[3:]]


@pytest.mark.parametrize("origin", ["elsewhere", "for place 99"])
def test_a_better_trial_of_others_takes_the_place_of_the_worst(origin):
    given = problem("flat")
    optimizer = evolution(given, population=5)
    best, *trials = sorted(sampled(given, 6), key=given.rank_key)
    optimizer.tell(trials)
    optimizer.tell([attrs.evolve(best, number=30, origin=origin)])
    assert living(optimizer) == [*(trial.number for trial in trials[:-1]), 30]


def test_failed_trials_give_way():
    given = problem("flat")
    optimizer = evolution(given, population=5)
    trials = sampled(given, 10)
    optimizer.tell([failed(given, trial.number, Proposal(trial.genotype)) for trial in trials[:5]])
    optimizer.tell([attrs.evolve(trial, origin=f"for place {place}") for place, trial in enumerate(trials[5:])])
    assert living(optimizer) == [5, 6, 7, 8, 9]
    optimizer.tell([failed(given, 40, Proposal(trials[0].genotype, origin="for place 1"))])
    assert living(optimizer) == [5, 6, 7, 8, 9]


def test_a_child_has_values_of_the_living_or_one_more():
    """The difference of two choices chooses between the values that there are."""
    given = problem("flat")
    optimizer = evolution(given)
    trials = sampled(given, 10)
    optimizer.tell(trials)
    for proposal in optimizer.ask(range(100, 140), []):
        held = zip(*(trial.genotype for trial in trials), strict=True)
        new = [slot for slot, values in zip(proposal.genotype, held, strict=True) if slot not in values]
        assert len(new) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 3}, "'population' must be >= 4: 3"),
        ({"tournament": 0}, "'tournament' must be >= 1: 0"),
        ({"population": 4}, "'tournament' must be <= population (4): 5"),
        ({"weight_low": 0.0}, "'weight_low' must be > 0.0: 0.0"),
        ({"weight_high": 2.5}, "'weight_high' must be <= 2.0: 2.5"),
        ({"weight_low": 0.8, "weight_high": 0.7}, "'weight_high' must be >= weight_low (0.8): 0.7"),
        ({"crossover": 1.5}, "'crossover' must be <= 1.0: 1.5"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)
