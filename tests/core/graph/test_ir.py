import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from morphml_core.errors import GraphError
from morphml_core.graph.ir import Graph, GraphBuilder, Node
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks

VISION = vision()


def test_parameters_are_sorted_and_found_by_name():
    node = Node("conv", (0,), {"kernel": 3, "channels": 8})
    assert node.params == (("channels", 8), ("kernel", 3))
    assert node == Node("conv", [0], [("kernel", 3), ("channels", 8)])
    assert node.param("kernel") == 3
    assert node.param("stride", 1) == 1


def test_a_graph_needs_a_node_and_reads_backwards():
    with pytest.raises(GraphError) as error:
        Graph(())
    assert str(error.value) == "a graph needs at least one node, but none was given"
    with pytest.raises(GraphError) as error:
        Graph((Node("input"), Node("relu", (1,))))
    assert str(error.value) == "node 1 (relu) reads node 1; a node can only read earlier nodes (0 to 0)"


def test_a_builder_counts_from_zero():
    builder = GraphBuilder()
    assert [builder.add("input"), builder.add("conv", 0, channels=8)] == [0, 1]
    assert len(builder.graph()) == 2


@settings(max_examples=50, deadline=None)
@given(networks(VISION))
def test_a_graph_comes_back_from_json(graph):
    assert Graph.from_json(graph.to_json()) == graph


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["op", "inputs", "params", "x"]), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@example([{"op": "relu", "inputs": [], "params": "0"}])
@given(json_values)
def test_anything_else_is_a_graph_error(value):
    with contextlib.suppress(GraphError):
        graph = Graph.from_json(value)
        assert Graph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (
            {"op": "relu", "inputs": [0]},
            "not a graph: KeyError('params') while reading its nodes; each needs op, inputs and params",
        ),
        ({"op": 3, "inputs": [], "params": {}}, "not a graph: TypeError('op is a name and inputs are whole numbers')"),
        (
            {"op": "relu", "inputs": ["a"], "params": {}},
            "not a graph: TypeError('op is a name and inputs are whole numbers')",
        ),
        (
            {"op": "relu", "inputs": [], "params": {"a": [1]}},
            "not a graph: TypeError('values of params are numbers, strings or booleans')",
        ),
    ],
)
def test_bad_nodes_are_told(node, text):
    with pytest.raises(GraphError) as error:
        Graph.from_json([node])
    assert str(error.value).startswith(text)
