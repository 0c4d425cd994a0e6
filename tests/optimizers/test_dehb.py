"""DEHB: the suite, its brackets and populations, promotions, children and several objectives."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from morphml_core.problem import Budget, Cause
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, finished, problem, sampled
from morphml_optimizers import hyperband
from morphml_optimizers.dehb import Config, Dehb
from morphml_optimizers.hyperband import Hyperband
from morphml_optimizers.inner import note

CONFIGS = {"default": Config(), "other": Config(reduction=2, population=4, brackets=2, weight=0.9, crossover=0.9)}


class TestDehb(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request, with_epochs):
        return lambda problem: Dehb(request.param, with_epochs(problem))


def test_the_brackets_are_those_of_hyperband(with_epochs):
    given = with_epochs(problem("mixed"))
    found = []
    for make in (lambda: Dehb(Config(population=4), given), lambda: Hyperband(hyperband.Config(), given)):
        search = Search(make(), given).run(22 + 22)
        found.append(Counter((note(p.origin, "bracket"), p.budget.epochs) for p in search.proposals.values()))
    assert found[0] == found[1]


def test_the_first_bracket_promotes_and_later_ones_have_children(with_epochs):
    given = with_epochs(problem("mixed"))
    search = Search(Dehb(Config(population=4), given), given).run(80)
    proposals = list(search.proposals.values())
    first = [proposal for proposal in proposals if note(proposal.origin, "bracket") == 0]
    assert [proposal.continues is not None for proposal in first] == [False] * 9 + [True] * 4
    trials = {trial.number: trial for trial in search.past()}
    best = sorted((trials[number] for number in range(9)), key=given.rank_key)
    assert [trials[number].continues for number in range(9, 12)] == [trial.number for trial in best[:3]]
    later = [proposal for proposal in proposals if (note(proposal.origin, "bracket") or 0) >= 3]
    assert all(proposal.origin.startswith("child") and proposal.continues is None for proposal in later)
    assert {note(p.origin, "place") for p in later if p.budget.epochs == 1} == set(range(9))


def test_a_bracket_goes_on_when_its_rung_is_over_and_the_next_begins_meanwhile(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = Dehb(Config(population=4), given)
    proposals = optimizer.ask(range(15), [])
    assert [(note(p.origin, "bracket"), p.budget.epochs) for p in proposals] == [(0, 1)] * 9 + [(1, 3)] * 5 + [(2, 9)]
    optimizer.tell([finished(given, number, proposal) for number, proposal in enumerate(proposals[:8])])
    optimizer.tell([failed(given, 8, proposals[8], Cause.ERROR)])
    found = optimizer.ask([15], [])
    assert (found[0].budget, found[0].continues is not None) == (Budget(3), True)


def test_a_child_replaces_who_has_its_place_if_it_is_no_worse(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = Dehb(Config(population=4), given)
    trials = [
        attrs.evolve(trial, budget=Budget(1), metrics={"accuracy": 0.1 * trial.number}) for trial in sampled(given, 9)
    ]
    optimizer.tell(trials)
    living = optimizer._populations[0].living
    others = sampled(given, 13, first=100)
    child = attrs.evolve(others[9], budget=Budget(1), metrics={"accuracy": 0.31}, origin="child | bracket 3 | place 3")
    optimizer.tell([child])
    assert living[3].number == child.number
    worse = attrs.evolve(others[10], budget=Budget(1), metrics={"accuracy": 0.39}, origin="child | bracket 3 | place 4")
    optimizer.tell([worse])
    assert living[4].number == 4
    foreign = attrs.evolve(others[11], budget=Budget(1), metrics={"accuracy": 0.05}, origin="elsewhere")
    optimizer.tell([foreign])
    assert living[0].number == foreign.number


def test_several_objectives_keep_a_spread_front(with_epochs):
    given = with_epochs(problem("flat", BOTH))
    optimizer = Dehb(Config(population=4), given)
    points = [
        (0.9, 9.0),
        (0.899, 8.99),
        (0.7, 7.0),
        (0.6, 6.0),
        (0.5, 5.0),
        (0.4, 4.0),
        (0.3, 3.0),
        (0.2, 2.0),
        (0.1, 1.0),
    ]
    points += [(0.8, 8.0), (0.05, 9.0)]
    trials = sampled(given, 11)
    optimizer.tell([
        attrs.evolve(trial, budget=Budget(1), metrics={"accuracy": accuracy, "cost": cost})
        for trial, (accuracy, cost) in zip(trials, points, strict=True)
    ])  # fmt: skip
    assert {member.number for member in optimizer._populations[0].living} == {0, *range(2, 10)}


@pytest.mark.parametrize("objectives", [BOTH, BOTH[:1]])
def test_places_are_always_busy(objectives, with_epochs):
    given = with_epochs(problem("mixed", objectives))
    search = Search(Dehb(Config(population=4), given), given, 16)
    while len(search.proposals) < 300:
        search.step(300)
        assert len(search.running) >= 14


def test_an_exhausted_space_ends_the_search(with_epochs):
    given = with_epochs(problem("small"))
    search = Search(Dehb(Config(population=4), given), given, 3).run(1000)
    trials = list(search.past())
    assert search.ended
    assert len({trial.genotype for trial in trials}) == 48
    assert len({(trial.genotype, trial.budget) for trial in trials}) == len(trials)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"'crossover' must be <= 1\.0: 1\.5"):
        Config(crossover=1.5)
