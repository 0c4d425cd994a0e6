"""The refusal of several objectives by optimizers of one."""

from __future__ import annotations

import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.testing.problems import BOTH, problem
from morphml_optimizers.single import single_objective


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
