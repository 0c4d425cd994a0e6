from __future__ import annotations

import pytest

from morphml_core.testing import OptimizerSuite
from morphml_optimizers.local_search import Config, LocalSearch


class TestLocalSearch(OptimizerSuite):
    @pytest.fixture(params=[1, 10])
    def make(self, request):
        return lambda problem: LocalSearch(Config(request.param), problem)
