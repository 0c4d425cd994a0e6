"""Errors cross process boundaries whole."""

from __future__ import annotations

import pickle

import pytest

from morphml_core.errors import Complaint, ConfigurationError, EvaluationError, HeldError, ShapeError
from morphml_core.problem import Cause


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError([Complaint("a.yaml:3", "one"), Complaint("", "two")]),
        ShapeError(3, "conv", "it does not fit"),
        EvaluationError(Cause.INVALID, "no row"),
        HeldError("another holds it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_pickled_errors_are_equal(error):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
