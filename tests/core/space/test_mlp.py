import numpy as np
import pytest

from morphml_core.errors import SpaceError
from morphml_core.graph.operations import Signature
from morphml_core.graph.shapes import lower
from morphml_core.space.mlp import Config, create


def test_decisions():
    space = create(Config(depth=(1, 2)))
    assert [(d.path, d.when) for d in space.decisions.decisions] == [
        ("norm", ()),
        ("activation", ()),
        ("dropout", ()),
        ("depth", ()),
        ("layer1.units", ()),
        ("layer1.residual", ()),
        ("layer2.units", (2,)),
        ("layer2.residual", (2,)),
    ]
    assert "layer1.residual" not in [d.path for d in create(Config(residual=False)).decisions.decisions]


def test_the_network():
    space = create(Config(depth=(2, 2), norms=("layer_norm",), activations=("gelu",), dropout=(0.0, 0.0)))
    values = {"norm": "layer_norm", "activation": "gelu", "dropout": 0.0, "depth": 2}
    values |= {"layer1.units": 16, "layer1.residual": False, "layer2.units": 16, "layer2.residual": True}
    candidate = space.express(space.decisions.genotype(values))
    assert [node.op for node in candidate.graph.nodes] == [
        "input", "dense", "layer_norm", "gelu", "dense", "layer_norm", "gelu", "add", "output",
    ]  # fmt: skip


def test_the_network_runs():
    torch = pytest.importorskip("torch")
    from morphml_core.torch.build import build

    space, rng = create(Config()), np.random.default_rng(1)
    for _ in range(5):
        graph = space.express(space.decisions.sample(rng)).graph
        with torch.no_grad():
            assert build(lower(graph, space.operations, Signature((7,), 3))).eval()(torch.zeros(2, 7)).shape == (2, 3)


def test_all_that_is_wrong_is_said_at_once():
    config = Config(depth=(0, 1), units=(9, 8), norms=("conv",), activations=(), dropout=(0.0, 1.0))
    with pytest.raises(SpaceError) as caught:
        create(config)
    assert str(caught.value).splitlines() == [
        "depth: 0 to 1 is no range; write [fewest, most], from 1 on",
        "units: 9 to 8 is no range; write [fewest, most], from 1 on",
        "dropout: 0.0 to 1.0 is no range of rates; write [lowest, highest], from 0 to below 1",
        "norms: 'conv' is unknown; there are batch_norm, identity, layer_norm",
        "activations: the list is empty; give it at least one value",
    ]
