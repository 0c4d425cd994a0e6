"""Gaussian process: the suite, the targets, the model against exact values, quality."""

from __future__ import annotations

import math

import numpy as np
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, problem, sampled
from morphml_optimizers.gaussian_process import Config, GaussianProcess
from morphml_optimizers.gp import Hyperparameters, Posterior, fit, half_rank, log_improvement


class TestGaussianProcess(OptimizerSuite):
    trials = 24

    @pytest.fixture
    def make(self):
        return lambda problem: GaussianProcess(Config(initial=6, samples=40, incumbents=3), problem)


def best(given, config, trials=60):
    found = Search(GaussianProcess(config, given), given).run(trials).past()
    return max(trial.metrics["accuracy"] for trial in found)


@pytest.mark.parametrize("acquisition", ["log_ei", "ucb", "thompson"])
@pytest.mark.parametrize("space", ["flat", "mixed"])
def test_each_acquisition_finds_better_than_random_search(acquisition, space):
    random = max(trial.metrics["accuracy"] for trial in sampled(problem(space), 240))
    found = [best(problem(space, seed=seed), Config(acquisition=acquisition)) for seed in range(2)]
    assert np.mean(found) > random


def test_the_posterior_goes_through_what_was_seen_where_there_is_no_noise():
    rng = np.random.default_rng(1)
    rows, targets = rng.random((12, 3)), rng.standard_normal(12)
    groups = np.arange(3)
    posterior = Posterior(rows, targets, groups, Hyperparameters(np.array([0.0, 0.0, 0.0, -20.0])))
    mean, deviation = posterior.predict(rows)
    assert mean == pytest.approx(targets, abs=1e-4)
    assert deviation.max() < 1e-3
    _, far = posterior.predict(np.full((1, 3), 50.0))
    assert far == pytest.approx([1.0])


def test_the_fit_finds_the_column_that_matters():
    rng = np.random.default_rng(2)
    rows = rng.random((60, 3))
    fitted = fit(rows, np.sin(6 * rows[:, 1]), np.arange(3), Hyperparameters.start(3), 40)
    assert fitted.weights.argmax() == 1


def test_half_rank_keeps_distances_of_the_better_half_and_order_of_the_worse():
    found = half_rank([1.0, 2.0, 3.0, 1000.0, math.inf])
    assert found[2] == 0.0
    assert found[1] - found[0] == pytest.approx(found[2] - found[1])
    assert 0 < found[3] < found[4] < 2
    assert list(half_rank([math.inf, math.inf])) == [0.0, 0.0]


def test_log_improvement_is_smooth_far_below():
    values = log_improvement(np.linspace(4, 40, 400), np.ones(400), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"initial": 1}, "'initial' must be >= 2: 1"),
        ({"training": 9}, "'training' must be >= 10: 9"),
        ({"kappa": -0.5}, "'kappa' must be >= 0.0: -0.5"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        Config(**options)
