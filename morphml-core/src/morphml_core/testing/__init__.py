"""Conformance suites: one pytest class for each kind of component.

    from morphml_core.testing import OptimizerSuite

    class TestHillClimb(OptimizerSuite):
        @pytest.fixture
        def make(self):
            return lambda problem: HillClimb(Config(), problem)

Each asserts what `morphml_core.protocols` and the architecture promise of its kind.  They need the extra
`morphml-core[testing]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morphml_core.testing.artifacts import ArtifactsSuite
    from morphml_core.testing.cache import CacheSuite
    from morphml_core.testing.dataset import DatasetSuite
    from morphml_core.testing.evaluator import EvaluatorSuite
    from morphml_core.testing.executor import ExecutorSuite
    from morphml_core.testing.operations import OperationsSuite
    from morphml_core.testing.optimizer import OptimizerSuite
    from morphml_core.testing.predictor import PredictorSuite
    from morphml_core.testing.scheduler import SchedulerSuite
    from morphml_core.testing.space import SpaceSuite
    from morphml_core.testing.stopper import StopperSuite
    from morphml_core.testing.storage import StorageSuite

__all__ = [
    "ArtifactsSuite",
    "CacheSuite",
    "DatasetSuite",
    "EvaluatorSuite",
    "ExecutorSuite",
    "OperationsSuite",
    "OptimizerSuite",
    "PredictorSuite",
    "SchedulerSuite",
    "SpaceSuite",
    "StopperSuite",
    "StorageSuite",
]


def __getattr__(name: str) -> Any:
    # Suites are imported one by one: that of one kind must not need what another kind needs.
    if name in __all__:
        module = importlib.import_module(f"morphml_core.testing.{name.removesuffix('Suite').lower()}")
        return getattr(module, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return list(__all__)
