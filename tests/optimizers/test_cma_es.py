"""CMA-ES: the suite, who makes a generation, minima that it finds, and what is said where `cmaes` is missing."""

from __future__ import annotations

import re
import sys

import attrs
import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.problem import Objective, Problem, Proposal
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, failed, finished, problem, sampled

pytest.importorskip("cmaes", reason="needs cmaes")

from morphml_optimizers.cma_es import CmaEs, Config


class TestCmaEs(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(4, 0.5)], ids=["default", "small"])
    def make(self, request):
        return lambda problem: CmaEs(request.param, problem)


def cma(given, **options):
    return CmaEs(Config(**options), given)


def generations(search):
    return [int(proposal.origin.removeprefix("generation ")) for proposal in search.proposals.values()]


def test_a_generation_is_as_many_as_the_population():
    given = problem("flat")
    assert generations(Search(cma(given, population=5), given).run(20)) == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5


@pytest.mark.parametrize(("parallelism", "expected"), [(1, 9), (30, 30)])
def test_the_default_population(parallelism, expected):
    given = problem("flat", parallelism=parallelism)
    assert generations(Search(cma(given), given).run(40)).count(0) == expected


def test_only_the_order_of_the_results_matters():
    found = []
    for scale in (1.0, 1000.0):
        given = problem("mixed")

        def end(given, number, proposal, scale=scale):
            trial = finished(given, number, proposal)
            return attrs.evolve(trial, metrics={"accuracy": scale * trial.metrics["accuracy"]})

        found.append(Search(cma(given), given, 2, end).run(40).proposals)
    assert found[0] == found[1]


def test_the_order_in_which_a_generation_ends_does_not_matter():
    given = problem("mixed")
    first = Search(cma(given, population=6), given, slots=6).run(6)
    trials = [finished(given, number, proposal) for number, proposal in first.proposals.items()]
    found = []
    for order in (trials, trials[::-1]):
        optimizer = cma(given, population=6)
        optimizer.tell(order)
        found.append(optimizer.ask(range(100, 106), []))
    assert found[0] == found[1]
    assert found[0][0].origin == "generation 1"


def test_late_trials_count_for_three_generations():
    given = problem("flat")
    optimizer = cma(given, population=4)
    late = [finished(given, number, proposal) for number, proposal in enumerate(optimizer.ask(range(6), []))][4:]
    optimizer.tell([finished(given, number, proposal) for number, proposal in enumerate(optimizer.ask(range(4), []))])
    for generation in (1, 2, 3):
        optimizer.tell(late[:1])
        numbers = range(10 * generation, 10 * generation + 3)
        optimizer.tell([finished(given, n, p) for n, p in zip(numbers, optimizer.ask(numbers, []), strict=True)])
        assert optimizer.ask([90], [])[0].origin == f"generation {generation + 1}"
    optimizer.tell(late[1:])
    optimizer.tell(
        [finished(given, n, p) for n, p in zip(range(50, 53), optimizer.ask(range(50, 53), []), strict=True)]
    )
    assert optimizer.ask([90], [])[0].origin == "generation 4"


def test_it_begins_around_the_best_that_others_found():
    given = problem("flat")
    trials = sampled(given, 20)
    best = min(trials, key=given.rank_key).genotype
    close = []
    for past in ([], trials):
        optimizer = cma(given)
        optimizer.tell(past)
        found = [proposal.genotype for proposal in optimizer.ask(range(100, 130), [])]
        close.append(np.mean([sum(one == two for one, two in zip(genotype, best, strict=True)) for genotype in found]))
    assert close[0] < 2.0 < 3.0 < close[1]


def test_failed_trials_are_the_worst():
    """Where trials with a low first number fail, the mean moves away from them."""
    given = Problem(SearchSpace(DecisionSpace([Decision("x", Real(0.0, 1.0))])), [Objective("accuracy")], seed=3)

    def end(given, number, proposal):
        if proposal.genotype.slots[0] < 0.5:
            return failed(given, number, proposal)
        return attrs.evolve(finished(given, number, proposal), metrics={"accuracy": 0.0})

    search = Search(cma(given), given, 1, end).run(60)
    assert np.mean([proposal.genotype.slots[0] > 0.5 for proposal in list(search.proposals.values())[20:]]) > 0.9


def test_it_finds_the_minimum_of_an_ill_conditioned_function():
    decisions = DecisionSpace(Decision(f"x{index}", Real(-5.0, 5.0)) for index in range(4))
    given = Problem(SearchSpace(decisions), [Objective("loss", "minimize")], seed=1)

    def end(given, number, proposal):
        loss = sum(100.0**index * (x - 1.0) ** 2 for index, x in enumerate(proposal.genotype.slots))
        return attrs.evolve(finished(given, number, proposal), metrics={"loss": loss})

    search = Search(cma(given), given, 1, end).run(1500)
    assert min(trial.metrics["loss"] for trial in search.past()) < 1e-8


def test_a_collapsed_distribution_begins_again_with_twice_the_population():
    given = Problem(
        SearchSpace(DecisionSpace([Decision("x", Real(0.0, 1.0))])), [Objective("loss", "minimize")], seed=1
    )

    def end(given, number, proposal):
        x = proposal.genotype.slots[0]
        return attrs.evolve(finished(given, number, proposal), metrics={"loss": abs(x - 0.3)})

    optimizer = cma(given)
    Search(optimizer, given, 1, end).run(600)
    assert optimizer._population >= 8


def test_a_space_with_one_genotype():
    given = Problem(SearchSpace(DecisionSpace([Decision("x", Choice((1,)))])), [Objective("accuracy")])
    optimizer = cma(given)
    (proposal,) = optimizer.ask([0], [])
    optimizer.tell([attrs.evolve(sampled(given, 1)[0], metrics={"accuracy": 1.0})])
    assert proposal == Proposal(given.decisions.genotype({"x": 1}), origin="random")
    assert optimizer.ask([1], []) == []


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ConfigurationError) as error:
        cma(problem("flat"))
    assert str(error.value) == (
        "optimizer: the optimizer 'cma_es' needs cmaes, which is not installed; pip install 'morphml-optimizers[cmaes]'"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 3}, "'population' must be >= 4: 3"),
        ({"sigma": 0.0}, "'sigma' must be > 0.0: 0.0"),
        ({"sigma": 1.5}, "'sigma' must be <= 1.0: 1.5"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)
