import ast
import subprocess
import sys

import pytest
from hypothesis import given, settings

torch = pytest.importorskip("torch")

from morphml_core.errors import GraphError, ShapeError
from morphml_core.graph.ir import GraphBuilder
from morphml_core.graph.operations import Signature
from morphml_core.graph.shapes import lower
from morphml_core.operations.tabular import tabular
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks
from morphml_core.torch.build import build
from morphml_core.torch.source import source

VISION = vision()
SMALL = Signature((8, 6, 6), 3)


@settings(max_examples=25, deadline=None)
@given(networks(VISION))
def test_the_source_of_any_network_computes_what_the_network_does(graph):
    try:
        lowered = lower(graph, VISION, SMALL)
    except ShapeError:
        return
    check(lowered)


def check(lowered):
    text = source(lowered)
    scope = {"__name__": "exported"}
    exec(compile(text, "model.py", "exec"), scope)
    network = build(lowered, seed=0)
    copy = scope["Network"]()
    copy.load_state_dict(network.state_dict(), strict=True)
    assert list(copy.state_dict()) == list(network.state_dict())
    x = torch.randn(3, *lowered.signature.shape, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):
        torch.manual_seed(2)
        expected = network.train(mode)(x)
        torch.manual_seed(2)
        assert torch.equal(copy.train(mode)(x), expected)
    modules = [node.names for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [[name.name for name in names] for names in modules] == [["torch"], ["nn"]]


def test_features_and_tokens():
    builder = GraphBuilder()
    x = builder.add("layer_norm", builder.add("input"))
    builder.add("output", builder.add("add", x, builder.add("gelu", builder.add("dense", x, units=12))))
    check(lower(builder.graph(), tabular(), Signature((5,), 2)))
    check(lower(builder.graph(), VISION, Signature((4, 6), 2)))


def test_it_reads_like_hand_written_code_and_runs_where_only_torch_is(tmp_path):
    builder = GraphBuilder()
    x = builder.add("conv", builder.add("input"), channels=4)
    y = builder.add("relu", builder.add("conv", x, channels=4))
    builder.add("conv", y, channels=2)
    builder.add("output", builder.add("add", x, y))
    lowered = lower(builder.graph(), VISION, Signature((1, 8, 8), 10))
    text = source(lowered, "Digits")
    assert text == EXPECTED
    network = build(lowered, seed=0).eval()
    (tmp_path / "model.py").write_text(text)
    x = torch.randn(2, 1, 8, 8)
    torch.save((network.state_dict(), x, network(x)), tmp_path / "weights.pt")
    code = """
import sys, torch, model
weights, x, expected = torch.load("weights.pt")
network = model.Digits().eval()
network.load_state_dict(weights)
assert torch.equal(network(x), expected)
assert not [name for name in sys.modules if name.startswith("morphml")], "imports MorphML"
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", ["two words", "class", "Add", "nn"])
def test_a_class_name_must_be_free(name):
    builder = GraphBuilder()
    builder.add("output", builder.add("add", builder.add("input"), 0))
    with pytest.raises(GraphError) as error:
        source(lower(builder.graph(), VISION, SMALL), name)
    assert (
        str(error.value) == f"the class cannot be named '{name}': that is no name in Python, or is taken; give another"
    )


EXPECTED = '''"""A network made by MorphML: Digits.

Input: (batch, 1, 8, 8).  Output: (batch, 10).
"""

import torch
from torch import nn


class Add(nn.Module):
    """The sum of its inputs, which have one shape."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Shapes: as the inputs."""
        for other in others:
            first = first + other
        return first


class GlobalAveragePool(nn.Module):
    """The mean over some axes."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) or (batch, tokens, width) to (batch, channels)."""
        return x.mean(dim=self.dims) if self.dims else x


class Digits(nn.Module):
    """The network: 7 layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(in_channels=1, out_channels=4, kernel_size=3, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(in_channels=4, out_channels=4, kernel_size=3, padding=1, bias=False)
        self.relu_3 = nn.ReLU()
        self.conv_4 = nn.Conv2d(in_channels=4, out_channels=2, kernel_size=3, padding=1, bias=False)  # not used by forward
        self.add_5 = Add()
        self.global_avg_pool_6 = GlobalAveragePool(dims=(2, 3))
        self.dense_7 = nn.Linear(in_features=4, out_features=10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_1(x)
        x1 = self.conv_2(x)
        x1 = self.relu_3(x1)
        x = self.add_5(x, x1)
        del x1
        x = self.global_avg_pool_6(x)
        x = self.dense_7(x)
        return x
'''
