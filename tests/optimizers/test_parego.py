"""ParEGO: the suite over several wrapped optimizers, the weights, the scale, and that telling stays linear."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.optimizer.random import RandomSearch
from morphml_core.plugins.component import ComponentRef, Part, optimizer
from morphml_core.problem import Objective
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, failed, problem, sampled
from morphml_optimizers import parego, regularized_evolution
from morphml_optimizers.parego import Config, ParEgo


def wrapped(component, config):
    return Part(ComponentRef("optimizer", "inner"), component, config)


EVOLUTION = wrapped(regularized_evolution.component, regularized_evolution.Config())


class TestParEgo(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(EVOLUTION, 3)], ids=["default", "evolution"])
    def make(self, request):
        return lambda problem: ParEgo(request.param, problem)


class TestParEgoThatForgets(OptimizerSuite):
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch):
        few(monkeypatch)

    @pytest.fixture
    def make(self):
        return lambda problem: ParEgo(Config(), problem)


def few(monkeypatch, recent=12):
    """Let it thin its past after few trials."""
    monkeypatch.setattr(parego, "_RECENT", recent)
    monkeypatch.setattr(parego, "_SHARE", recent // 3)


class Recorder:
    """Random search that keeps what it is told."""

    def __init__(self, config, problem):
        self.problem, self.trials, self._random = problem, [], RandomSearch(config, problem)
        config.made.append(self)

    def ask(self, numbers, pending):
        return self._random.ask(numbers, pending)

    def tell(self, trials):
        self.trials += trials
        self._random.tell(trials)


@attrs.frozen
class RecorderConfig:
    made: list


def recording(given, weights=5):
    made = []
    part = wrapped(optimizer(RecorderConfig, Recorder), RecorderConfig(made))
    return ParEgo(Config(part, weights), given), made


def test_each_weight_vector_has_one_loss_and_one_optimizer():
    given = problem("flat", BOTH)
    search, made = recording(given)
    trials = sampled(given, 30)
    search.tell(trials)
    search.ask(range(100, 200), [])
    current = [one for one in made if len(one.trials) == 30]
    assert len(current) == 5
    leaders = set()
    for one in current:
        assert one.problem.objectives == (Objective("parego.loss", "minimize"),)
        assert {trial.number for trial in one.trials} == set(range(30))
        leaders.add(min(one.trials, key=one.problem.rank_key).number)
    assert min(trials, key=given.rank_key).number in leaders
    assert len(leaders) > 1


def test_the_loss_is_the_augmented_tchebycheff_of_scaled_losses():
    scale = parego._Scale((0.0, 10.0), (2.0, 30.0))
    assert scale.scalar((0.5, 0.5))((1.0, 15.0)) == pytest.approx(0.25 + 0.05 * (0.25 + 0.125))
    assert scale.scalar((0.0, 1.0))((2.0, 10.0)) == 0.0
    assert parego._Scale((3.0,), (3.0,)).scalar((1.0,))((4.0,)) == pytest.approx(1.05)


def test_trials_without_a_result_have_no_loss():
    given = problem("flat", BOTH)
    search, made = recording(given)
    trials = sampled(given, 3)
    search.tell([failed(given, 0, trials[0]), attrs.evolve(trials[1], metrics={"cost": 1.0}), trials[2]])
    search.ask([10], [])
    assert ["parego.loss" in trial.metrics for trial in made[-1].trials] == [False, False, True]


def test_all_telling_is_proportional_to_the_trials():
    given = problem("flat", BOTH)
    search, made = recording(given)
    trials = sampled(given, 600)
    for place, trial in enumerate(trials):
        grown = attrs.evolve(trial, metrics={"accuracy": float(place), "cost": float(place)})
        search.tell([grown])
        search.ask([1000 + place], [])
    told = sum(len(one.trials) for one in made)
    assert told <= 5 * 3 * 1.5 * 600


def test_after_many_trials_each_is_told_its_best_the_last_and_a_spread(monkeypatch):
    few(monkeypatch, 30)
    given = problem("flat", BOTH)
    search, made = recording(given)
    trials = sampled(given, 1000)
    search.tell(trials)
    search.ask(range(2000, 2100), [])
    assert len(made) == 1 + 5
    for one in made[1:]:
        numbers = [trial.number for trial in one.trials]
        assert numbers == sorted(set(numbers))
        assert len(numbers) <= 30 + 10
        assert set(range(980, 1000)) <= set(numbers)
        assert any(number < 500 for number in numbers)
        assert one.problem.refusal(trials[0].genotype) == "it was tried before"
    leaders = {min(one.trials, key=one.problem.rank_key).number for one in made[1:]}
    assert min(trials, key=given.rank_key).number in leaders


def test_what_is_kept_does_not_depend_on_when_it_is_asked(monkeypatch):
    few(monkeypatch, 30)
    given = problem("flat", BOTH)
    trials = sampled(given, 200)
    asked, fresh = ParEgo(Config(), given), ParEgo(Config(), given)
    for trial in trials:
        asked.tell([trial])
        asked.ask([1000 + trial.number], [])
    fresh.tell(trials)
    assert asked.ask(range(500, 540), []) == fresh.ask(range(500, 540), [])


def test_it_does_not_wrap_itself():
    inner = wrapped(parego.component, Config())
    with pytest.raises(ConfigurationError) as error:
        ParEgo(Config(inner), problem("flat", BOTH))
    assert str(error.value) == (
        "optimizer.optimizer: 'parego' cannot wrap 'parego': what it wraps sees one objective; name an optimizer of one objective"
    )


def test_other_options_of_what_it_wraps():
    config = regularized_evolution.Config(population=4, sample=2)
    given = problem("flat", BOTH)
    search = ParEgo(Config(wrapped(regularized_evolution.component, config)), given)
    search.tell(sampled(given, 4))
    assert search.ask([10], [])[0].origin.startswith("mutation of ")


def test_too_few_weights():
    with pytest.raises(ValueError, match="'weights' must be >= 2: 1"):
        Config(weights=1)
