"""Local search: the suite, the climb, the restart."""

from __future__ import annotations

import math

import pytest

from morphml_core.problem import Constraint, Proposal, Trial, TrialState
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, finished, measure, pending, problem, sampled
from morphml_optimizers.local_search import Config, LocalSearch


class TestLocalSearch(OptimizerSuite):
    @pytest.fixture(params=[1, 10])
    def make(self, request):
        return lambda problem: LocalSearch(Config(request.param), problem)


def climb(given, starts=1):
    return LocalSearch(Config(starts), given)


def differing(one, other):
    return sum(first != second for first, second in zip(one, other, strict=True))


def parent(proposal):
    return int(proposal.origin.removeprefix("neighbour of "))


def test_each_step_is_a_neighbour_of_the_best_of_the_climb():
    given = problem("flat")
    search = Search(climb(given), given).run(120)
    best, restarts = None, 0
    trials = list(search.past())
    for trial in trials:
        if trial.origin == "start":
            restarts += trial.number > 0
            best = trial
            continue
        assert parent(search.proposals[trial.number]) == best.number
        assert differing(trial.genotype, best.genotype) == 1
        if given.rank_key(trial) < given.rank_key(best):
            best = trial
    assert restarts >= 1


def test_it_starts_again_only_where_no_neighbour_is_better():
    given = problem("flat")
    trials = list(Search(climb(given), given).run(120).past())
    second = next(trial.number for trial in trials[1:] if trial.origin == "start")
    top = min(trials[:second], key=given.rank_key)
    tried = {trial.genotype for trial in trials[:second]}
    neighbours = set(given.decisions.neighbours(top.genotype, given.rng(0)))
    assert neighbours <= tried
    assert top.metrics["accuracy"] >= max(measure(given.decisions, genotype)["accuracy"] for genotype in neighbours)


def test_the_first_of_several_starts_is_the_best():
    given = problem("flat")
    search = Search(climb(given, starts=8), given, slots=3).run(9)
    assert [proposal.origin for proposal in search.proposals.values()][:8] == ["start"] * 8


def test_neighbours_of_reals_are_close_and_one_decision_away():
    given = problem("mixed")
    search = Search(climb(given), given).run(60)
    genotypes = {trial.number: trial.genotype for trial in search.past()}
    steps = [(number, p) for number, p in search.proposals.items() if p.origin != "start"]
    assert len(steps) > 40
    for _, proposal in steps:
        assert 1 <= differing(proposal.genotype, genotypes[parent(proposal)]) <= 2


def test_idle_places_go_to_the_next_best():
    given = problem("single")
    search = climb(given)
    start = finished(given, 0, search.ask([0], [])[0])
    search.tell([start])
    first = search.ask([1, 2, 3], [])
    assert [proposal.origin for proposal in first] == ["neighbour of 0"] * 3
    busy = [pending(given, number, proposal) for number, proposal in enumerate(first, 1)]
    assert search.ask([4], busy) == []

    given = problem("flat")
    search = climb(given)
    trials = sampled(given, 2)
    search.tell(trials)
    top, below = sorted(trials, key=given.rank_key)
    neighbours = list(given.decisions.neighbours(top.genotype, given.rng(0)))
    busy = [Trial(number, genotype) for number, genotype in enumerate(neighbours, 10)]
    assert search.ask([50], busy)[0].origin == f"neighbour of {below.number}"


def test_failed_trials_are_not_climbed_from():
    given = problem("flat")
    search = climb(given)
    search.tell([failed(given, 0, Proposal(sampled(given, 1)[0].genotype))])
    assert search.ask([1], [])[0].origin == "start"
    good = sampled(given, 3, first=5)[2]
    search.tell([good, failed(given, 9, Proposal(sampled(given, 2)[1].genotype))])
    assert search.ask([10], [])[0].origin == f"neighbour of {good.number}"


def test_feasible_trials_come_before_better_ones_that_break_a_constraint():
    given = problem("flat")
    trials = sampled(given, 30)
    champion = min(trials, key=given.rank_key)
    given.constraints = (Constraint("cost", "<", champion.metrics["cost"]),)
    search = climb(given)
    search.tell(trials)
    best = min(trials, key=given.rank_key)
    assert best.metrics["accuracy"] < champion.metrics["accuracy"]
    assert search.ask([50], [])[0].origin == f"neighbour of {best.number}"


def test_several_objectives_go_on_from_every_trial_of_the_front():
    given = problem("small", BOTH)
    search = Search(climb(given), given).run(48)
    assert search.ended or len(search.proposals) == 48
    trials = list(search.past())
    assert all(trial.state is TrialState.FINISHED for trial in trials)
    parents = {parent(proposal) for proposal in search.proposals.values() if proposal.origin != "start"}
    assert len(parents) > 2


def test_a_climb_reaches_the_top_of_a_smooth_hill():
    given = problem("flat")
    trials = list(Search(climb(given), given, slots=2).run(150).past())
    found = max(trial.metrics["accuracy"] for trial in trials)
    values = [measure(given.decisions, given.decisions.sample(given.rng(number)))["accuracy"] for number in range(2000)]
    assert found >= max(values)
    assert math.isfinite(found)


def test_options_below_one():
    with pytest.raises(ValueError, match="'starts' must be >= 1: 0"):
        Config(0)
