"""What tests of several optimizers use: any of them by its module, and problems whose trials have epochs."""

from __future__ import annotations

import pytest

from morphml_core.problem import Budget

NEEDS = {"cma_es": "cmaes", "random_forest": "sklearn"}


@pytest.fixture
def made():
    """Makes the optimizer of a module for a problem; skips the test where a package that it needs is missing."""

    def make(module, given, **options):
        name = module.__name__.rpartition(".")[2]
        if name in NEEDS:
            pytest.importorskip(NEEDS[name], reason=f"needs {NEEDS[name]}")
        return module.component.create(module.Config(**options), given)

    return make


@pytest.fixture
def with_epochs():
    """Gives a problem the epochs of a full evaluation, unless it has some."""

    def give(given, epochs=9):
        if given.budget.epochs is None:
            given.budget = Budget(epochs)
        return given

    return give
