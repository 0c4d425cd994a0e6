"""BOHB: the suite, whose trials its model learns from, the random share, and that it finds more than Hyperband."""

from __future__ import annotations

import statistics

import attrs
import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.problem import Budget
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, finished, problem, sampled
from morphml_optimizers import asha, hyperband, local_search, tpe
from morphml_optimizers.bohb import Bohb, Config
from morphml_optimizers.hyperband import Hyperband


def wrapped(module, **options):
    name = module.__name__.rpartition(".")[2]
    return Part(ComponentRef("optimizer", name), module.component, module.Config(**options))


CONFIGS = {
    "default": Config(),
    "of local search": Config(optimizer=wrapped(local_search), reduction=2, enough=4, random=0.0),
}


def with_epochs(given, epochs=9):
    if given.budget.epochs is None:
        given.budget = Budget(epochs)
    return given


class TestBohb(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request):
        return lambda problem: Bohb(request.param, with_epochs(problem))


def short(trial, budget):
    return attrs.evolve(
        trial, budget=Budget(budget), metrics={**trial.metrics, "accuracy": 1.0 - trial.metrics["accuracy"]}
    )


@pytest.mark.parametrize("count", [9, 10])
def test_the_model_is_of_the_largest_budget_with_enough_results(count):
    """The short trainings say the opposite: what is proposed tells whom the model believes."""
    given = with_epochs(problem("flat"))
    optimizer = Bohb(Config(random=0.0), given)
    trials = sampled(given, 80)
    optimizer.tell([short(trial, 1) for trial in trials])
    ranked = sorted(trials, key=given.rank_key)
    top = [attrs.evolve(trial, number=200 + trial.number, budget=Budget(9)) for trial in [*ranked[:5], *ranked[-5:]]]
    optimizer.tell(top[-count:])
    plain = tpe.component.create(tpe.Config(), given)
    plain.tell(top if count == 10 else [short(trial, 1) for trial in trials])
    agreed = sum(
        optimizer.ask([number], [])[0].genotype == plain.ask([number], [])[0].genotype for number in range(1000, 1020)
    )
    assert agreed >= 17  # the plain one may propose what is known at another budget


def test_a_share_is_drawn_at_random():
    given = with_epochs(problem("mixed"))
    optimizer = Bohb(Config(random=0.25), given)
    optimizer.tell([attrs.evolve(trial, budget=Budget(1)) for trial in sampled(given, 40)])
    origins = [optimizer.ask([number], [])[0].origin for number in range(1000, 1300)]
    assert 50 < sum(origin.startswith("random") for origin in origins) < 100
    model = Bohb(Config(random=0.0), given)
    model.tell([attrs.evolve(trial, budget=Budget(1)) for trial in sampled(given, 40)])
    assert not any(model.ask([number], [])[0].origin.startswith("random") for number in range(1000, 1020))


def noisy(given, number, proposal):
    """A result whose error falls with the epochs."""
    trial = finished(given, number, proposal)
    noise = float(np.random.default_rng(number).normal()) * 0.05 / proposal.budget.epochs
    return attrs.evolve(trial, metrics={**trial.metrics, "accuracy": trial.metrics["accuracy"] + noise})


def test_it_finds_more_than_hyperband():
    found = {}
    for make in (lambda given: Hyperband(hyperband.Config(), given), lambda given: Bohb(Config(), given)):
        scores = []
        for seed in range(6):
            given = with_epochs(problem("flat", seed=seed))
            trials = Search(make(given), given, 4, noisy).run(150).past()
            best = min((trial for trial in trials if trial.budget.epochs == 9), key=given.rank_key)
            scores.append(finished(given, 0, best).metrics["accuracy"])
        found[len(found)] = statistics.fmean(scores)
    assert found[1] > found[0] + 0.005


def test_what_does_not_fit():
    with pytest.raises(ConfigurationError) as error:
        Bohb(Config(brackets=5), with_epochs(problem("flat")))
    assert (
        str(error.value)
        == "optimizer.brackets: optimizer 'bohb': 'brackets' is 5, but there are 3 budgets (1, 3, 9); give at most 3"
    )
    with pytest.raises(ConfigurationError, match="'bohb' cannot wrap 'asha', which gives trials budgets of its own"):
        Bohb(Config(optimizer=wrapped(asha)), with_epochs(problem("flat")))
    with pytest.raises(ValueError, match=r"'random' must be <= 1\.0: 1\.5"):
        Config(random=1.5)
