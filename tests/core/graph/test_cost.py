from morphml_core.graph.cost import cost, known_metrics
from morphml_core.graph.ir import GraphBuilder
from morphml_core.graph.operations import Cost, Signature
from morphml_core.graph.shapes import lower
from morphml_core.operations.tabular import tabular
from morphml_core.operations.vision import vision


def test_costs_add_up():
    assert Cost(1, 2, 3) + Cost(10, 20, 30) == Cost(11, 22, 33)


def test_a_network_worked_out_by_hand():
    builder = GraphBuilder()
    x = builder.add("input")
    x = builder.add("conv", x, channels=4, stride=2)  # 3x8x8 to 4x4x4
    x = builder.add("batch_norm", x)
    x = builder.add("identity", builder.add("relu", x))
    builder.add("output", x)
    lowered = lower(builder.graph(), vision(), Signature((3, 8, 8), 5))
    convolution = 4 * 3 * 9
    assert cost(lowered) == Cost(
        parameters=convolution + 2 * 4 + (4 * 5 + 5),
        flops=2 * convolution * 16 + 2 * 4 * 5,
        activations=3 * 4 * 16 + 4 + 5,
    )
    assert known_metrics(lowered) == {
        "parameters": 108 + 8 + 25,
        "flops": 3456 + 40,
        "activation_memory": 4 * (192 + 9),
    }


def test_a_dense_network_on_tokens():
    builder = GraphBuilder()
    builder.add("output", builder.add("dense", builder.add("input"), units=6, bias=False))
    lowered = lower(builder.graph(), tabular(), Signature((7, 3), 2))
    assert cost(lowered) == Cost(parameters=18 + 14, flops=2 * 7 * 18 + 2 * 12, activations=42 + 6 + 2)
