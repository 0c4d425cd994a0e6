"""Regularized evolution: the suite, who lives and who mates."""

from __future__ import annotations

import re

import attrs
import pytest

from morphml_core.problem import Constraint, Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, problem, sampled
from morphml_optimizers.ranking import front, standing
from morphml_optimizers.regularized_evolution import Config, RegularizedEvolution


class TestRegularizedEvolution(OptimizerSuite):
    @pytest.fixture(params=[Config(8, 3), Config(), Config(4, 2, mutations=3)], ids=["small", "default", "mutations"])
    def make(self, request):
        return lambda problem: RegularizedEvolution(request.param, problem)


def evolution(given, **options):
    return RegularizedEvolution(Config(**options), given)


def differing(one, other):
    return sum(first != second for first, second in zip(one, other, strict=True))


def among_all(given, population):
    """Its tournaments are so large that all of the living are in each; no configuration can say that."""
    with attrs.validators.disabled():
        return evolution(given, population=population, sample=20 * population)


def test_random_until_the_population_is_told_or_pending():
    given = problem("flat")
    search = Search(evolution(given, population=10, sample=3), given, slots=4).run(30)
    origins = [proposal.origin for proposal in search.proposals.values()]
    assert origins[:10] == ["random"] * 10
    assert all(origin.startswith("mutation of ") for origin in origins[10:])


@pytest.mark.parametrize("mutations", [1, 2])
def test_children_are_mutations_of_the_living(mutations):
    given = problem("flat")
    optimizer = evolution(given, population=6, sample=2, mutations=mutations)
    trials = sampled(given, 40)
    optimizer.tell(trials)
    living = {trial.number: trial for trial in trials[-6:]}
    parents = set()
    for proposal in optimizer.ask(range(200, 230), []):
        parent = int(proposal.origin.removeprefix("mutation of "))
        parents.add(parent)
        assert 1 <= differing(proposal.genotype, living[parent].genotype) <= mutations
    assert len(parents) > 1


def test_the_best_of_the_sample_is_the_parent():
    given = problem("flat")
    optimizer = among_all(given, 5)
    trials = sampled(given, 5)
    optimizer.tell(trials)
    best = min(trials, key=given.rank_key)
    assert {proposal.origin for proposal in optimizer.ask(range(100, 110), [])} == {f"mutation of {best.number}"}


def test_failed_trials_age_but_are_no_parents_while_there_is_a_better():
    given = problem("flat")
    given.constraints = (Constraint("accuracy", ">=", 2.0),)
    optimizer = among_all(given, 5)
    trials = sampled(given, 8)
    optimizer.tell(trials)
    optimizer.tell(
        [failed(given, number, Proposal(trial.genotype)) for number, trial in enumerate(sampled(given, 4, 50), 50)]
    )
    assert {proposal.origin for proposal in optimizer.ask(range(100, 110), [])} == {"mutation of 7"}
    optimizer.tell([failed(given, 60, Proposal(trials[0].genotype))])
    assert len(optimizer.ask(range(100, 110), [])) == 10


def test_several_objectives_choose_from_the_front_of_the_tournament():
    given = problem("flat", BOTH)
    optimizer = among_all(given, 12)
    trials = sampled(given, 12)
    optimizer.tell(trials)
    best = {trial.number for trial in front(trials, key=lambda trial: standing(given, trial))}
    assert len(best) > 1
    origins = {proposal.origin for proposal in optimizer.ask(range(100, 160), [])}
    assert origins == {f"mutation of {number}" for number in best}


@pytest.mark.parametrize("option", ["population", "sample", "mutations"])
def test_options_below_one(option):
    with pytest.raises(ValueError, match=f"'{option}' must be >= 1: 0"):
        Config(**{option: 0})


def test_a_tournament_is_no_larger_than_the_population():
    with pytest.raises(ValueError, match=re.escape("'sample' must be <= population (4): 5")):
        Config(population=4)
