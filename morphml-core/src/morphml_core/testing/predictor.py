"""What every predictor promises: `PredictorSuite`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morphml_core.problem import Objective, Problem, Proposal, Trial
from morphml_core.protocols import Predictor
from morphml_core.space.decisions import Genotype
from morphml_core.testing.problems import BOTH, SPACES, failed, problem, sampled, stopped

Make = Callable[[Problem], Predictor]

every_space = pytest.mark.parametrize("space", sorted(SPACES))


class PredictorSuite:
    """Tests of one predictor.  Give it a fixture `make` that returns a function from a `Problem` to the predictor.

    `agreement` is the rank correlation that its means must reach with the true losses of new genotypes, after `trials` trials of a smooth function.
    `tolerance` is how far two predictions that should be equal may be apart (relative, and absolute).
    """

    trials = 40
    agreement = 0.4
    tolerance = 1e-6

    @pytest.fixture
    def make(self) -> Make:
        """A function from a problem to the predictor."""
        raise NotImplementedError("a PredictorSuite needs a fixture 'make' that returns a function of (problem)")

    @every_space
    def test_shapes_and_numbers(self, make: Make, space: str) -> None:
        """Two arrays of (genotypes, objectives), finite, no deviation below zero; also for one genotype and for none."""
        given = problem(space)
        predictor = make(given)
        predictor.fit(sampled(given, self.trials))
        for count in (0, 1, 7):
            _predict(predictor, _genotypes(given, count), 1)

    def test_several_objectives(self, make: Make) -> None:
        """A column for each objective, in their order."""
        given = problem("flat", BOTH)
        predictor = make(given)
        predictor.fit(sampled(given, self.trials))
        mean, _ = _predict(predictor, _genotypes(given, 9), 2)
        assert not np.allclose(mean[:, 0], mean[:, 1]), "accuracy and cost have the same predictions"

    @every_space
    def test_nothing_told_yet(self, make: Make, space: str) -> None:
        """Before the first fit, and after fits without a finished trial, predictions are a guess, not a crash."""
        given = problem(space)
        predictor = make(given)
        genotypes = _genotypes(given, 3)
        _predict(predictor, genotypes, 1)
        predictor.fit([])
        _predict(predictor, genotypes, 1)
        predictor.fit([failed(given, number, Proposal(genotype)) for number, genotype in enumerate(genotypes)])
        _predict(predictor, genotypes, 1)
        predictor.fit(sampled(given, 1))
        _predict(predictor, genotypes, 1)

    @every_space
    def test_failed_and_stopped_trials_among_them(self, make: Make, space: str) -> None:
        """Failures and repeated genotypes are part of a past."""
        given = problem(space)
        past = sampled(given, self.trials)
        extra = [failed(given, 900, Proposal(past[0].genotype)), stopped(given, 901, Proposal(past[1].genotype))]
        predictor = make(given)
        predictor.fit([*past, *extra, *past[:3]])
        _predict(predictor, [past[0].genotype, past[1].genotype, *_genotypes(given, 4)], 1)

    @every_space
    def test_fitting_again_is_fitting_anew(self, make: Make, space: str) -> None:
        """`fit` is called with all trials each time: only the last call counts."""
        given = problem(space)
        past, genotypes = sampled(given, self.trials), _genotypes(given, 6)
        again, anew = make(given), make(problem(space))
        again.fit(past[: self.trials // 2])
        again.predict(genotypes)
        again.fit(past)
        anew.fit(past)
        self._equal(again.predict(genotypes), anew.predict(genotypes))

    @every_space
    def test_predicting_changes_nothing(self, make: Make, space: str) -> None:
        """The same genotype has the same prediction, alone, in company and in another order."""
        given = problem(space)
        predictor = make(given)
        predictor.fit(sampled(given, self.trials))
        genotypes = _genotypes(given, 6)
        together = predictor.predict(genotypes)
        self._equal(together, predictor.predict(genotypes))
        mean, deviation = predictor.predict(genotypes[::-1])
        self._equal(together, (mean[::-1], deviation[::-1]))
        alone = [predictor.predict([genotype]) for genotype in genotypes]
        self._equal(together, (np.concatenate([m for m, _ in alone]), np.concatenate([d for _, d in alone])))

    def test_it_predicts_losses(self, make: Make) -> None:
        """Better genotypes have smaller means, whether the metric is maximized or minimized."""
        for objectives in ([Objective("accuracy")], [Objective("loss", "minimize")]):
            given = problem("mixed", objectives)
            predictor = make(given)
            predictor.fit(sampled(given, self.trials))
            new = _unlike(given, 60)
            mean, _ = _predict(predictor, [trial.genotype for trial in new], 1)
            agreement = _rank_correlation(mean[:, 0], np.array([given.losses(trial)[0] for trial in new]))
            assert agreement >= self.agreement, f"the rank correlation with the true losses is {agreement:.2f}"

    def test_global_random_state_is_left_alone(self, make: Make) -> None:
        """Global generators are neither used nor seeded."""
        found = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
            before = str((random.getstate(), np.random.get_state(legacy=False)))  # noqa: NPY002
            given = problem("mixed")
            predictor = make(given)
            predictor.fit(sampled(given, self.trials))
            found.append(predictor.predict(_genotypes(given, 5)))
            after = str((random.getstate(), np.random.get_state(legacy=False)))  # noqa: NPY002
            assert before == after, "a global generator was used"
        self._equal(found[0], found[1])

    def _equal(self, first: tuple[Any, Any], second: tuple[Any, Any]) -> None:
        for one, other in zip(first, second, strict=True):
            np.testing.assert_allclose(one, other, rtol=self.tolerance, atol=self.tolerance)


def _predict(
    predictor: Predictor, genotypes: Sequence[Genotype], objectives: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = predictor.predict(genotypes)
    for name, found in (("mean", mean), ("standard deviation", deviation)):
        assert isinstance(found, np.ndarray), f"the {name} is a {type(found).__name__}, not an array"
        shape = (len(genotypes), objectives)
        assert found.shape == shape, f"the {name} has the shape {found.shape}, but {shape} was asked"
        assert np.isfinite(found).all(), f"the {name} is not finite everywhere"
    assert (deviation >= 0).all(), "a standard deviation is below zero"
    return mean, deviation


def _genotypes(given: Problem, count: int) -> list[Genotype]:
    return [given.sample(given.rng(number, stream=3)) for number in range(count)]


def _unlike(given: Problem, count: int) -> list[Trial]:
    return sampled(given, 200 + count)[200:]


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's, 0.0 where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float) for values in (first, second)]
    return float(np.corrcoef(np.stack(ranks))[0, 1])
