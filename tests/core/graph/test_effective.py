import math

from hypothesis import given, settings

from morphml_core.graph.canonical import effective
from morphml_core.graph.effective import JOINTS, SIZES, view
from morphml_core.graph.ir import Graph, GraphBuilder, Node
from morphml_core.operations.vision import vision
from morphml_core.testing.graphs import networks

VISION = vision()


def label(node):
    known = VISION[node.op].defaults
    return " ".join(
        [node.op, *(f"{name}={value}" for name, value in node.params if name not in SIZES and value != known.get(name))]
    )


def walk(graph, index=None):
    """Every path to a node, one by one."""
    index = len(graph) - 1 if index is None else index
    node = graph.nodes[index]
    own = () if node.op in JOINTS else (label(node),)
    if not node.inputs:
        return [own]
    return [path + own for source in node.inputs for path in walk(graph, source)]


@settings(max_examples=80, deadline=None)
@given(networks(VISION, most=7))
def test_counts_are_those_of_walking_every_path(graph):
    seen = view(graph, VISION)
    whole = effective(graph, VISION)
    paths = walk(whole)
    lengths = [len(path) for path in paths]
    assert (seen.paths, seen.shortest, seen.longest) == (len(paths), min(lengths), max(lengths))
    assert math.isclose(seen.mean_length, sum(lengths) / len(lengths))
    assert seen.bag is not None
    assert dict(seen.bag) == {path: paths.count(path) for path in paths}
    assert sum(seen.operations.values()) == seen.nodes == len(whole)
    assert sum(seen.pairs.values()) == seen.edges == sum(len(node.inputs) for node in whole.nodes)
    assert view(whole, VISION) == seen


def test_a_small_network():
    builder = GraphBuilder()
    x = builder.add("input")
    a = builder.add("conv", x, channels=8)
    b = builder.add("relu", builder.add("conv", a, channels=16, kernel=1))
    builder.add("conv", b, channels=99)  # dead
    joined = builder.add("add", builder.add("identity", a), b, x)
    builder.add("output", joined)
    seen = view(builder.graph(), VISION)
    assert seen.operations == {"add": 1, "conv": 1, "conv kernel=1": 1, "input": 1, "output": 1, "relu": 1}
    assert seen.pairs[("conv", "conv kernel=1")] == seen.pairs[("relu", "add")] == 1
    assert (seen.nodes, seen.edges, seen.depth, seen.width) == (6, 7, 5, 1)
    assert (seen.paths, seen.shortest, seen.longest, seen.mean_length) == (3, 0, 3, 4 / 3)
    assert seen.bag == {(): 1, ("conv",): 1, ("conv", "conv kernel=1", "relu"): 1}


def test_paths_beyond_number_are_counted_but_not_listed():
    nodes = [Node("input")]
    for _ in range(60):
        last = len(nodes) - 1
        nodes += [Node("relu", (last,)), Node("tanh", (last,)), Node("add", (last + 1, last + 2))]
    nodes.append(Node("output", (len(nodes) - 1,)))
    seen = view(Graph(nodes), VISION)
    assert seen.paths == 2**60
    assert (seen.shortest, seen.longest, seen.mean_length) == (60, 60, 60)
    assert seen.bag is None
    assert seen.width == 2
