import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.errors import GraphError
from morphml_core.graph.canonical import effective, fingerprint
from morphml_core.graph.ir import Graph, GraphBuilder, Node
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks, relabelled

VISION = vision()


def network(write):
    """The graph of a function of a builder and the input's index that returns what the output reads."""
    builder = GraphBuilder()
    found = write(builder, builder.add("input"))
    builder.add("output", *(found if isinstance(found, tuple) else (found,)))
    return builder.graph()


def same(first, second):
    return fingerprint(network(first), VISION) == fingerprint(network(second), VISION)


def conv(build, *sources, **params):
    return build.add("conv", *sources, **{"channels": 8, **params})


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_fingerprint_does_not_depend_on_the_order_of_nodes_and_summands(data):
    graph = data.draw(networks(VISION))
    other = data.draw(relabelled(graph, VISION))
    assert effective(graph, VISION) == effective(other, VISION)
    assert fingerprint(graph, VISION) == fingerprint(other, VISION)


@settings(max_examples=100, deadline=None)
@given(networks(VISION))
def test_an_effective_graph_is_its_own(graph):
    once = effective(graph, VISION)
    assert effective(once, VISION) == once
    assert fingerprint(once, VISION) == fingerprint(graph, VISION)
    assert once.nodes[0].op == "input"
    assert once.nodes[-1].op == "output"


def test_a_fingerprint_is_stable():
    """Stored in experiments: a change of this value makes stored results unknown."""
    graph = network(lambda b, x: b.add("add", x, b.add("relu", b.add("batch_norm", conv(b, x)))))
    assert fingerprint(graph, VISION) == "caca7cd5600e2904d42452c12826669b"


def test_a_shared_node_is_not_two_copies():
    """Copies have weights of their own.  A Merkle hash, that of the tree below each node, confuses them."""

    def shared(b, x):
        a = conv(b, x)
        return b.add("add", b.add("depthwise_conv", a), b.add("depthwise_conv", a))

    def copies(b, x):
        return b.add("add", b.add("depthwise_conv", conv(b, x)), b.add("depthwise_conv", conv(b, x)))

    assert not same(shared, copies)
    assert merkle(effective(network(shared), VISION)) == merkle(effective(network(copies), VISION))


def merkle(graph):
    found = []
    for node in graph.nodes:
        found.append((node.op, node.params, tuple(sorted(found[source] for source in node.inputs))))
    return found[-1]


def test_graphs_with_equal_neighbourhoods_at_each_node_are_told_apart():
    """Six nodes that read six others two by two, as one ring or as two: no iterated hash of neighbours tells them apart."""

    def ring(*lengths):
        def write(b, x):
            nodes, ends = [conv(b, x) for _ in range(6)], []
            start = 0
            for length in lengths:
                ends += [conv(b, nodes[start + i], nodes[start + (i + 1) % length]) for i in range(length)]
                start += length
            return b.add("add", *ends)

        return write

    assert not same(ring(6), ring(3, 3))


def test_dead_nodes_are_cut():
    def dead(b, x):
        conv(b, x)
        return conv(b, x)

    assert same(dead, conv)


@pytest.mark.parametrize(
    ("op", "params"),
    [
        ("identity", {}),
        ("add", {}),
        ("concat", {}),
        ("multiply", {}),
        ("dropout", {"rate": 0}),
        ("dropout", {"rate": 0.0}),
        ("max_pool", {"kernel": 1}),
        ("avg_pool", {"kernel": 1}),
    ],
)
def test_what_returns_its_input_is_contracted(op, params):
    graph = network(lambda b, x: b.add(op, conv(b, b.add(op, x, **params)), **params))
    assert effective(graph, VISION) == effective(network(conv), VISION)


def test_defaults_need_not_be_said_and_whole_numbers_are_equal_to_themselves():
    assert same(conv, lambda b, x: conv(b, x, kernel=3, bias=False, dilation=1.0))
    assert not same(conv, lambda b, x: conv(b, x, kernel=5))
    assert not same(conv, lambda b, x: conv(b, x, bias=True))


