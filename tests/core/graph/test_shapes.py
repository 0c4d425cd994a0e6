import pytest
from hypothesis import given, settings

from morphml_core.errors import GraphError, ShapeError
from morphml_core.graph.canonical import effective
from morphml_core.graph.cost import cost
from morphml_core.graph.ir import Graph, GraphBuilder, Node
from morphml_core.graph.operations import Operation, OperationSet, Signature
from morphml_core.graph.shapes import lower
from morphml_core.operations.tabular import tabular
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks

VISION = vision()
IMAGE = Signature((8, 12, 12), 10)


def network(write):
    builder = GraphBuilder()
    found = write(builder, builder.add("input"))
    builder.add("output", *(found if isinstance(found, tuple) else (found,)))
    return builder.graph()


def steps(lowered):
    """Each live node as (operation, inputs, shape)."""
    return [(node.operation.name, node.inputs, node.shape) for node in lowered.nodes if node.live]


def lowered(write, signature=IMAGE, operations=VISION):
    return lower(network(write), operations, signature)


def refused(write, signature=IMAGE, operations=VISION):
    with pytest.raises(ShapeError) as error:
        lowered(write, signature, operations)
    return error.value


def test_output_becomes_a_mean_and_a_dense_layer():
    assert steps(lowered(lambda b, x: x)) == [
        ("input", (), (8, 12, 12)), ("global_avg_pool", (0,), (8,)), ("dense", (1,), (10,)),
    ]  # fmt: skip
    assert steps(lowered(lambda b, x: x, Signature((7, 16), 3))) == [
        ("input", (), (7, 16)), ("global_avg_pool", (0,), (16,)), ("dense", (1,), (3,)),
    ]  # fmt: skip
    assert steps(lowered(lambda b, x: x, Signature((16,), 1), tabular())) == [
        ("input", (), (16,)), ("dense", (0,), (1,)),
    ]  # fmt: skip


def test_several_inputs_of_a_one_input_operation_are_added():
    found = lowered(lambda b, x: b.add("relu", x, b.add("conv", x, channels=8)))
    assert steps(found)[1:4] == [("conv", (0,), (8, 12, 12)), ("add", (0, 1), (8, 12, 12)), ("relu", (2,), (8, 12, 12))]
    assert found.nodes[2].origin == found.nodes[3].origin == 2


def test_a_sum_is_projected_to_the_most_channels_and_the_smallest_size():
    found = lowered(lambda b, x: b.add("add", x, b.add("conv", x, channels=16), b.add("max_pool", x, stride=2)))
    assert steps(found)[3:7] == [
        ("project", (0,), (16, 6, 6)),
        ("project", (1,), (16, 6, 6)),
        ("project", (2,), (16, 6, 6)),
        ("add", (3, 4, 5), (16, 6, 6)),
    ]
    assert [dict(node.params) for node in found.nodes[3:6]] == [
        {"channels": 16, "stride": 2}, {"channels": 16, "stride": 2}, {"channels": 16, "stride": 1},
    ]  # fmt: skip


def test_an_odd_size_is_halved_rounding_up_as_convolutions_do():
    found = lowered(lambda b, x: b.add("add", x, b.add("conv", x, channels=8, stride=2)), Signature((8, 7, 9), 2))
    assert steps(found)[2] == ("project", (0,), (8, 4, 5))


def test_features_and_tokens_are_projected_by_dense_layers():
    found = lowered(lambda b, x: b.add("add", x, b.add("dense", x, units=32)), Signature((16,), 2), tabular())
    assert steps(found)[2:4] == [("project", (0,), (32,)), ("add", (2, 1), (32,))]
    found = lowered(lambda b, x: b.add("add", x, b.add("dense", x, units=32)), Signature((5, 16), 2))
    assert steps(found)[2:4] == [("project", (0,), (5, 32)), ("add", (2, 1), (5, 32))]


def test_concat_adds_channels_and_shrinks_larger_images():
    found = lowered(lambda b, x: b.add("concat", x, b.add("conv", x, channels=4, stride=3)))
    assert steps(found)[2:4] == [("project", (0,), (8, 4, 4)), ("concat", (2, 1), (12, 4, 4))]
    found = lowered(lambda b, x: b.add("concat", x, b.add("dense", x, units=4)), Signature((5, 16), 2))
    assert steps(found)[2] == ("concat", (0, 1), (5, 20))


