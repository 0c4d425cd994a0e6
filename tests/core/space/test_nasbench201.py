import random

import pytest

from morphml_core.errors import SpaceError
from morphml_core.graph.cost import cost
from morphml_core.graph.operations import Signature
from morphml_core.graph.shapes import lower
from morphml_core.space.nasbench201 import EDGES, OPERATIONS, Config, create


def genotype(space, ops):
    return space.decisions.genotype(
        {f"cell.edge{start}_{end}": OPERATIONS[int(digit)] for (start, end), digit in zip(EDGES, ops, strict=True)}
    )


def by_definition(ops, classes=10):
    """Parameters of the skeleton, and of five cells at 16, 32 and 64 channels for each convolution."""
    skeleton = 72656 + 65 * classes
    one = 5 * sum(c * c + 2 * c for c in (16, 32, 64))
    three = 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    return skeleton + ops.count("2") * one + ops.count("3") * three


def published(row):
    return round(float(row["params_m"]) * 1e6)


def authors_string(ops):
    """The benchmark's own string of a cell (zeros cut): it does not tell a node that is read twice from two copies of it."""
    nodes = ["0"]
    for node in (1, 2, 3):
        parts = []
        for (start, end), op in zip(EDGES, ops, strict=True):
            if end == node:
                zero = op == "0" or nodes[start] == "#"
                parts.append("#" if zero else nodes[start] if op == "1" else f"({nodes[start]})@{op}")
        nodes.append("+".join(sorted(parts)))
    return nodes[-1]


def lowered(space, ops, signature):
    return lower(space.raw_graph(genotype(space, ops)), space.operations, signature)


def test_decisions_are_in_the_order_of_the_table():
    decisions = create(Config()).decisions.decisions
    assert [d.path for d in decisions] == [
        "cell.edge0_1", "cell.edge0_2", "cell.edge1_2", "cell.edge0_3", "cell.edge1_3", "cell.edge2_3",
    ]  # fmt: skip
    assert {d.domain.values for d in decisions} == {
        ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    }
    assert create(Config()).decisions.size == 15625


def test_the_digits_are_those_of_the_official_string(rows):
    for row in rows("nasbench201/cifar10.csv.gz")[:500]:
        nodes = [
            "|" + "|".join(f"{OPERATIONS[int(op)]}~{start}" for (start, end), op in zip(EDGES, row["ops"], strict=True) if end == node) + "|"
            for node in (1, 2, 3)
        ]  # fmt: skip
        assert "+".join(nodes) == row["arch_str"]


@pytest.mark.parametrize(("table", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_published_parameters_follow_from_the_cell_but_for_150_copied_rows(rows, table, classes):
    """150 rows carry the count of another cell, one with the same authors' string: they were copied from it."""
    everything = rows(f"nasbench201/{table}.csv.gz")
    assert len(everything) == 15625
    counts = {}
    for row in everything:
        counts.setdefault(authors_string(row["ops"]), set()).add(by_definition(row["ops"], classes))
    copied = [row for row in everything if published(row) != by_definition(row["ops"], classes)]
    assert len(copied) == 150
    assert all(published(row) in counts[authors_string(row["ops"])] for row in copied)
    assert len(counts) == 6466


def test_parameters_are_those_of_300_random_rows(rows, cifar, counted):
    space = create(Config())
    everything = [row for row in rows("nasbench201/cifar10.csv.gz") if published(row) == by_definition(row["ops"])]
    for row in random.Random(201).sample(everything, 300):
        network = lowered(space, row["ops"], cifar)
        assert cost(network).parameters == counted(network) == published(row), row["arch_str"]


def test_parameters_of_the_copied_rows_are_those_of_their_cells(rows, cifar):
    space = create(Config())
    copied = [row for row in rows("nasbench201/cifar10.csv.gz") if published(row) != by_definition(row["ops"])]
    for row in copied[:30]:
        assert cost(lowered(space, row["ops"], cifar)).parameters == by_definition(row["ops"]), row["arch_str"]


def test_parameters_on_cifar_100(rows):
    space = create(Config())
    everything = [r for r in rows("nasbench201/cifar100.csv.gz") if published(r) == by_definition(r["ops"], 100)]
    for row in random.Random(202).sample(everything, 30):
        network = lowered(space, row["ops"], Signature((3, 32, 32), 100))
        assert cost(network).parameters == published(row), row["arch_str"]


def test_skeleton_without_data(cifar):
    space = create(Config())
    for ops, parameters in (("000000", 73306), ("333333", 1531546), ("122124", 157306)):
        assert cost(lowered(space, ops, cifar)).parameters == parameters == by_definition(ops)


def test_dead_convolutions_are_cut_from_the_candidate(cifar):
    space = create(Config())
    dead = genotype(space, "303000")  # nothing reaches the cell's output
    same = genotype(space, "000000")
    assert cost(lower(space.raw_graph(dead), space.operations, cifar)).parameters == by_definition("303000")
    assert space.express(dead).fingerprint == space.express(same).fingerprint


def test_isomorphic_cells_have_one_fingerprint():
    space = create(Config())
    first, second, other = (space.express(genotype(space, ops)).fingerprint for ops in ("230010", "320001", "230001"))
    assert first == second != other


@pytest.mark.parametrize("config", [Config(channels=0), Config(cells=0)])
def test_impossible_skeletons(config):
    with pytest.raises(SpaceError) as caught:
        create(config)
    assert str(caught.value) == (
        f"nasbench201 needs channels and cells of at least 1, but got {config.channels} and {config.cells}"
    )
