"""REINFORCE: the suite, what is learned from which trial, that no scale matters, and that it stays quick."""

from __future__ import annotations

import re
import time

import attrs
import numpy as np
import pytest

from morphml_core.problem import Constraint, Objective, Problem, Proposal, Trial, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, failed, finished, problem, sampled
from morphml_optimizers.reinforce import Config, Reinforce


class TestReinforce(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(1.0, 7, 0.0, 1.0, 3)], ids=["default", "other"])
    def make(self, request):
        return lambda problem: Reinforce(request.param, problem)


def learner(given, **options):
    return Reinforce(Config(**options), given)


def shares(optimizer, many=400):
    """How often each value of the first decision is drawn."""
    drawn = [proposal.genotype.slots[0] for proposal in optimizer.ask(range(5000, 5000 + many), [])]
    return {value: drawn.count(value) / many for value in "abcde"}


def by_first(given, origin="policy", many=60):
    """Trials of which those with "a" first are better than all others."""
    trials = sampled(given, many)
    return [
        attrs.evolve(trial, metrics={"accuracy": 2.0 if trial.genotype.slots[0] == "a" else 1.0}, origin=origin)
        for trial in trials
    ]


def run(given, transform, trials):
    """A search whose objective is a function of the accuracy, rounded so that its order survives the function."""
    optimizer = learner(given)
    return (
        Search(
            optimizer, given, 2, lambda g, n, p: _changed(finished(g, n, p), lambda value: transform(round(value, 6)))
        )
        .run(trials)
        .proposals
    )


def _changed(trial, transform):
    return attrs.evolve(trial, metrics={"accuracy": transform(trial.metrics["accuracy"])})


def test_what_is_better_becomes_likelier():
    given = problem("flat")
    optimizer = learner(given)
    assert shares(optimizer)["a"] == pytest.approx(0.2, abs=0.06)
    optimizer.tell(by_first(given))
    assert shares(optimizer)["a"] > 0.6


def test_failed_trials_are_the_worst():
    given = problem("flat")
    optimizer = learner(given)
    for trial in by_first(given, many=80):
        bad = trial.genotype.slots[0] == "a"
        optimizer.tell([failed(given, trial.number, Proposal(trial.genotype, origin="policy")) if bad else trial])
    assert shares(optimizer)["a"] < 0.1


def test_what_breaks_a_constraint_is_worse_than_what_does_not():
    given = problem("flat")
    given.constraints = (Constraint("accuracy", "<", 2.0),)
    optimizer = learner(given)
    optimizer.tell(by_first(given, many=80))
    assert shares(optimizer)["a"] < 0.1


def test_stopped_trials_count_with_what_they_reported():
    given = problem("flat")
    optimizer = learner(given)
    optimizer.tell([attrs.evolve(trial, state=TrialState.STOPPED) for trial in by_first(given)])
    assert shares(optimizer)["a"] > 0.6


def test_trials_of_others_teach_while_they_are_likely():
    given = problem("flat")
    one, other = learner(given), learner(given)
    one.tell(by_first(given, "random"))
    assert shares(one)["a"] > 0.4
    other.tell(by_first(given))
    before = shares(other)
    worse = [_changed(trial, lambda value: -value) for trial in by_first(given, "random", 20)]
    unlikely = [trial for trial in worse if trial.genotype.slots[0] != "a"]
    other.tell(unlikely)
    assert shares(other)["a"] > before["a"] - 0.1


def test_equal_results_teach_nothing():
    given = problem("flat")
    optimizer = learner(given, entropy=0.0)
    optimizer.tell([_changed(trial, lambda value: 3.0) for trial in by_first(given)])
    assert optimizer._policy.probabilities == pytest.approx(np.full(30, 0.2))


@pytest.mark.parametrize(
    "transform",
    [lambda value: 1e12 * value - 5e11, lambda value: 1e-200 * value, lambda value: np.exp(30 * value)],
    ids=["large", "tiny", "exponential"],
)
@pytest.mark.parametrize(("space", "trials"), [("flat", 80), ("mixed", 80), ("conditional", 20)])
def test_no_scale_of_the_objective_matters(space, trials, transform):
    given = problem(space)
    assert run(given, transform, trials) == run(given, float, trials)


