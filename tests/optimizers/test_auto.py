"""Auto: the suite, what it chooses and says, the hand-over from the model to evolution."""

from __future__ import annotations

import pytest

from morphml_core.plugins.catalogue import Catalogue
from morphml_core.problem import Problem
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, problem, sampled
from morphml_optimizers.auto import Auto, Config
from morphml_optimizers.gaussian_process import Config as Model
from morphml_optimizers.gaussian_process import GaussianProcess


class TestAuto(OptimizerSuite):
    trials = 24

    @pytest.fixture
    def make(self):
        return lambda problem: Auto(Config(model_trials=15), problem)


def of(given, trials):
    return Problem(given.space, given.objectives, seed=given.seed, trials=trials)


def test_it_is_what_this_distribution_offers_as_the_default():
    assert Catalogue.installed().default("optimizer") == "auto"


@pytest.mark.parametrize(
    ("given", "config", "text"),
    [
        (
            of(problem("flat"), 100),
            Config(),
            "gaussian_process, a model of the decisions, which needs the fewest trials",
        ),
        (
            of(problem("flat"), 5000),
            Config(),
            (
                "gaussian_process for the first 1,000 trials, a model of the decisions, which needs the fewest trials; "
                "then regularized_evolution, which costs little however many there are"
            ),
        ),
        (
            problem("flat", BOTH),
            Config(model_trials=50),
            (
                "parego around gaussian_process for the first 50 trials, a model of the decisions, which needs the fewest trials, "
                "under changing weights of the 2 objectives; then nsga2, which costs little however many there are"
            ),
        ),
        (problem("flat"), Config(model_trials=0), "regularized_evolution, since model_trials is 0"),
    ],
)
def test_it_says_what_it_chose_and_why(given, config, text):
    assert Auto(config, given).explain() == text


def test_few_trials_are_proposed_as_the_model_does_alone():
    given = of(problem("cell"), 20)
    told = list(Search(Auto(Config(), given), given).run(20).past())
    alone = list(Search(GaussianProcess(Model(initial=5), given), given).run(20).past())
    assert [trial.genotype for trial in told] == [trial.genotype for trial in alone]
    assert {trial.origin for trial in told} == {"start", "model"}


def test_evolution_goes_on_from_what_the_model_found():
    given = problem("flat")
    found = list(Search(Auto(Config(model_trials=30), given), given).run(60).past())
    assert all(trial.origin in ("start", "model") for trial in found[:30])
    assert not any(trial.origin == "model" for trial in found[30:])
    assert len({trial.genotype for trial in found}) == 60


def test_a_told_past_is_as_good_as_a_lived_one():
    given = problem("flat")
    past = sampled(given, 40)
    batch, single = Auto(Config(model_trials=25), given), Auto(Config(model_trials=25), given)
    batch.tell(past)
    for trial in past:
        single.tell([trial])
    assert batch.ask([40, 41], []) == single.ask([40, 41], [])


def test_options_out_of_range():
    with pytest.raises(ValueError, match="'model_trials' must be >= 0: -1"):
        Config(model_trials=-1)
