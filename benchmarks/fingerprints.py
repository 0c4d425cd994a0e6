"""Counts how many different networks the 15,625 cells of NAS-Bench-201 are.

    python benchmarks/fingerprints.py [--skeleton CELLS] [--table FILE.csv.gz]

Prints the count of fingerprints, and how it follows from the published 6,466, one rule at a time (docs/fingerprints.md argues for each).
The published rule and its variants describe a cell by a string, as the benchmark's code does (`to_unique_str`); the last
line is what `fingerprint` says.  `--skeleton` puts each cell into the published network with that many cells a stage
(5 in the publication; takes minutes) instead of behind one convolution.  `--table`, a table with the columns `ops` and
`val_acc_200ep_s0`..`s2`, also prints how far apart the accuracies of cells are that one rule merges and another does not.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from morphml_core.graph.canonical import effective, fingerprint
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.operations.vision import vision
from morphml_core.space import nasbench201

Cell = Sequence[str]
"""One operation for each of `nasbench201.EDGES`."""

CELLS: tuple[Cell, ...] = tuple(itertools.product(nasbench201.OPERATIONS, repeat=len(nasbench201.EDGES)))


@attrs.frozen
class Rules:
    """What a string of a cell takes into account.  The first two together are the published rule."""

    skips: bool = False
    """A skip connection is its input."""
    zeros: bool = False
    """`none`, and any operation on a zero, is a zero."""
    drop: bool = False
    """A sum drops its zeros."""
    flat: bool = False
    """A sum of sums is one sum."""
    shift: bool = False
    """A convolution of a zero is no zero: the normalisation after it adds its learned shift."""
    constant: bool = False
    """All convolutions of a zero are alike: their kernels see nothing."""


def describe(cell: Cell, rules: Rules) -> str:
    """The string of a cell: the tree of operations below its last node, each sum sorted."""
    nodes = {0: ["input"]}
    for target in range(1, 4):
        terms: list[str] = []
        for (start, end), op in zip(nasbench201.EDGES, cell, strict=True):
            if end == target:
                terms += _edge(op, nodes[start], rules)
        kept = [term for term in terms if term != "#"] if rules.drop else terms
        nodes[target] = sorted(kept or ["#"])
    return "+".join(nodes[3])


def _edge(op: str, source: list[str], rules: Rules) -> list[str]:
    """The summands that an edge adds to its node; "#" is a zero."""
    plain = op in ("skip_connect", "avg_pool_3x3")
    if rules.zeros and (op == "none" or (source == ["#"] and (plain or not rules.shift))):
        return ["#"]
    if rules.skips and op == "skip_connect":
        return source if rules.flat else ["+".join(source)]
    if rules.constant and source == ["#"]:
        return ["shift"]
    return [f"({'+'.join(source)})@{op}"]


def network(cell: Cell) -> Graph:
    """The cell behind a convolution that gives it its channels, as in the published network."""
    build = GraphBuilder()
    stem = build.add("batch_norm", build.add("conv", build.add("input"), channels=16))
    nodes = [stem]
    for target in range(1, 4):
        edges = [
            _add_edge(build, op, nodes[start])
            for (start, end), op in zip(nasbench201.EDGES, cell, strict=True)
            if end == target
        ]
        nodes.append(build.add("add", *edges))
    build.add("output", nodes[-1])
    return build.graph()


def _add_edge(build: GraphBuilder, op: str, source: int) -> int:
    if op == "none":
        return build.add("zero", source)
    if op == "skip_connect":
        return build.add("identity", source)
    if op == "avg_pool_3x3":
        return build.add("avg_pool", source)
    kernel = 1 if op == "nor_conv_1x1" else 3
    return build.add("batch_norm", build.add("conv", build.add("relu", source), channels=16, kernel=kernel))


def published_network(cells: int) -> Callable[[Cell], Graph]:
    """A function from a cell to the published network with so many cells a stage."""
    config = nasbench201.Config(cells=cells)
    paths = [f"cell.edge{start}_{end}" for start, end in nasbench201.EDGES]
    return lambda cell: nasbench201.graph(config, dict(zip(paths, cell, strict=True)))


def unfolded(graph: Graph, memo: dict[object, int]) -> int:
    """The number of the tree below the last node (a Merkle hash without collisions): equal for a shared node and copies."""
    found: list[int] = []
    for node in graph.nodes:
        key = (node.op, node.params, tuple(sorted(found[source] for source in node.inputs)))
        found.append(memo.setdefault(key, len(memo)))
    return found[-1]


STEPS = (
    ("nothing: each cell is one", Rules()),
    ("+ a skip connection is its input", Rules(skips=True)),
    ("+ none, and whatever reads only none, is a zero: the published rule", Rules(skips=True, zeros=True)),
    ("+ a sum drops its zeros", Rules(skips=True, zeros=True, drop=True)),
    ("+ a sum of sums is one sum", Rules(skips=True, zeros=True, drop=True, flat=True)),
    ("+ a convolution of a zero is a learned shift", Rules(skips=True, zeros=True, drop=True, flat=True, shift=True)),
    (
        "+ its kernel has no effect",
        Rules(skips=True, zeros=True, drop=True, flat=True, shift=True, constant=True),
    ),
)


def count(graph_of: Callable[[Cell], Graph]) -> dict[str, float]:
    """Fingerprints, trees, and milliseconds a fingerprint, over all cells."""
    started = time.perf_counter()
    prints = set(fingerprints(graph_of))
    taken = time.perf_counter() - started
    return {
        "fingerprints": len(prints),
        "trees": len(set(trees(graph_of))),
        "milliseconds": round(1000 * taken / len(CELLS), 2),
    }


def fingerprints(graph_of: Callable[[Cell], Graph]) -> list[str]:
    """The fingerprint of each cell."""
    operations = vision()
    return [fingerprint(graph_of(cell), operations) for cell in CELLS]


def trees(graph_of: Callable[[Cell], Graph]) -> list[int]:
    """The number of the tree of each cell."""
    operations, memo = vision(), dict[object, int]()
    return [unfolded(effective(graph_of(cell), operations), memo) for cell in CELLS]


def accuracies(table: Path) -> list[float]:
    """The seed mean of each cell, in the order of `CELLS`."""
    with gzip.open(table, "rt") if table.suffix == ".gz" else table.open() as lines:
        rows = {
            row["ops"]: [float(row[f"val_acc_200ep_s{i}"] or "nan") for i in range(3)] for row in csv.DictReader(lines)
        }
    digits = {op: str(digit) for digit, op in enumerate(nasbench201.OPERATIONS)}
    found = [rows["".join(digits[op] for op in cell)] for cell in CELLS]
    return [statistics.fmean(value for value in values if not math.isnan(value)) for values in found]


def spread(outer: Sequence[object], inner: Sequence[object], values: Sequence[float]) -> str:
    """How far apart cells are, on average, that `outer` merges: those that `inner` tells apart, and those that it merges too.

    Each class of `outer` that `inner` divides counts once; cells without any connection are left out.
    """
    classes = defaultdict(list)
    for number, cell in enumerate(CELLS):
        if describe(cell, Rules(skips=True, zeros=True, drop=True)) != "#":
            classes[outer[number]].append(number)
    apart, together = [], []
    for members in classes.values():
        found: dict[bool, list[float]] = {True: [], False: []}
        for one, other in itertools.combinations(members, 2):
            found[inner[one] == inner[other]].append(abs(values[one] - values[other]))
        if found[False]:
            apart.append(statistics.fmean(found[False]))
            together += [statistics.fmean(found[True])] if found[True] else []
    return f"{_mean(apart)} over {len(apart)} classes; merged by both: {_mean(together)} over {len(together)}"


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} +- {statistics.stdev(values) / math.sqrt(len(values)):.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skeleton", type=int, metavar="CELLS", help="cells a stage of the published network")
    parser.add_argument("--table", type=Path, metavar="FILE", help="a table of results of all cells")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    steps = {name: len({describe(cell, rules) for cell in CELLS}) for name, rules in STEPS}
    found = count(published_network(given.skeleton) if given.skeleton else network)
    if given.json:
        print(json.dumps({"cells": len(CELLS), "rules": steps, **found}))
        return
    for name, number in steps.items():
        print(f"{number:7,}  {name}")
    print(f"{found['trees']:7,}  trees of effective graphs (the same rules, applied by `effective`)")
    print(
        f"{found['fingerprints']:7,}  fingerprints: a shared node is not two copies ({found['milliseconds']} ms each)"
    )
    if given.table:
        _compare(accuracies(given.table))


def _compare(values: Sequence[float]) -> None:
    published = [describe(cell, Rules(skips=True, zeros=True)) for cell in CELLS]
    prints, tree = fingerprints(network), trees(network)
    print("Mean difference of accuracy, in points, of cells that")
    print(f"  the published rule merges and fingerprints tell apart: {spread(published, prints, values)}")
    print(f"  trees merge and fingerprints tell apart:               {spread(tree, prints, values)}")
    print(f"  fingerprints merge and the published rule tells apart: {spread(prints, published, values)}")


if __name__ == "__main__":
    main()
