"""What the effective graph of a network looks like, in numbers: what predictors and optimizers learn from.

Counts of operations and of paths between input and output describe a network far better than its decisions do, since they
leave out what has no effect (White et al., "A study on encodings for neural architecture search", 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from morphml_core.graph.canonical import effective
from morphml_core.graph.ir import Graph
from morphml_core.graph.operations import OperationSet

JOINTS = frozenset({"input", "output", "add", "concat", "multiply"})
"""Nodes that join others; they are no step of a path."""


@attrs.frozen
class EffectiveView:
    """The effective graph of a network, and numbers about it.

    A path goes from an input node to the output; its length is the number of operations on it, joints (add, concat,
    multiply, input, output) not counted.  `bag` counts paths by the names of their operations in order, or is None where there
    are too many different ones.  Counts are exact also where paths are too many to walk.
    """

    graph: Graph
    operations: Mapping[str, int]
    """How often each operation occurs, joints included."""
    nodes: int
    edges: int
    depth: int
    """Edges on the longest path, joints counted."""
    width: int
    """The most nodes that are equally far (by the longest path) from the input."""
    paths: int
    shortest: int
    longest: int
    mean_length: float
    bag: Mapping[tuple[str, ...], int] | None


def view(graph: Graph, operations: OperationSet, limit: int = 4096) -> EffectiveView:
    """The view of a graph; `limit` is the most different paths (and prefixes at any one node) that `bag` may hold."""
    return view_of(effective(graph, operations), limit)


def view_of(graph: Graph, limit: int = 4096) -> EffectiveView:
    """The view of a graph that is effective already."""
    lengths = _lengths(graph)
    paths = sum(lengths.values())
    depths = _depths(graph)
    return EffectiveView(
        graph=graph,
        operations=dict(sorted(Counter(node.op for node in graph.nodes).items())),
        nodes=len(graph),
        edges=sum(len(node.inputs) for node in graph.nodes),
        depth=depths[-1],
        width=max(Counter(depths).values()),
        paths=paths,
        shortest=min(lengths),
        longest=max(lengths),
        mean_length=sum(length * count for length, count in lengths.items()) / paths,
        bag=_bag(graph, limit),
    )


def _depths(graph: Graph) -> list[int]:
    depths: list[int] = []
    for node in graph.nodes:
        depths.append(1 + max((depths[source] for source in node.inputs), default=-1))
    return depths


def _lengths(graph: Graph) -> Counter[int]:
    """How many paths of each length end at the last node.  Counts along the order of nodes: no path is walked."""
    counts: list[Counter[int]] = []
    for node in graph.nodes:
        step = node.op not in JOINTS
        found: Counter[int] = Counter() if node.inputs else Counter({int(step): 1})
        for source in node.inputs:
            for length, count in counts[source].items():
                found[length + step] += count
        counts.append(found)
    return counts[-1]


def _bag(graph: Graph, limit: int) -> dict[tuple[str, ...], int] | None:
    """The paths to the last node by their operations, or None where there are more than `limit` at any node."""
    bags: list[Counter[tuple[str, ...]]] = []
    for node in graph.nodes:
        own = () if node.op in JOINTS else (node.op,)
        bag: Counter[tuple[str, ...]] = Counter() if node.inputs else Counter({own: 1})
        for source in node.inputs:
            for path, count in bags[source].items():
                bag[path + own] += count
        if len(bag) > limit:
            return None
        bags.append(bag)
    return dict(sorted(bags[-1].items()))