def test_a_sum_may_be_implied():
    assert same(lambda b, x: conv(b, x, conv(b, x)), lambda b, x: conv(b, b.add("add", conv(b, x), x)))
    assert same(lambda b, x: (x, conv(b, x)), lambda b, x: b.add("add", conv(b, x), x))


def test_repeated_inputs_stay():
    assert not same(lambda b, x: b.add("add", x, x), lambda b, x: x)
    assert not same(lambda b, x: conv(b, x, x), conv)
    assert not same(lambda b, x: b.add("add", x, x, conv(b, x)), lambda b, x: b.add("add", x, conv(b, x)))


def test_sums_of_sums_are_one_sum():
    def nested(b, x):
        return b.add("add", conv(b, x), b.add("add", conv(b, x, kernel=5), b.add("add", x, conv(b, x, kernel=7))))

    def flat(b, x):
        return b.add("add", conv(b, x, kernel=7), conv(b, x), x, conv(b, x, kernel=5))

    assert same(nested, flat)


def test_a_sum_that_others_read_stays_one_tensor():
    def shared(b, x):
        inner = b.add("add", x, conv(b, x))
        return b.add("add", inner, conv(b, inner))

    assert effective(network(shared), VISION).to_json() == [
        {"op": "input", "inputs": [], "params": {}},
        {"op": "conv", "inputs": [0], "params": {**VISION["conv"].defaults, "channels": 8}},
        {"op": "add", "inputs": [0, 1], "params": {}},
        {"op": "conv", "inputs": [2], "params": {**VISION["conv"].defaults, "channels": 8}},
        {"op": "add", "inputs": [2, 3], "params": {}},
        {"op": "output", "inputs": [4], "params": {}},
    ]


def test_equal_sums_that_appear_when_sums_are_joined_are_one():
    def late(b, x):
        a, c, d = conv(b, x), conv(b, x), conv(b, x)
        return b.add("concat", conv(b, b.add("add", a, c, d)), conv(b, b.add("add", a, b.add("add", c, d)), kernel=5))

    def early(b, x):
        total = b.add("add", conv(b, x), conv(b, x), conv(b, x))
        return b.add("concat", conv(b, total), conv(b, total, kernel=5))

    assert same(late, early)


def test_equal_nodes_without_weights_are_one():
    assert same(
        lambda b, x: b.add("add", conv(b, b.add("relu", x)), conv(b, b.add("relu", x))),
        lambda b, x: (lambda r: b.add("add", conv(b, r), conv(b, r)))(b.add("relu", x)),
    )
    assert same(
        lambda b, x: conv(b, b.add("input"), x),
        lambda b, x: conv(b, x, x),
    )


def test_random_nodes_are_never_one():
    assert not same(
        lambda b, x: b.add("add", b.add("dropout", x), b.add("dropout", x)),
        lambda b, x: (lambda r: b.add("add", r, r))(b.add("dropout", x)),
    )


def test_a_sum_drops_zeros():
    assert same(lambda b, x: b.add("add", b.add("zero", x), conv(b, x)), conv)
    assert same(lambda b, x: b.add("add", b.add("relu", conv(b, b.add("zero", x))), conv(b, x)), conv)


def test_zeros_end_at_a_bias_and_at_a_normalisation():
    assert not same(lambda b, x: b.add("add", conv(b, b.add("zero", x), bias=True), conv(b, x)), conv)
    assert not same(lambda b, x: b.add("add", b.add("batch_norm", b.add("zero", x)), conv(b, x)), conv)
    assert not same(lambda b, x: b.add("add", b.add("sigmoid", b.add("zero", x)), conv(b, x)), conv)


