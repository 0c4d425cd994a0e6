import numpy as np
import pytest

from morphml_core.errors import GraphError, SpaceError
from morphml_core.graph.cost import cost
from morphml_core.graph.shapes import lower
from morphml_core.space.nasbench101 import Config, create, values_of, vertex_channels

DIGITS = {"2": "maxpool3x3", "3": "conv1x1-bn-relu", "4": "conv3x3-bn-relu"}


def cell(row):
    digits = [int(digit) for digit in row["adjacency_7x7_rowmajor"]]
    adjacency = [digits[start : start + 7] for start in range(0, 49, 7)]
    return values_of(adjacency, [DIGITS[digit] for digit in row["ops7"][1:-1]])


def raw(space, row):
    return space.raw_graph(space.decisions.genotype(cell(row)))


def test_parameters_are_the_published_ones_of_every_row(rows, cifar):
    """The table gives them in millions; some rows need `truncate`, where vertices differ by one channel."""
    space, truncated = create(Config()), 0
    for row in rows("nasbench101_sample/cifar10.csv.gz"):
        graph = raw(space, row)
        truncated += any(node.op == "truncate" for node in graph.nodes)
        found = cost(lower(graph, space.operations, cifar)).parameters
        assert found / 1e6 == pytest.approx(float(row["params"]), abs=6e-7), row
    assert truncated > 30


def test_the_built_network_has_as_many_parameters(rows, cifar, counted):
    space = create(Config())
    for row in rows("nasbench101_sample/cifar10.csv.gz")[::10]:
        network = lower(raw(space, row), space.operations, cifar)
        assert counted(network) == cost(network).parameters


def test_a_truncated_network_runs(cifar):
    torch = pytest.importorskip("torch")
    from morphml_core.torch.build import build

    # Three vertices share 8 channels as 3, 3 and 2 (16 as 6, 5, 5; 32 as 11, 11, 10), and two feed the third.
    adjacency = np.zeros((7, 7), dtype=int)
    for edge in ((0, 1), (0, 2), (1, 3), (2, 3), (1, 6), (2, 6), (3, 6)):
        adjacency[edge] = 1
    space = create(Config(channels=8, cells=1))
    values = values_of(adjacency.tolist(), ["conv3x3-bn-relu"] * 5)
    graph = space.express(space.decisions.genotype(values)).graph
    assert sum(node.op == "truncate" for node in graph.nodes) == 2 + 1 + 2
    with torch.no_grad():
        assert build(lower(graph, space.operations, cifar)).eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_most_samples_are_cells():
    space, rng, refused = create(Config()), np.random.default_rng(0), []
    for _ in range(500):
        try:
            space.raw_graph(space.decisions.sample(rng))
        except GraphError as error:
            refused.append(str(error))
    assert len(refused) < 60
    assert set(refused) <= {
        f"the cell has {edges} edges after pruning; NAS-Bench-101 has cells of at most 9" for edges in (10, 11)
    }


def test_vertex_channels_follow_the_paper():
    edges = frozenset({(0, 1), (0, 2), (1, 3), (2, 3), (1, 6), (2, 6), (3, 6), (0, 4), (4, 3)})
    assert vertex_channels(edges, 128) == {1: 43, 2: 43, 3: 42, 4: 42}
    assert vertex_channels(frozenset({(0, 6)}), 128) == {}


@pytest.mark.parametrize(
    ("edges", "count"),
    [([(0, 1), (1, 2)], 0), ([(a, b) for b in range(1, 7) for a in range(b)], 21)],
)
def test_what_is_no_cell(edges, count):
    adjacency = np.zeros((7, 7), dtype=int)
    for edge in edges:
        adjacency[edge] = 1
    with pytest.raises(SpaceError) as caught:
        values_of(adjacency.tolist(), ["maxpool3x3"] * 5)
    assert str(caught.value) == f"a cell of NAS-Bench-101 has 1 to 9 edges after pruning, but this one has {count}"


def test_impossible_skeletons():
    with pytest.raises(SpaceError) as caught:
        create(Config(channels=4))
    assert str(caught.value) == "nasbench101 needs channels of at least 5 and cells of at least 1, but got 4 and 3"
