"""The refusal of several objectives by optimizers of one."""

from __future__ import annotations

import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.testing.problems import BOTH, problem
from morphml_optimizers import (
    bananas,
    cma_es,
    differential_evolution,
    gaussian_process,
    hill_climbing,
    pso,
    random_forest,
    reinforce,
    simulated_annealing,
)
from morphml_optimizers.single import single_objective

MODULES = [
    bananas, cma_es, differential_evolution, gaussian_process, hill_climbing, pso, random_forest, reinforce,
    simulated_annealing,
]  # fmt: skip


def test_one_objective_is_fine():
    single_objective(problem("flat"), "climb")


@pytest.mark.parametrize("path", [None, "optimizer.optimizer"])
def test_several_are_refused_at_the_path(path):
    with pytest.raises(ConfigurationError) as error:
        single_objective(problem("flat", BOTH), "climb", *([path] if path else []))
    assert str(error.value) == (
        f"{path or 'optimizer'}: the optimizer 'climb' follows one objective, but there are 2 (accuracy, cost); "
        "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__[19:])
def test_optimizers_of_one_refuse_several(module, made):
    with pytest.raises(ConfigurationError) as error:
        made(module, problem("flat", BOTH))
    assert str(error.value) == (
        f"optimizer: the optimizer '{module.__name__[19:]}' follows one objective, but there are 2 (accuracy, cost); "
        "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
    )