def test_dense_reads_an_image_flattened():
    found = lowered(lambda b, x: b.add("dense", x, units=5))
    assert steps(found)[1:3] == [("flatten", (0,), (8 * 144,)), ("dense", (1,), (5,))]


def test_dead_nodes_keep_their_parameters_and_nothing_else():
    alive = lowered(lambda b, x: b.add("conv", x, channels=8))

    def with_dead(b, x):
        b.add("batch_norm", b.add("conv", x, channels=16))
        return b.add("conv", x, channels=8)

    found = lowered(with_dead)
    assert steps(found)[1][0] == "conv"
    assert [node.live for node in found.nodes].count(False) == 2
    assert cost(found).parameters == cost(alive).parameters + 8 * 16 * 9 + 32
    assert cost(found).flops == cost(alive).flops
    assert cost(found).activations == cost(alive).activations
    assert len(found.graph()) == len(alive.graph())


def test_a_zero_in_a_sum_does_not_shape_it():
    def write(b, x):
        wide = b.add("conv", b.add("zero", x), channels=64)
        return b.add("add", wide, b.add("conv", x, channels=4))

    found = lowered(write)
    assert steps(found)[1:3] == [("conv", (0,), (4, 12, 12)), ("global_avg_pool", (3,), (4,))]
    assert cost(found).parameters == 8 * 64 * 9 + 8 * 4 * 9 + 50


def test_weights_that_only_see_zeros_are_counted_and_not_run():
    """NAS-Bench-201 has such cells, and counts their parameters."""

    def write(b, x):
        stem = b.add("conv", x, channels=8)
        return b.add("batch_norm", b.add("conv", b.add("relu", b.add("zero", stem)), channels=8))

    found = lowered(write)
    assert [name for name, _, _ in steps(found)] == ["input", "conv", "zero", "batch_norm", "global_avg_pool", "dense"]
    assert cost(found).parameters == 2 * 8 * 8 * 9 + 16 + 90


def test_a_network_without_any_connection_is_constant_and_can_be_lowered():
    found = lowered(lambda b, x: b.add("add", b.add("zero", x), b.add("zero", x)))
    assert [name for name, _, _ in steps(found)] == ["input", "zero", "global_avg_pool", "dense"]


@settings(max_examples=100, deadline=None)
@given(networks(VISION))
def test_a_graph_and_its_effective_graph_are_lowered_to_the_same_live_network(graph):
    try:
        expected = lower(graph, VISION, IMAGE)
    except ShapeError:
        return
    found = lower(effective(graph, VISION), VISION, IMAGE)
    assert all(node.live for node in found.nodes)
    assert sorted(shapes(found)) == sorted(shapes(expected))
    live = [node.cost for node in expected.nodes if node.live]
    assert cost(found).parameters == sum(item.parameters for item in live)
    assert cost(found).flops == cost(expected).flops
    assert cost(found).activations == cost(expected).activations


def shapes(found):
    return [(node.operation.name, repr(node.params), node.shape) for node in found.nodes if node.live]