def test_nothing_is_ever_nan():
    given = problem("mixed")
    optimizer = learner(given, learning_rate=10.0, batch=1, entropy=10.0)
    rng = np.random.default_rng(0)
    for number, trial in enumerate(sampled(given, 300)):
        value = float(rng.choice([0.0, 1e308, -1e308, np.inf, -np.inf, np.nan, 1e-308]))
        optimizer.tell([attrs.evolve(trial, number=number, metrics={"accuracy": value}, origin="policy")])
        assert np.all(np.isfinite(optimizer._policy.probabilities))
    assert len(optimizer.ask(range(1000, 1010), [])) == 10


def test_updates_come_after_each_batch():
    given = problem("flat")
    optimizer = learner(given, batch=5)
    trials = [attrs.evolve(trial, origin="policy") for trial in sampled(given, 5)]
    optimizer.tell(trials[:4])
    assert optimizer._policy.probabilities == pytest.approx(np.full(30, 0.2))
    optimizer.tell(trials[4:5])
    assert optimizer._policy.probabilities != pytest.approx(np.full(30, 0.2))


def test_a_settled_policy_goes_on_with_what_is_near():
    decisions = [Decision(f"d{index}", Choice(range(5))) for index in range(6)]
    given = Problem(SearchSpace(DecisionSpace(decisions)), [Objective("sum")], seed=1)
    search = Search(learner(given), given, 2, lambda g, n, p: _summed(g, n, p)).run(400)
    late = [proposal.genotype for number, proposal in search.proposals.items() if number >= 300]
    assert len({proposal.genotype for proposal in search.proposals.values()}) == 400
    assert any(sum(genotype.slots) == 24 for genotype in (p.genotype for p in search.proposals.values()))
    assert np.mean([sum(genotype.slots) for genotype in late]) > 16


def _summed(given, number, proposal):
    metrics = {"sum": float(sum(proposal.genotype.slots))}
    return Trial(number, proposal.genotype, TrialState.FINISHED, metrics=metrics, origin=proposal.origin)


def test_asking_and_telling_are_quick_and_stay_so():
    decisions = [Decision(f"choice{index}", Choice(range(4))) for index in range(7)]
    decisions += [Decision(f"real{index}", Real(1e-5, 1.0, log=index % 2 == 0)) for index in range(7)]
    decisions += [Decision(f"integer{index}", Integer(1, 64, log=index % 2 == 1)) for index in range(6)]
    given = Problem(SearchSpace(DecisionSpace(decisions)), [Objective("value")], seed=3)
    optimizer = learner(given)
    asks, tells = [], []
    for number in range(3000):
        begin = time.perf_counter()
        proposal = optimizer.ask([number], [])[0]
        between = time.perf_counter()
        trial = Trial(number, proposal.genotype, TrialState.FINISHED, metrics={"value": number % 17}, origin="policy")
        told = time.perf_counter()
        optimizer.tell([trial])
        asks.append(between - begin)
        tells.append(time.perf_counter() - told)
    for times in (asks, tells):
        early, late = (sorted(part)[len(part) // 4] for part in (times[300:900], times[-600:]))
        assert late < 1.5 * early
        assert late < 0.0006


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "'learning_rate' must be > 0.0: 0.0"),
        ({"learning_rate": 11.0}, "'learning_rate' must be <= 10.0: 11.0"),
        ({"batch": 0}, "'batch' must be >= 1: 0"),
        ({"baseline": 1.0}, "'baseline' must be < 1.0: 1.0"),
        ({"baseline": -0.1}, "'baseline' must be >= 0.0: -0.1"),
        ({"entropy": -0.1}, "'entropy' must be >= 0.0: -0.1"),
        ({"entropy": float("inf")}, "'entropy' must be <= 10.0: inf"),
        ({"bins": 1}, "'bins' must be >= 2: 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)
