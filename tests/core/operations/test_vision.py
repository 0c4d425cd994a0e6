import pytest

from morphml_core.graph.ir import GraphBuilder
from morphml_core.graph.operations import OperationSet, Signature
from morphml_core.graph.shapes import lower
from morphml_core.operations.vision import Config, component, vision
from morphml_core.testing.operations import Case, OperationsSuite

NAMES = [
    "conv",
    "depthwise_conv",
    "separable_conv",
    "dilated_conv",
    "max_pool",
    "avg_pool",
    "global_avg_pool",
    "flatten",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "hardswish",
    "tanh",
    "sigmoid",
    "dense",
    "dropout",
    "squeeze_excite",
    "attention",
    "factorized_reduce",
    "identity",
    "zero",
    "add",
    "concat",
    "multiply",
    "project",
]


class TestVision(OperationsSuite):
    @pytest.fixture
    def make(self) -> OperationSet:
        return vision()


def test_the_set_has_the_documented_operations():
    made = component.create(Config())
    assert made.name == "vision"
    assert sorted(operation.name for operation in made) == sorted(NAMES)


@pytest.mark.parametrize(
    ("op", "params"),
    [
        ("conv", {"channels": 6, "kernel": 5, "stride": 2, "groups": 2, "bias": True}),
        ("conv", {"channels": 6, "kernel": 3, "dilation": 2}),
        ("conv", {"channels": 6, "kernel": 2, "stride": 2}),
        ("conv", {"channels": 6, "kernel": 1, "stride": 3}),
        ("depthwise_conv", {"kernel": 5, "stride": 2, "dilation": 2, "bias": True}),
        ("separable_conv", {"channels": 3, "kernel": 5, "stride": 2}),
        ("dilated_conv", {"channels": 3, "kernel": 5, "stride": 2, "dilation": 3}),
        ("max_pool", {"kernel": 2, "stride": 2}),
        ("avg_pool", {"kernel": 4, "stride": 3}),
        ("zero", {"stride": 2}),
        ("project", {"channels": 3, "stride": 2}),
        ("squeeze_excite", {"ratio": 100}),
        ("group_norm", {"groups": 4}),
        ("attention", {"heads": 1}),
        ("factorized_reduce", {"channels": 5}),
        ("dense", {"units": 3, "bias": False}),
    ],
)
@pytest.mark.parametrize("size", [9, 12])
def test_shapes_and_costs_agree_with_torch_away_from_the_defaults(op, params, size):
    torch = pytest.importorskip("torch")

    from morphml_core.graph.cost import cost
    from morphml_core.torch.build import build

    builder = GraphBuilder()
    node = builder.add(op, builder.add("input"), **params)
    builder.add("output", node)
    lowered = lower(builder.graph(), vision(), Signature((4, size, size), 2))
    network = build(lowered, seed=0)
    module = next(m for name, m in network.named_children() if name.startswith(op))
    seen = []
    module.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    assert network(torch.randn(2, 4, size, size)).shape == (2, 2)
    assert seen == [next(n.shape for n in lowered.nodes if n.operation.name == op)]
    assert cost(lowered).parameters == sum(p.numel() for p in network.parameters())


def test_flops_are_those_of_torchs_counter():
    """torch counts multiply-adds times two, of matrix products and convolutions."""
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from morphml_core.graph.cost import cost
    from morphml_core.torch.build import build

    builder = GraphBuilder()
    x = builder.add("input")
    x = builder.add("conv", x, channels=8, kernel=5, stride=2, bias=True)
    x = builder.add("batch_norm", x)
    x = builder.add("depthwise_conv", x)
    x = builder.add("separable_conv", x, channels=12)
    x = builder.add("dilated_conv", x, channels=8)
    x = builder.add("conv", x, channels=8, groups=4)
    x = builder.add("factorized_reduce", x, channels=16)
    x = builder.add("squeeze_excite", x)
    x = builder.add("attention", x)
    x = builder.add("project", x, channels=10, stride=2)
    builder.add("output", x)
    lowered = lower(builder.graph(), vision(), Signature((3, 17, 20), 7))
    network = build(lowered, seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(torch.randn(1, 3, 17, 20))
    assert cost(lowered).flops == counter.get_total_flops()


def test_factorized_reduce_sees_every_pixel_of_an_even_and_of_an_odd_image():
    torch = pytest.importorskip("torch")

    from morphml_core.torch.modules import FactorizedReduce

    for size in (1, 4, 5):
        module = FactorizedReduce(1, 2)
        torch.nn.init.ones_(module.even.weight)
        torch.nn.init.ones_(module.odd.weight)
        picture = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
        out = module(picture)
        assert torch.equal(out[0, 0], picture[0, 0, ::2, ::2])
        inner = picture[0, 0, 1::2, 1::2]
        assert torch.equal(out[0, 1, : inner.shape[0], : inner.shape[1]], inner)


@pytest.mark.parametrize(
    ("op", "into", "out"),
    [
        ("conv", {"weight": 1}, None),
        ("project", {"weight": 1}, None),
        ("dilated_conv", {"weight": 1}, None),
        ("separable_conv", {"depthwise.weight": 0, "pointwise.weight": 1}, None),
        ("factorized_reduce", {"even.weight": 1, "odd.weight": 1}, None),
        ("batch_norm", {"weight": 0, "bias": 0}, 1),
        ("layer_norm", {"weight": 0, "bias": 0}, 1),
        ("depthwise_conv", {"weight": 0}, 1),
        ("squeeze_excite", {"squeeze.weight": 1, "excite.weight": 0, "excite.bias": 0}, 1),
    ],
)
def test_weights_absorb_a_permutation_of_the_input_channels_as_channels_claims(op, into, out):
    """`mix`: permuted weights give the same output.  `keep`: they give the output with its channels permuted."""
    torch = pytest.importorskip("torch")

    operation = vision()[op]
    assert operation.channels(operation.complete(dict.fromkeys(operation.required, 6).items())) == (
        "keep" if out else "mix"
    )
    params = operation.complete(dict.fromkeys(operation.required, 6).items())
    inputs = ((8, 6, 6),)
    case = Case(operation, params, inputs, operation.shape(inputs, params))
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    first, second, (x,) = case.module(), case.module(), case.tensors()
    state = second.state_dict()
    for name, axis in into.items():
        state[name] = state[name].index_select(axis, order)
    second.load_state_dict(state)
    expected = first(x) if out is None else first(x)[:, order]
    torch.testing.assert_close(second(x[:, order]), expected)