@pytest.mark.parametrize(
    ("write", "signature", "text"),
    [
        (
            lambda b, x: b.add("avg_pool", x, kernel=4),
            Signature((8, 1, 5), 2),
            "node 1 (avg_pool): a kernel of 4 is larger than its input of 1 with padding 1 on both sides",
        ),
        (
            lambda b, x: b.add("conv", x, channels=8, groups=3),
            IMAGE,
            "node 1 (conv): 3 groups do not divide its 8 input channels",
        ),
        (
            lambda b, x: b.add("conv", x, channels=9, groups=4),
            IMAGE,
            "node 1 (conv): 4 groups do not divide its 9 output channels",
        ),
        (
            lambda b, x: b.add("group_norm", x, groups=3),
            IMAGE,
            "node 1 (group_norm): 3 groups do not divide its 8 channels",
        ),
        (
            lambda b, x: b.add("attention", x, heads=3),
            IMAGE,
            "node 1 (attention): 3 heads do not divide its 8 channels",
        ),
        (
            lambda b, x: b.add("conv", b.add("flatten", x), channels=8),
            IMAGE,
            "node 2 (conv): it needs images (channels, height, width), but its input has the shape 1152",
        ),
        (
            lambda b, x: b.add("batch_norm", x),
            Signature((5, 8), 2),
            "node 1 (batch_norm): it needs images or features, but its input has the shape 5x8; use layer_norm",
        ),
        (
            lambda b, x: b.add("attention", x),
            Signature((8,), 2),
            "node 1 (attention): it needs images or tokens, but its input has the shape 8",
        ),
        (
            lambda b, x: b.add("project", x, channels=4, stride=2),
            Signature((5, 8), 2),
            "node 1 (project): only images can be projected with a stride, but its input has the shape 5x8",
        ),
        (
            lambda b, x: b.add("add", x, b.add("flatten", x)),
            IMAGE,
            "node 2 (add): its inputs have the shapes 8x12x12 and 1152; they need as many axes",
        ),
        (
            lambda b, x: b.add("concat", x, b.add("flatten", x)),
            IMAGE,
            "node 2 (concat): its inputs have the shapes 8x12x12 and 1152; they need as many axes",
        ),
        (
            lambda b, x: b.add("add", x, b.add("conv", x, channels=8, kernel=2)),
            IMAGE,
            "node 2 (add): one of its inputs has the shape 8x13x13 and should become 8x12x12, but no stride does that",
        ),
        (
            lambda b, x: b.add("conv", x, channels=0),
            IMAGE,
            "node 1 (conv): channels must be a whole number of at least 1, but it is 0",
        ),
        (
            lambda b, x: b.add("conv", x, channels="many"),
            IMAGE,
            "node 1 (conv): channels must be a whole number of at least 1, but it is 'many'",
        ),
        (
            lambda b, x: b.add("conv", x, channels=8, kernel=True),
            IMAGE,
            "node 1 (conv): kernel must be a whole number of at least 1, but it is True",
        ),
        (
            lambda b, x: b.add("conv", x, channels=8, bias=1),
            IMAGE,
            "node 1 (conv): bias must be true or false, but it is 1",
        ),
        (
            lambda b, x: b.add("dropout", x, rate=1.5),
            IMAGE,
            "node 1 (dropout): rate must be a number from 0 to below 1, but it is 1.5",
        ),
        (
            lambda b, x: b.add("factorized_reduce", x, channels=1),
            IMAGE,
            "node 1 (factorized_reduce): channels must be a whole number of at least 2, but it is 1",
        ),
    ],
)
def test_what_has_no_shape_is_told(write, signature, text):
    assert str(refused(write, signature)) == text


def test_an_error_carries_its_node():
    error = refused(lambda b, x: b.add("group_norm", b.add("identity", x), groups=3))
    assert (error.node, error.operation) == (2, "group_norm")


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        (
            [Node("relu"), Node("output", (0,))],
            "a network begins with a node 'input' that reads nothing, but this graph begins with 'relu'",
        ),
        (
            [Node("input"), Node("relu", (0,))],
            "a network ends with a node 'output', but this graph ends with 'relu'; add one that reads it",
        ),
        (
            [Node("input"), Node("output", (0,)), Node("output", (0,))],
            "a network has one node 'output', its last, but node 1 is one too",
        ),
        (
            [Node("input"), Node("relu"), Node("output", (1,))],
            "node 1 (relu) reads nothing; every node but 'input' reads at least one earlier node",
        ),
        (
            [Node("input"), Node("input", (0,)), Node("output", (1,))],
            "node 1 is an 'input' that reads other nodes; an input reads nothing",
        ),
        (
            [Node("input"), Node("blur", (0,)), Node("output", (1,))],
            (
                "operation 'blur' is not in the set 'tabular'; it has add, batch_norm, concat, dense, dropout, elu, flatten, gelu, "
                "global_avg_pool, identity, layer_norm, leaky_relu, project, relu, sigmoid, silu, tanh, zero"
            ),
        ),
    ],
)
def test_graphs_that_are_no_networks_are_told(nodes, text):
    with pytest.raises(GraphError) as error:
        lower(Graph(nodes), tabular(), Signature((4,), 2))
    assert str(error.value) == text


def test_an_operation_of_two_inputs_says_so():
    pair = Operation(
        "pair",
        lambda inputs, params: inputs[0],
        VISION["add"].cost,
        "torch.nn:Identity",
        VISION["add"].arguments,
        arity=2,
    )
    with pytest.raises(ShapeError) as error:
        lower(network(lambda b, x: b.add("pair", x)), OperationSet("mine", [pair, VISION["dense"]]), Signature((4,), 2))
    assert str(error.value) == "node 1 (pair): it takes 2 inputs, but reads 1"
