import pytest

from morphml_core.errors import SpaceError
from morphml_core.graph.cost import cost
from morphml_core.graph.shapes import lower
from morphml_core.space.darts import STATES, Config, create

# The genotype "DARTS_V2" of the authors' repository: (operation, state) twice a node.
NORMAL = [
    ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
]  # fmt: skip
REDUCTION = [
    ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
    ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
]  # fmt: skip


def values():
    found = {}
    for kind, edges in (("normal", NORMAL), ("reduction", REDUCTION)):
        for node in range(4):
            pair = sorted(edges[2 * node : 2 * node + 2], key=lambda edge: edge[1])
            found[f"{kind}.node{node + 1}.inputs"] = [STATES[state] for _, state in pair]
            found |= {f"{kind}.node{node + 1}.op{place}": op for place, (op, _) in enumerate(pair, 1)}
    return found


def test_the_published_network_has_its_published_parameters(cifar, counted):
    """3.349342 million, as the authors' code prints for this genotype, without the auxiliary head."""
    space = create(Config())
    network = lower(space.raw_graph(space.decisions.genotype(values())), space.operations, cifar)
    assert cost(network).parameters == counted(network) == 3_349_342


def test_a_small_network_runs(cifar):
    torch = pytest.importorskip("torch")
    from morphml_core.torch.build import build

    space = create(Config(channels=4, cells=3))
    graph = space.express(space.decisions.genotype(values())).graph
    with torch.no_grad():
        network = build(lower(graph, space.operations, cifar)).eval()
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_decisions():
    decisions = create(Config()).decisions
    assert len(decisions) == 24
    assert decisions.size == pytest.approx((3 * 6 * 10 * 7**8) ** 2)
    assert create(Config(none=True)).decisions.decisions[1].domain.values[-1] == "none"


def test_impossible_networks():
    with pytest.raises(SpaceError) as caught:
        create(Config(cells=0))
    assert str(caught.value) == "darts needs cells of at least 1, but got 0"
