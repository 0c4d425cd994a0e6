"""NSGA-II: the suite; test_steady.py has what it shares with others."""

from __future__ import annotations

import pytest

from morphml_core.testing import OptimizerSuite
from morphml_optimizers.nsga2 import Config, Nsga2


class TestNsga2(OptimizerSuite):
    @pytest.fixture(params=[Config(6), Config(), Config(8, crossover=0.5)], ids=["small", "default", "two parents"])
    def make(self, request):
        return lambda problem: Nsga2(request.param, problem)
