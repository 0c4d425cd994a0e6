"""Successive halving: the suite, rungs that wait, failures, exhaustion, several objectives, and how many begin."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.problem import Budget, Cause
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, finished, pending, problem
from morphml_optimizers import local_search
from morphml_optimizers.successive_halving import Config, SuccessiveHalving

LOCAL = Part(ComponentRef("optimizer", "inner"), local_search.component, local_search.Config())
CONFIGS = {
    "default": Config(),
    "nine": Config(candidates=9),
    "halves of local search": Config(optimizer=LOCAL, candidates=6, reduction=2, minimum=2, enough=4),
}


class TestSuccessiveHalving(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request, with_epochs):
        return lambda problem: SuccessiveHalving(request.param, with_epochs(problem))


def run(optimizer, given, first, count):
    """The finished trials of what it proposes for the next numbers."""
    return [
        finished(given, first + place, proposal)
        for place, proposal in enumerate(optimizer.ask(range(first, first + count), []))
    ]


def test_a_rung_is_complete_before_its_best_go_on(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = SuccessiveHalving(Config(candidates=9), given)
    trials = run(optimizer, given, 0, 20)
    assert [trial.budget for trial in trials] == [Budget(1)] * 9
    optimizer.tell(trials[1:])
    assert optimizer.ask([9], [pending(given, 0, trials[0])]) == []
    optimizer.tell(trials[:1])
    best = sorted(trials, key=given.rank_key)
    second = run(optimizer, given, 9, 20)
    assert [trial.continues for trial in second] == [trial.number for trial in best[:3]]
    assert {trial.budget for trial in second} == {Budget(3)}
    assert optimizer.ask([12], [pending(given, trial.number, trial) for trial in second]) == []
    optimizer.tell(second)
    last = run(optimizer, given, 12, 1)
    assert [(trial.continues, trial.budget, trial.genotype) for trial in last] == [
        (second[0].number, Budget(9), best[0].genotype)
    ]
    assert optimizer.ask([13], [pending(given, 12, last[0])]) == []
    optimizer.tell(last)
    again = optimizer.ask(range(13, 30), [])
    assert [proposal.budget for proposal in again] == [Budget(1)] * 9
    assert {proposal.origin for proposal in again} == {"random | bracket 1"}
    assert not {trial.genotype for trial in trials} & {proposal.genotype for proposal in again}


def test_failed_trials_complete_a_rung(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = SuccessiveHalving(Config(candidates=9), given)
    trials = run(optimizer, given, 0, 9)
    optimizer.tell([failed(given, trial.number, trial, Cause.ERROR) for trial in trials[:8]])
    optimizer.tell(trials[8:])
    found = optimizer.ask(range(9, 12), [])
    assert [proposal.continues for proposal in found] == [8]
    optimizer.tell([failed(given, 9, found[0])])
    assert [proposal.origin for proposal in optimizer.ask([10], [])] == ["random | bracket 1"]


def test_a_bracket_in_which_all_fail_is_over(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = SuccessiveHalving(Config(candidates=4), given)
    optimizer.tell([failed(given, trial.number, trial) for trial in run(optimizer, given, 0, 4)])
    assert [proposal.origin for proposal in optimizer.ask([4], [])] == ["random | bracket 1"]


def test_a_space_that_ends_closes_the_first_rung(with_epochs):
    given = with_epochs(problem("conditional"))
    optimizer = SuccessiveHalving(Config(candidates=100), given)
    trials = run(optimizer, given, 0, 200)
    assert len(trials) == 22
    optimizer.tell(trials[:21])
    assert optimizer.ask([22], [pending(given, 21, trials[21])]) == []
    optimizer.tell(trials[21:])
    second = run(optimizer, given, 22, 200)
    assert [trial.continues for trial in second] == [trial.number for trial in sorted(trials, key=given.rank_key)[:7]]
    optimizer.tell(second[:3])
    waiting = [pending(given, trial.number, trial) for trial in second[5:]]
    assert [proposal.continues for proposal in optimizer.ask([29, 30, 31], waiting)] == [
        trial.continues for trial in second[3:5]
    ]
    optimizer.tell(second[3:])
    third = run(optimizer, given, 29, 200)
    assert [(trial.genotype, trial.budget) for trial in third] == [
        (trial.genotype, Budget(9)) for trial in sorted(second, key=given.rank_key)[:2]
    ]
    optimizer.tell(third)
    assert optimizer.ask([40], []) == []


def test_the_best_survives_and_little_is_spent(with_epochs):
    given = with_epochs(problem("small"), 27)
    search = Search(SuccessiveHalving(Config(candidates=48), given), given, 4).run(1000)
    assert search.ended
    trials = list(search.past())
    assert [sum(trial.budget.epochs == epochs for trial in trials) for epochs in (1, 3, 9, 27)] == [48, 16, 5, 1]
    assert given.losses(trials[-1]) == min(map(given.losses, trials))


def test_results_that_are_known_are_not_asked_for(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = SuccessiveHalving(Config(candidates=9), given)
    trials = run(optimizer, given, 0, 9)
    best = sorted(trials, key=given.rank_key)
    optimizer.tell([attrs.evolve(best[1], number=50, budget=Budget(3), origin="elsewhere"), *trials])
    assert [proposal.continues for proposal in optimizer.ask(range(9, 20), [])] == [best[0].number, best[2].number]
    optimizer.tell([attrs.evolve(best[0], number=51, budget=Budget(3), origin="elsewhere")])
    optimizer.tell(run(optimizer, given, 9, 1))
    assert [(p.genotype, p.budget, p.continues) for p in optimizer.ask([10], [])] == [(best[0].genotype, Budget(9), 51)]


def test_equal_networks_go_on_once(with_epochs):
    given = with_epochs(problem("cell"))
    optimizer = SuccessiveHalving(Config(candidates=6), given)
    trials = run(optimizer, given, 0, 6)
    best = max(trials, key=given.rank_key)
    good = {"accuracy": 1.0}
    optimizer.tell([attrs.evolve(best, metrics=good)])
    others = [trial for trial in trials if trial is not best]
    optimizer.tell(
        [attrs.evolve(others[0], metrics=good, fingerprint=best.fingerprint, duplicate_of=best.number), *others[1:]]
    )
    found = optimizer.ask(range(6, 9), [])
    assert [proposal.continues for proposal in found] == [best.number, min(others[1:], key=given.rank_key).number]


def test_several_objectives(with_epochs):
    given = with_epochs(problem("flat", BOTH))
    optimizer = SuccessiveHalving(Config(candidates=9), given)
    points = [(0.9, 9.0), (0.89, 8.9), (0.5, 5.0), (0.1, 1.0), *((0.05, 9.0 + place) for place in range(5))]
    optimizer.tell([
        attrs.evolve(trial, metrics={"accuracy": accuracy, "cost": cost})
        for trial, (accuracy, cost) in zip(run(optimizer, given, 0, 9), points, strict=True)
    ])  # fmt: skip
    assert [proposal.continues for proposal in optimizer.ask(range(9, 20), [])] == [0, 3, 2]


@pytest.mark.parametrize(("trials", "expected"), [(None, 9), (5, 9), (13, 9), (14, 10), (100, 70), (1000, 692)])
def test_how_many_begin(trials, expected, with_epochs):
    given = with_epochs(problem("flat"))
    given.trials = trials
    optimizer = SuccessiveHalving(Config(), given)
    assert len(optimizer.ask(range(1000), [])) == expected
    if trials and trials > 13:
        assert (
            expected + expected // 3 + expected // 9
            <= trials
            < (expected + 1) + (expected + 1) // 3 + (expected + 1) // 9
        )


def test_no_candidates():
    with pytest.raises(ValueError, match="'candidates' must be >= 1: 0"):
        Config(candidates=0)
