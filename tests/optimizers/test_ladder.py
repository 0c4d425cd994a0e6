"""The rungs: how they are made from the options, and what is said where these do not fit."""

from __future__ import annotations

import pytest
from hypothesis import given as given_values
from hypothesis import strategies

from morphml_core.errors import ConfigurationError
from morphml_core.problem import Budget, Trial
from morphml_core.testing.problems import problem
from morphml_optimizers.ladder import Fidelity, ladder


def made(full, **options):
    found = problem("small")
    found.budget = Budget(full, 0.5)
    return ladder(Fidelity(**options), found, "asha")


@pytest.mark.parametrize(
    ("full", "options", "expected"),
    [
        (81, {}, (1, 3, 9, 27, 81)),
        (50, {}, (2, 6, 17, 50)),
        (50, {"minimum": 3}, (6, 17, 50)),
        (50, {"reduction": 2, "minimum": 5}, (6, 12, 25, 50)),
        (200, {"maximum": 27, "minimum": 9}, (9, 27)),
        (None, {"maximum": 4, "reduction": 4}, (1, 4)),
        (200, {"budgets": [12, 200]}, (12, 200)),
        (None, {"budgets": [1, 2, 7]}, (1, 2, 7)),
    ],
)
def test_the_rungs(full, options, expected):
    assert made(full, **options).epochs == expected


@given_values(strategies.integers(2, 5000), strategies.integers(2, 10), strategies.integers(1, 100))
def test_rungs_grow_from_the_minimum_to_the_maximum(full, reduction, minimum):
    if minimum * reduction > full:
        return
    epochs = made(full, reduction=reduction, minimum=minimum).epochs
    assert epochs[-1] == full
    assert epochs[0] >= minimum
    assert list(epochs) == sorted(set(epochs))
    assert full < minimum * reduction ** len(epochs)


def test_budgets_and_rungs_of_trials():
    found = made(9)
    assert found.budget(1) == Budget(3, 0.5)
    trials = [Trial(0, (), budget=budget) for budget in (Budget(1, 0.5), Budget(None, 0.5), Budget(9), Budget(2, 0.5))]
    assert [found.rung(trial) for trial in trials] == [0, 2, None, None]
    assert made(None, maximum=9).rung(trials[1]) is None


REFUSED = [
    (
        None, {},
        ("maximum: optimizer 'asha': 'maximum' is not set, and the evaluator knows no epochs, of which trials could get more or fewer; "
        "set the evaluator's option 'epochs', or 'maximum'"),
    ),
    (20, {"maximum": 30}, "maximum: optimizer 'asha': 'maximum' goes up to 30 epochs, but a full evaluation has 20; give at most that"),
    (20, {"minimum": 21}, "minimum: optimizer 'asha': 'minimum' is 21 epochs, but the largest budget is 20; give less than that"),
    (
        20, {"minimum": 10},
        ("minimum: optimizer 'asha': there would be one budget only: a full evaluation has 20 epochs, and divided by 'reduction' (3) that is 6.67, "
        "less than 'minimum' (10); make one of these two smaller, or give more epochs"),
    ),
    (
        20, {"maximum": 2},
        ("maximum: optimizer 'asha': there would be one budget only: 'maximum' is 2 epochs, and divided by 'reduction' (3) that is 0.667, "
        "less than 'minimum' (1); make one of these two smaller, or give more epochs"),
    ),
    (
        2, {},
        ("reduction: optimizer 'asha': there would be one budget only: a full evaluation has 2 epochs, and divided by 'reduction' (3) that is 0.667, "
        "less than 'minimum' (1); make one of these two smaller, or give more epochs"),
    ),
    (
        20, {"budgets": [2, 20], "minimum": 1},
        "budgets: optimizer 'asha': 'budgets' names every budget, so 'minimum' and 'maximum' cannot be there too; remove them, or 'budgets'",
    ),
    (20, {"budgets": [2, 30]}, "budgets: optimizer 'asha': 'budgets' goes up to 30 epochs, but a full evaluation has 20; give at most that"),
    *(
        (
            20, {"budgets": budgets},
            f"budgets: optimizer 'asha': 'budgets' must be two or more numbers of epochs, each greater than the one before, but is {budgets}",
        )
        for budgets in ([20], [5, 5], [9, 3], [0, 4])
    ),
]  # fmt: skip


@pytest.mark.parametrize(("full", "options", "expected"), REFUSED)
def test_what_does_not_fit(full, options, expected):
    with pytest.raises(ConfigurationError) as error:
        made(full, **options)
    assert str(error.value) == f"optimizer.{expected}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"reduction": 1}, "'reduction' must be >= 2: 1"),
        ({"minimum": 0}, "'minimum' must be >= 1: 0"),
        ({"maximum": 0}, "'maximum' must be >= 1: 0"),
    ],
)
def test_options_out_of_their_range(options, expected):
    with pytest.raises(ValueError, match=expected):
        Fidelity(**options)
