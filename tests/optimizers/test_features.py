"""Columns of decisions: the same for a genotype whatever was asked before."""

from __future__ import annotations

import numpy as np

from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_optimizers.features import DecisionFeatures

SPACE = DecisionSpace(
    [
        Decision("kind", Choice(("a", "b"))),
        Decision("rate", Real(1e-5, 1.0, log=True), "kind", ("a",)),
        Decision("size", Integer(1, 9)),
        Decision("parts", Subset(("p", "q"))),
    ]
)


def test_a_choice_has_a_column_a_value_and_inactive_slots_their_own():
    features = DecisionFeatures(SPACE)
    (row,) = features.rows([SPACE.genotype({"kind": "b", "size": 5, "parts": ["q"]})])
    assert row.tolist() == [0.0, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0, 0.125, 0.375, 0.0]
    assert features.groups.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]


def test_rows_do_not_depend_on_what_was_asked_before():
    rng = np.random.default_rng(0)
    genotypes = [SPACE.sample(rng) for _ in range(6000)]
    features = DecisionFeatures(SPACE)
    at_once = features.rows(genotypes)
    for start in range(0, 6000, 1000):
        alone = DecisionFeatures(SPACE).rows(genotypes[start : start + 5])
        assert np.array_equal(at_once[start : start + 5], alone)
        assert np.array_equal(features.rows(genotypes[start : start + 5]), alone)
