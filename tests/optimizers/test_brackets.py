"""What hyperband, bohb and dehb have in common: how many brackets there can be, and that the two that learn find more."""

from __future__ import annotations

import statistics

import attrs
import numpy as np
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.testing.problems import Search, finished, problem
from morphml_optimizers import bohb, dehb, hyperband


def named(value):
    return getattr(value, "__name__", str(value)).rpartition(".")[2]


def noisy(given, number, proposal):
    """A result whose error falls with the epochs."""
    trial = finished(given, number, proposal)
    noise = float(np.random.default_rng(number).normal()) * 0.05 / proposal.budget.epochs
    return attrs.evolve(trial, metrics={**trial.metrics, "accuracy": trial.metrics["accuracy"] + noise})


@pytest.mark.parametrize(
    ("module", "space", "count", "bound"),
    [
        (bohb, "flat", 150, lambda accuracy: accuracy + 0.005),
        (dehb, "mixed", 400, lambda accuracy: 1.0 - 0.9 * (1.0 - accuracy)),
    ],
    ids=["bohb", "dehb"],
)
def test_it_finds_more_than_hyperband(module, space, count, bound, made, with_epochs):
    found = []
    for one in (hyperband, module):
        scores = []
        for seed in range(6):
            given = with_epochs(problem(space, seed=seed))
            trials = Search(made(one, given), given, 4, noisy).run(count).past()
            best = min((trial for trial in trials if trial.budget.epochs == 9), key=given.rank_key)
            scores.append(finished(given, 0, best).metrics["accuracy"])
        found.append(statistics.fmean(scores))
    assert found[1] > bound(found[0])


@pytest.mark.parametrize(("module", "brackets"), [(hyperband, 4), (bohb, 5), (dehb, 5)], ids=named)
def test_more_brackets_than_budgets(module, brackets, made, with_epochs):
    with pytest.raises(ConfigurationError) as error:
        made(module, with_epochs(problem("flat")), brackets=brackets)
    assert str(error.value) == (
        f"optimizer.brackets: optimizer '{named(module)}': 'brackets' is {brackets}, "
        "but there are 3 budgets (1, 3, 9); give at most 3"
    )
