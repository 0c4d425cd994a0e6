"""Random forest: the suite, the forest against exact values, the climb, what it says without scikit-learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import Search, problem

pytest.importorskip("sklearn", reason="the extra 'models' is not installed")

from morphml_optimizers.forest import Forest
from morphml_optimizers.random_forest import Climb, Config, RandomForest


class TestRandomForest(OptimizerSuite):
    trials = 20

    @pytest.fixture
    def make(self):
        return lambda problem: RandomForest(Config(initial=6, samples=20, starts=2, trees=4, candidates=100), problem)


def test_the_suite_holds_with_random_proposals_between():
    given = problem("flat")
    made = RandomForest(Config(initial=4, random=0.5), given)
    proposals = Search(made, given).run(60).proposals.values()
    origins = [proposal.origin for proposal in proposals]
    assert origins[:4] == ["start"] * 4
    assert 15 <= origins.count("random") <= 40
    assert origins.count("random") + origins.count("model") == 56


def test_the_first_genotypes_are_spread_evenly():
    given = problem("flat")
    proposals = RandomForest(Config(initial=20), given).ask(range(20), [])
    for index in range(6):
        counts = [sum(proposal.genotype.slots[index] == value for proposal in proposals) for value in "abcde"]
        assert min(counts) >= 2


def test_a_forest_knows_where_it_is_sure():
    rng = np.random.default_rng(1)
    rows = rng.random((200, 2))
    targets = np.where(rows[:, 0] < 0.5, 1.0, np.where(rng.random(200) < 0.5, 4.0, 8.0))
    mean, deviation = Forest(20, 1.0).fit(rows, targets, rng).predict(np.array([[0.2, 0.5], [0.8, 0.5]]))
    assert mean[0] == pytest.approx(1.0)
    assert deviation[0] == pytest.approx(0.0)
    assert 4.0 < mean[1] < 8.0
    assert 1.0 < deviation[1] <= 2.1


def test_the_deviation_is_the_total_one():
    """Equal rows end in one leaf: the mean of a bootstrap sample, and what is left within, together have the variance of all."""
    targets = np.arange(400) % 2.0
    mean, deviation = (
        Forest(400, 1.0).fit(np.zeros((400, 1)), targets, np.random.default_rng(1)).predict(np.zeros((1, 1)))
    )
    assert mean == pytest.approx([0.5], abs=0.01)
    assert deviation**2 == pytest.approx([0.25], abs=0.001)


def test_the_climb_reaches_the_top_and_looks_once_at_each():
    given, asked = problem("flat"), []

    def values(genotypes):
        asked.extend(genotypes)
        return np.array([sum("abcde".index(slot) for slot in genotype.slots) for genotype in genotypes], float)

    climb = Climb(given.decisions, values, np.random.default_rng(1))
    climb.climb([given.decisions.decode([0.0] * 6)], 10_000)
    assert climb.ranked()[0] == given.decisions.decode([1.0] * 6)
    assert len(set(asked)) == len(asked)


def test_the_climb_stops_where_it_is_told_to():
    given = problem("flat")
    climb = Climb(given.decisions, lambda genotypes: np.arange(len(genotypes), dtype=float), np.random.default_rng(1))
    climb.climb([given.decisions.decode([0.0] * 6)], 1)
    assert len(climb.ranked()) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"initial": 1}, "'initial' must be >= 2: 1"),
        ({"trees": 1}, "'trees' must be >= 2: 1"),
        ({"features": 0.0}, "'features' must be > 0.0: 0.0"),
        ({"features": 1.5}, "'features' must be <= 1.0: 1.5"),
        ({"random": -0.1}, "'random' must be >= 0.0: -0.1"),
        ({"random": 1.1}, "'random' must be <= 1.0: 1.1"),
        ({"starts": 0}, "'starts' must be >= 1: 0"),
        ({"samples": 0}, "'samples' must be >= 1: 0"),
        ({"candidates": 0}, "'candidates' must be >= 1: 0"),
        ({"training": 9}, "'training' must be >= 10: 9"),
    ],
)
def test_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        Config(**options)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    with pytest.raises(ConfigurationError) as caught:
        RandomForest(Config(), problem("flat"))
    assert str(caught.value) == (
        "optimizer: the optimizer 'random_forest' needs scikit-learn, which is not installed; "
        "pip install 'morphml-optimizers[models]'"
    )