def test_of_a_zero_that_feeds_a_normalisation_only_the_shape_matters():
    def plain(b, x):
        stem = conv(b, x)
        return b.add("add", stem, b.add("batch_norm", b.add("zero", stem)))

    def busy(b, x):
        stem = conv(b, x)
        zero = b.add("zero", b.add("max_pool", conv(b, stem, kernel=5)))
        both = b.add("add", zero, b.add("relu", b.add("zero", conv(b, stem))))
        return b.add("add", stem, b.add("batch_norm", conv(b, both, kernel=1)))

    def wider(b, x):
        stem = conv(b, x)
        return b.add("add", stem, b.add("batch_norm", b.add("zero", conv(b, stem, channels=16))))

    assert same(plain, busy)
    assert not same(plain, wider)


def test_the_order_of_a_concat_matters_only_where_channels_are_not_mixed_after_it():
    def with_order(swap, write):
        def found(b, x):
            parts = [conv(b, x), conv(b, x, kernel=5)]
            return write(b, b.add("concat", *(parts[::-1] if swap else parts)), parts)

        return found

    def mixed(b, joined, parts):
        return conv(b, b.add("batch_norm", joined))

    def grouped(b, joined, parts):
        return b.add("conv", b.add("batch_norm", joined), channels=8, groups=2)

    def summed(b, joined, parts):
        return b.add("add", joined, b.add("concat", *parts))

    assert same(with_order(False, mixed), with_order(True, mixed))
    assert not same(with_order(False, grouped), with_order(True, grouped))
    assert not same(with_order(False, summed), with_order(True, summed))


def test_a_graph_whose_last_node_is_contracted_ends_where_that_read():
    graph = Graph((Node("input"), Node("relu", (0,)), Node("identity", (1,)), Node("tanh", (0,)), Node("add", (2,))))
    assert effective(graph, VISION).to_json() == [
        {"op": "input", "inputs": [], "params": {}},
        {"op": "relu", "inputs": [0], "params": {}},
    ]


def test_unknown_operations_and_parameters_are_named():
    with pytest.raises(GraphError) as error:
        fingerprint(network(lambda b, x: b.add("convolution", x)), VISION)
    assert str(error.value).startswith("operation 'convolution' is not in the set 'vision'; it has add, attention, ")
    with pytest.raises(GraphError) as error:
        fingerprint(network(lambda b, x: conv(b, x, kernal=3)), VISION)
    assert str(error.value) == (
        "operation 'conv' has no parameter 'kernal'; it has channels, kernel, stride, dilation, groups, bias"
    )
    with pytest.raises(GraphError) as error:
        fingerprint(network(lambda b, x: b.add("conv", x, kernel=3)), VISION)
    assert str(error.value) == "operation 'conv' needs the parameter 'channels', but it was not given"
    with pytest.raises(GraphError) as error:
        fingerprint(network(lambda b, x: b.add("relu", x, slope=3)), VISION)
    assert str(error.value) == "operation 'relu' has no parameter 'slope'; it has none"


def branches(count, length=4):
    def write(b, x):
        ends = []
        for _ in range(count):
            node = x
            for _ in range(length):
                node = b.add("batch_norm", conv(b, node))
            ends.append(node)
        return b.add("add", *ends)

    return network(write)


def cells(count):
    """A chain of densely connected cells of ReLU, convolution and normalisation: 21 nodes each."""

    def write(b, x):
        for _ in range(count):
            nodes = [conv(b, x)]
            for size in range(1, 4):
                edges = [b.add("batch_norm", conv(b, b.add("relu", node))) for node in nodes[:size]]
                nodes.append(b.add("add", *edges))
            x = nodes[-1]
        return x

    return network(write)


@pytest.mark.parametrize(("graph", "limit"), [(cells(4), 0.02), (branches(20), 0.05), (branches(40, 1), 0.02)])
def test_a_fingerprint_takes_a_few_milliseconds(graph, limit):
    """About 1.5 ms for 80 nodes on the machine this was written on; the limits are ten times what it takes."""
    times = []
    for _ in range(5):
        started = time.process_time()
        fingerprint(graph, VISION)
        times.append(time.process_time() - started)
    assert min(times) < limit
