import random

import pytest

from morphml_core.errors import SpaceError
from morphml_core.graph.cost import cost
from morphml_core.graph.shapes import lower
from morphml_core.space.nasbench_macro import OPERATIONS, Config, create


def lowered(space, arch, signature):
    values = {f"layer{number}": OPERATIONS[int(digit)] for number, digit in enumerate(arch, 1)}
    return lower(space.raw_graph(space.decisions.genotype(values)), space.operations, signature)


def test_decisions_are_in_the_order_of_the_table():
    decisions = create(Config()).decisions
    assert [d.path for d in decisions.decisions] == [f"layer{number}" for number in range(1, 9)]
    assert {d.domain.values for d in decisions.decisions} == {("identity", "mb3", "mb6")}
    assert decisions.size == 6561


def test_parameters_and_flops_are_those_of_300_random_rows(rows, cifar, counted):
    """The table's FLOPs are multiply-adds; ours count two for each."""
    space = create(Config())
    for row in random.Random(8).sample(rows("nas_bench_macro/cifar10.csv.gz"), 300):
        network = lowered(space, row["arch"], cifar)
        total = cost(network)
        assert total.parameters == counted(network) == int(row["params"]), row["arch"]
        assert total.flops == 2 * int(row["flops"]), row["arch"]


def test_parameters_and_flops_of_every_row(rows, cifar):
    space = create(Config())
    for row in rows("nas_bench_macro/cifar10.csv.gz")[::7]:
        total = cost(lowered(space, row["arch"], cifar))
        assert (total.parameters, total.flops) == (int(row["params"]), 2 * int(row["flops"])), row["arch"]


def test_skeleton_without_data(cifar):
    total = cost(lowered(create(Config()), "00000000", cifar))
    assert (total.parameters, total.flops) == (387882, 2 * 7713280)


def test_identities_make_equal_networks():
    space = create(Config())
    a, b, c = (
        space.express(
            space.decisions.genotype({f"layer{n}": OPERATIONS[int(d)] for n, d in enumerate(arch, 1)})
        ).fingerprint
        for arch in ("00120000", "00102000", "00210000")
    )
    assert a == b != c


@pytest.mark.parametrize("config", [Config(channels=0), Config(head=0)])
def test_impossible_skeletons(config):
    with pytest.raises(SpaceError) as caught:
        create(config)
    assert str(caught.value) == (
        f"nasbench_macro needs channels and head of at least 1, but got {config.channels} and {config.head}"
    )
