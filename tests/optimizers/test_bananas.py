"""BANANAS: the suite, the ensemble against finite differences and a known function, the encoding, and when it learns."""

from __future__ import annotations

import numpy as np
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import problem, sampled
from morphml_optimizers.bananas import Bananas, Config
from morphml_optimizers.ensemble import Encoding, Ensemble, _layers, _slopes
from morphml_optimizers.features import DecisionFeatures, GraphFeatures


class TestBananas(OptimizerSuite):
    trials = 24

    @pytest.fixture
    def make(self):
        return lambda problem: Bananas(Config(initial=6, networks=2, width=4, steps=5, candidates=10), problem)


def test_the_slopes_are_those_of_half_the_mean_squared_error():
    rng = np.random.default_rng(1)
    shapes = [(3, 4, 5), (3, 1, 5), (3, 5, 5), (3, 1, 5), (3, 5, 1), (3, 1, 1)]
    parameters = [rng.standard_normal(shape) for shape in shapes]
    inputs, wanted = rng.standard_normal((3, 7, 4)), rng.standard_normal((3, 7, 1))

    def error():
        return float(((_layers(parameters, inputs)[-1] - wanted) ** 2).mean(axis=1).sum()) / 2

    for values, slope in zip(parameters, _slopes(parameters, inputs, wanted), strict=True):
        assert slope.shape == values.shape
        place = tuple(int(rng.integers(size)) for size in values.shape)
        values[place] += 1e-6
        above = error()
        values[place] -= 2e-6
        below = error()
        values[place] += 1e-6
        assert slope[place] == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-7)


def test_the_ensemble_learns_a_function_and_knows_where_it_has_seen_nothing():
    rng = np.random.default_rng(2)
    rows = rng.uniform(-1, 1, (200, 3))
    targets = rows[:, 0] * rows[:, 1] + 3
    ensemble = Ensemble(5, 32, 300).fit(rows, targets, rng)
    fresh = rng.uniform(-1, 1, (200, 3))
    mean, deviation = ensemble.predict(fresh)
    assert np.sqrt(np.mean((mean - fresh[:, 0] * fresh[:, 1] - 3) ** 2)) < 0.1
    _, far = ensemble.predict(fresh * 10)
    assert far.mean() > 10 * deviation.mean()


def test_equal_rows_and_targets_are_learnt_without_a_warning():
    mean, deviation = (
        Ensemble(2, 4, 10).fit(np.ones((5, 2)), np.ones(5), np.random.default_rng(1)).predict(np.ones((1, 2)))
    )
    assert mean == pytest.approx([1.0], abs=0.2)
    assert np.isfinite(deviation).all()


def test_the_encoding_has_numbers_and_frequent_paths_of_graphs():
    given = problem("cell")
    decisions = DecisionFeatures(given.decisions)
    learnt = [trial.genotype for trial in sampled(given, 60)]
    all_paths, few, none = (
        Encoding(decisions, GraphFeatures(given), learnt, paths).rows(learnt) for paths in (64, 3, 0)
    )
    assert few.shape[1] == none.shape[1] + 3
    assert all_paths.shape[1] > few.shape[1]
    assert none.shape[1] > decisions.rows(learnt).shape[1]
    shares = all_paths[:, none.shape[1] :].mean(axis=0)
    assert (shares > 0.05).all()
    assert list(shares) == sorted(shares, reverse=True)
    assert set(np.unique(all_paths[:, none.shape[1] :])) == {0.0, 1.0}


def test_the_encoding_of_a_space_without_graphs_is_its_decisions():
    given = problem("mixed")
    learnt = [trial.genotype for trial in sampled(given, 20)]
    decisions = DecisionFeatures(given.decisions)
    found = Encoding(decisions, GraphFeatures(given), learnt).rows(learnt)
    assert (found == decisions.rows(learnt)).all()


def test_the_networks_are_trained_at_milestones_only():
    given, counts = problem("flat"), []
    told = sampled(given, 60)
    made = Bananas(Config(initial=10), given)
    models = []
    for trial in told:
        made.tell([trial])
        made.ask([100], [])
        if made._model is not None and made._model[2] not in models:
            models.append(made._model[2])
            counts.append(made._model[0])
    assert counts == [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 33, 36, 39, 42, 46, 50, 55, 60]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"initial": 1}, "'initial' must be >= 2: 1"),
        ({"networks": 1}, "'networks' must be >= 2: 1"),
        ({"width": 0}, "'width' must be >= 1: 0"),
        ({"steps": 0}, "'steps' must be >= 1: 0"),
        ({"incumbents": 0}, "'incumbents' must be >= 1: 0"),
        ({"candidates": 0}, "'candidates' must be >= 1: 0"),
        ({"training": 9}, "'training' must be >= 10: 9"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        Config(**options)
