import pytest

from morphml_core.graph.operations import OperationSet
from morphml_core.operations.tabular import Config, component, tabular
from morphml_core.testing.operations import OperationsSuite


class TestTabular(OperationsSuite):
    @pytest.fixture
    def make(self) -> OperationSet:
        return tabular()


def test_the_set_has_the_documented_operations():
    made = component.create(Config())
    assert made.name == "tabular"
    expected = """dense batch_norm layer_norm relu gelu silu tanh sigmoid elu leaky_relu dropout identity zero add concat project
        flatten global_avg_pool"""
    assert sorted(operation.name for operation in made) == sorted(expected.split())
