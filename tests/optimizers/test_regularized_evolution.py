from __future__ import annotations

import pytest

from morphml_core.testing import OptimizerSuite
from morphml_optimizers.regularized_evolution import Config, RegularizedEvolution


class TestRegularizedEvolution(OptimizerSuite):
    @pytest.fixture(params=[Config(8, 3), Config(), Config(4, 2, mutations=3)], ids=["small", "default", "mutations"])
    def make(self, request):
        return lambda problem: RegularizedEvolution(request.param, problem)
