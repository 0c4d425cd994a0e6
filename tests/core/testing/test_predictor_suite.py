"""`PredictorSuite` holds for a nearest-neighbour predictor, and catches what breaks its promises."""

from __future__ import annotations

import random

import numpy as np
import pytest

from morphml_core.testing import PredictorSuite

from .probe import failing


class NearestNeighbours:
    """The mean and spread of the losses of the three finished trials that are closest in the unit cube."""

    def __init__(self, problem):
        self.problem = problem
        self.places = np.zeros((0, problem.decisions.dimensions))
        self.losses = np.zeros((0, len(problem.objectives)))

    def fit(self, trials):
        known = {trial.genotype: self.problem.losses(trial) for trial in trials}
        known = {genotype: losses for genotype, losses in known.items() if np.isfinite(losses).all()}
        self.places = np.array([self.problem.decisions.encode(g) for g in known]).reshape(
            len(known), self.problem.decisions.dimensions
        )
        self.losses = np.array(list(known.values())).reshape(len(known), len(self.problem.objectives))

    def predict(self, genotypes):
        found = [self.one(genotype) for genotype in genotypes]
        shape = (len(genotypes), len(self.problem.objectives))
        return np.array([m for m, _ in found]).reshape(shape), np.array([s for _, s in found]).reshape(shape)

    def one(self, genotype):
        if not len(self.losses):
            return np.zeros(len(self.problem.objectives)), np.ones(len(self.problem.objectives))
        distance = np.abs(self.places - self.problem.decisions.encode(genotype)).sum(axis=1)
        close = self.losses[np.argsort(distance, kind="stable")[:3]]
        return close.mean(axis=0), close.std(axis=0)


class TestNearestNeighbours(PredictorSuite):
    @pytest.fixture
    def make(self):
        return NearestNeighbours


class Metrics(NearestNeighbours):
    """Predicts metrics where losses are asked."""

    def predict(self, genotypes):
        mean, deviation = super().predict(genotypes)
        return -mean, deviation


class Flat(NearestNeighbours):
    """Forgets the axis of the objectives."""

    def predict(self, genotypes):
        mean, deviation = super().predict(genotypes)
        return mean[:, 0], deviation[:, 0]


class Hoarder(NearestNeighbours):
    """Learns from what it was told in earlier fits too."""

    def __init__(self, problem):
        super().__init__(problem)
        self.all = []

    def fit(self, trials):
        self.all += [trials[-1]] * 2 if trials else []
        super().fit([*self.all, *trials] if len(trials) < 30 else trials)
        self.losses = self.losses + len(self.all)


class Gambler(NearestNeighbours):
    """Draws from the global generator."""

    def one(self, genotype):
        mean, deviation = super().one(genotype)
        return mean + random.random() * 1e-3, deviation


class Crowd(NearestNeighbours):
    """Centres its predictions among those that are asked for together."""

    def predict(self, genotypes):
        mean, deviation = super().predict(genotypes)
        return (mean - mean.mean(axis=0) if len(mean) else mean), deviation


class Fragile(NearestNeighbours):
    """Takes failed trials for measured ones."""

    def fit(self, trials):
        self.places = np.array([self.problem.decisions.encode(t.genotype) for t in trials]).reshape(
            len(trials), -1 if trials else 0
        )
        self.losses = np.array([self.problem.losses(t) for t in trials]).reshape(len(trials), -1 if trials else 0)


class Certain(NearestNeighbours):
    """Has negative deviations."""

    def predict(self, genotypes):
        mean, deviation = super().predict(genotypes)
        return mean, deviation - 0.5


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Metrics, {"it_predicts_losses"}),
        (
            Flat,
            {
                "shapes_and_numbers",
                "several_objectives",
                "nothing_told_yet",
                "failed_and_stopped_trials_among_them",
                "it_predicts_losses",
            },
        ),
        (Hoarder, {"fitting_again_is_fitting_anew"}),
        (Gambler, {"fitting_again_is_fitting_anew", "predicting_changes_nothing", "global_random_state_is_left_alone"}),
        (Crowd, {"predicting_changes_nothing"}),
        (Fragile, {"nothing_told_yet", "failed_and_stopped_trials_among_them"}),
        (
            Certain,
            {
                "shapes_and_numbers",
                "several_objectives",
                "nothing_told_yet",
                "failed_and_stopped_trials_among_them",
                "it_predicts_losses",
            },
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_broken_predictors_are_caught(broken, caught, tmp_path):
    assert failing(PredictorSuite, broken, tmp_path) == caught
