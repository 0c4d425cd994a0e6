"""The genetic algorithm: the suite, who lives and who mates."""

from __future__ import annotations

import re

import pytest

from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, problem, sampled
from morphml_optimizers.genetic import Config, Genetic
from morphml_optimizers.ranking import front, standing


class TestGenetic(OptimizerSuite):
    @pytest.fixture(
        params=[Config(8, 3), Config(), Config(4, 2, elites=0, crossover=1.0)], ids=["small", "default", "crossed"]
    )
    def make(self, request):
        return lambda problem: Genetic(request.param, problem)


def genetic(given, **options):
    return Genetic(Config(**options), given)


def parents_of(proposals):
    return {int(number) for proposal in proposals for number in re.findall(r"\d+", proposal.origin)}


def test_random_until_the_population_is_told_or_pending():
    given = problem("flat")
    search = Search(genetic(given, population=10), given, slots=4).run(30)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins[:10] == ["random"] * 10
    assert all(origin.startswith("child of ") for origin in origins[10:])


def test_the_best_of_all_stay_and_mate():
    given = problem("flat")
    optimizer = genetic(given, population=6, tournament=1, elites=2)
    trials = sampled(given, 60)
    optimizer.tell(trials)
    best = sorted(trials[:-4], key=given.rank_key)[:2]
    expected = {trial.number for trial in [*best, *trials[-4:]]}
    assert parents_of(optimizer.ask(range(200, 300), [])) == expected


def test_without_elites_the_last_live():
    given = problem("flat")
    optimizer = genetic(given, population=4, tournament=1, elites=0)
    optimizer.tell(sampled(given, 30))
    assert parents_of(optimizer.ask(range(200, 300), [])) == {26, 27, 28, 29}


def test_failed_trials_are_no_parents_while_there_is_a_better():
    given = problem("flat")
    optimizer = genetic(given, population=5, tournament=5, elites=1)
    trials = sampled(given, 5)
    optimizer.tell(trials)
    optimizer.tell(
        [failed(given, 50 + number, Proposal(trial.genotype)) for number, trial in enumerate(sampled(given, 8, 50))]
    )
    best = min(trials, key=given.rank_key).number
    found = [proposal.origin for proposal in optimizer.ask(range(100, 160), [])]
    assert sum(f"child of {best} " in origin for origin in found) > 30


def test_a_child_of_two_parents_has_the_decisions_of_both_but_one():
    given = problem("flat")
    optimizer = genetic(given, population=5, tournament=2, crossover=1.0)
    trials = {trial.number: trial for trial in sampled(given, 5)}
    optimizer.tell(list(trials.values()))
    for proposal in optimizer.ask(range(100, 130), []):
        held = [trials[number].genotype for number in parents_of([proposal])]
        new = [slot for slot, *others in zip(proposal.genotype, *held, strict=True) if slot not in others]
        assert len(new) <= 1


def test_elites_with_several_objectives_do_not_dominate_each_other():
    given = problem("flat", BOTH)
    optimizer = genetic(given, population=6, tournament=1, elites=3)
    trials = {trial.number: trial for trial in sampled(given, 60)}
    optimizer.tell(list(trials.values()))
    elites = [trials[number] for number in parents_of(optimizer.ask(range(200, 300), [])) if number < 57]
    assert len(elites) == 3
    assert front(elites, key=lambda trial: standing(given, trial)) == elites


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1, "tournament": 1, "elites": 0}, "'population' must be >= 2: 1"),
        ({"tournament": 0}, "'tournament' must be >= 1: 0"),
        ({"population": 4}, "'tournament' must be <= population (4): 5"),
        ({"population": 5, "elites": 5}, "'elites' must be < population (5): 5"),
        ({"elites": -1}, "'elites' must be >= 0: -1"),
        ({"crossover": 1.5}, "'crossover' must be <= 1.0: 1.5"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)
