import numpy as np
import pytest

from morphml_core.errors import SpaceError
from morphml_core.graph.operations import Signature
from morphml_core.graph.shapes import lower
from morphml_core.space.cnn import Config, create


def only(**values):
    """A space in which all but what is given is fixed."""
    fixed = {
        "stages": (1, 1), "depth": (1, 1), "widths": (8,), "kernels": (3,), "blocks": ("conv",), "activations": ("relu",),
        "expansions": (2,), "downsampling": ("max_pool",), "dropout": (0.0, 0.0),
    }  # fmt: skip
    return create(Config(**(fixed | values)))


def drawn(space):
    genotype = space.decisions.sample(np.random.default_rng(0))
    nodes = space.raw_graph(genotype).nodes
    return " ".join(f"{node.op}{list(node.inputs)}" for node in nodes)


STEM = "input[] conv[0] batch_norm[1] relu[2]"


def test_kinds_of_block():
    assert drawn(only()) == f"{STEM} conv[3] batch_norm[4] relu[5] dropout[6] output[7]"
    assert drawn(only(blocks=("separable",))) == f"{STEM} separable_conv[3] batch_norm[4] relu[5] dropout[6] output[7]"
    assert drawn(only(blocks=("residual",))) == (
        f"{STEM} conv[3] batch_norm[4] relu[5] conv[6] batch_norm[7] add[3, 8] relu[9] dropout[10] output[11]"
    )
    assert drawn(only(blocks=("inverted_residual",))) == (
        f"{STEM} conv[3] batch_norm[4] relu[5] depthwise_conv[6] batch_norm[7] relu[8] conv[9] batch_norm[10] add[3, 11] "
        "dropout[12] output[13]"
    )


def test_downsampling():
    pooled = only(stages=(2, 2))
    assert "relu[6] max_pool[6] conv[7]" in drawn(pooled).replace("relu[5]", "relu[6]")
    strided = only(stages=(2, 2), downsampling=("stride",))
    graph = strided.raw_graph(strided.decisions.sample(np.random.default_rng(0)))
    assert [node.param("stride") for node in graph.nodes if node.op == "conv"] == [1, 1, 2]


def test_decisions_depend_on_the_number_of_stages_and_blocks():
    space = create(Config(stages=(1, 2), depth=(1, 2), blocks=("conv", "inverted_residual")))
    found = {d.path: (d.parent, d.when) for d in space.decisions.decisions}
    assert found["stage1.depth"] == (None, ())
    assert found["stage1.block2.kind"] == ("stage1.depth", (2,))
    assert found["stage2.channels"] == found["stage2.block1.kind"] == ("stages", (2,))
    assert found["stage2.block2.kernel"] == ("stage2.depth", (2,))
    assert found["stage2.block2.expansion"] == ("stage2.block2.kind", ("inverted_residual",))
    assert "stage1.downsample" not in found


@pytest.mark.parametrize(
    "signature", [Signature((1, 8, 8), 10), Signature((1, 28, 28), 10), Signature((3, 32, 32), 10)]
)
def test_every_sample_fits_small_images(signature):
    space, rng = create(Config()), np.random.default_rng(0)
    for _ in range(30):
        lower(space.express(space.decisions.sample(rng)).graph, space.operations, signature)


def test_hyperparameters_are_searched_with_it():
    space = create(Config(hyperparameters={"learning_rate": {"real": [1e-3, 1e-1], "log": True}, "batch_size": 64}))
    candidate = space.express(space.decisions.sample(np.random.default_rng(0)))
    assert set(candidate.hyperparameters) == {"learning_rate", "batch_size"}


def test_the_network_runs():
    torch = pytest.importorskip("torch")
    from morphml_core.torch.build import build

    space, rng = create(Config()), np.random.default_rng(1)
    for _ in range(5):
        graph = space.express(space.decisions.sample(rng)).graph
        with torch.no_grad():
            assert build(lower(graph, space.operations, Signature((1, 8, 8), 10))).eval()(
                torch.zeros(2, 1, 8, 8)
            ).shape == (2, 10)


def test_all_that_is_wrong_is_said_at_once():
    config = Config(
        stages=(0, 1), depth=(2, 1), widths=(0,), kernels=(3, 4), blocks=("convv",), norms=(), activations=("relux",),
        downsampling=("pool",), dropout=(0.5, 1.0), hyperparameters={"a": {"real": [1]}},
    )  # fmt: skip
    with pytest.raises(SpaceError) as caught:
        create(config)
    assert str(caught.value).splitlines() == [
        "stages: 0 to 1 is no range; write [fewest, most], from 1 on",
        "depth: 2 to 1 is no range; write [fewest, most], from 1 on",
        "dropout: 0.5 to 1.0 is no range of rates; write [lowest, highest], from 0 to below 1",
        "widths: 0 is not a whole number from 1 on",
        "blocks: 'convv' is unknown; did you mean 'conv'?",
        "norms: the list is empty; give it at least one value",
        "activations: 'relux' is unknown; did you mean 'relu'?",
        "downsampling: 'pool' is unknown; did you mean 'max_pool'?",
        "kernels: 4 is even; kernels are odd, so that sizes stay",
        "hyperparameters.a: real needs [low, high], but got [1]",
    ]


def test_values_that_are_there_twice():
    with pytest.raises(SpaceError) as caught:
        create(Config(widths=(8, 8)))
    assert str(caught.value) == "widths: 8 is there twice; values are distinct"
