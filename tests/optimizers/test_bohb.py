"""BOHB: the suite, whose trials its model learns from, and the random share."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.problem import Budget
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import problem, sampled
from morphml_optimizers import asha, local_search, tpe
from morphml_optimizers.bohb import Bohb, Config


def wrapped(module, **options):
    name = module.__name__.rpartition(".")[2]
    return Part(ComponentRef("optimizer", name), module.component, module.Config(**options))


CONFIGS = {
    "default": Config(),
    "of local search": Config(optimizer=wrapped(local_search), reduction=2, enough=4, random=0.0),
}


class TestBohb(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request, with_epochs):
        return lambda problem: Bohb(request.param, with_epochs(problem))


def short(trial, budget):
    return attrs.evolve(
        trial, budget=Budget(budget), metrics={**trial.metrics, "accuracy": 1.0 - trial.metrics["accuracy"]}
    )


@pytest.mark.parametrize("count", [9, 10])
def test_the_model_is_of_the_largest_budget_with_enough_results(count, with_epochs):
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


def test_a_share_is_drawn_at_random(with_epochs):
    given = with_epochs(problem("mixed"))
    optimizer = Bohb(Config(random=0.25), given)
    optimizer.tell([attrs.evolve(trial, budget=Budget(1)) for trial in sampled(given, 40)])
    origins = [optimizer.ask([number], [])[0].origin for number in range(1000, 1300)]
    assert 50 < sum(origin.startswith("random") for origin in origins) < 100
    model = Bohb(Config(random=0.0), given)
    model.tell([attrs.evolve(trial, budget=Budget(1)) for trial in sampled(given, 40)])
    assert not any(model.ask([number], [])[0].origin.startswith("random") for number in range(1000, 1020))


def test_what_does_not_fit(with_epochs):
    with pytest.raises(ConfigurationError, match="'bohb' cannot wrap 'asha', which gives trials budgets of its own"):
        Bohb(Config(optimizer=wrapped(asha)), with_epochs(problem("flat")))
    with pytest.raises(ValueError, match=r"'random' must be <= 1\.0: 1\.5"):
        Config(random=1.5)
