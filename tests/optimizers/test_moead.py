"""MOEA/D: the suite, what is kept, and who mates; test_steady.py has what it shares with others."""

from __future__ import annotations

import pytest

from morphml_core.problem import Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, failed, problem, sampled
from morphml_optimizers.moead import Config, Moead
from morphml_optimizers.ranking import front, standing


class TestMoead(OptimizerSuite):
    @pytest.fixture(params=[Config(6, 3), Config(), Config(8, 8, 0.5, 0.0)], ids=["small", "default", "one parent"])
    def make(self, request):
        return lambda problem: Moead(request.param, problem)


def parents(proposals):
    """The trials that the children come from."""
    return {int(one) for found in proposals for one in found.origin.removeprefix("child of ").split(" and ")}


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


def test_failed_trials_are_never_kept():
    given = problem("flat", BOTH)
    optimizer = Moead(Config(4, 2), given)
    optimizer.tell([failed(given, trial.number, Proposal(trial.genotype)) for trial in sampled(given, 6)])
    assert optimizer.ask([2000], [])[0].origin == "random"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"population": 4},
            "'neighbours' is 5, but 'population' is 4; there are no more neighbours than weight vectors",
        ),
        ({"neighbours": 0}, "'neighbours' must be >= 1: 0"),
        ({"local": 1.5}, "'local' must be <= 1.0: 1.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)
