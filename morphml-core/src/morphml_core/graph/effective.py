"""What the effective graph of a network looks like, in numbers: what predictors and optimizers learn from.

Counts of operations and of paths between input and output describe a network far better than its decisions do, since they
leave out what has no effect (White et al., "A study on encodings for neural architecture search", 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from morphml_core.graph.ir import Graph
from morphml_core.graph.operations import OperationSet
from morphml_core.graph.simplify import ENDS, Columns, Params, simplified_columns

JOINTS = frozenset({"input", "output", "add", "concat", "multiply"})
"""Nodes that join others; they are no step of a path."""

SIZES = frozenset({"channels", "units"})
"""Parameters that are no part of an operation's label: they mostly follow from the place in the network."""

Path: TypeAlias = tuple[str, ...]


@attrs.frozen
class EffectiveView:
    """Numbers about the effective graph of a network; none depends on the order of its nodes.

    Operations are named by labels: the name, and the parameters that are neither sizes (channels, units) nor at their default,
    as in `conv kernel=1`.  A path goes from an input node to the output; its length is the number of operations on it, joints (add,
    concat, multiply, input, output) not counted.  `bag` counts paths by the labels of their operations in order, or is None
    where there are too many different ones.  Counts are exact also where paths are too many to walk.
    """

    operations: Mapping[str, int]
    """How often each operation occurs, joints included."""
    pairs: Mapping[tuple[str, str], int]
    """How often an operation reads another: edges by the labels of their ends."""
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
    bag: Mapping[Path, int] | None


@attrs.frozen
class _Live:
    """The nodes that matter: the label of each, the positions of those it reads, and whether it is a step of a path."""

    labels: Sequence[str]
    inputs: Sequence[Sequence[int]]
    steps: Sequence[bool]


def view(graph: Graph, operations: OperationSet, limit: int = 256) -> EffectiveView:
    """The view of a graph; `limit` is the most different paths (and prefixes at any one node) that `bag` may hold.

    Raises `GraphError` for unknown operations and parameters.
    """
    live = _live(simplified_columns(graph, operations), operations)
    lengths = _lengths(live)
    paths = sum(lengths.values())
    depths = _depths(live)
    labels = live.labels
    return EffectiveView(
        operations=Counter(labels),
        pairs=Counter([(labels[source], labels[at]) for at, sources in enumerate(live.inputs) for source in sources]),
        nodes=len(labels),
        edges=sum(map(len, live.inputs)),
        depth=depths[-1],
        width=max(Counter(depths).values()),
        paths=paths,
        shortest=min(lengths),
        longest=max(lengths),
        mean_length=sum(length * count for length, count in lengths.items()) / paths,
        bag=_bag(live, limit),
    )


def _live(columns: Columns, operations: OperationSet) -> _Live:
    kept = [index for index, live in enumerate(columns.live) if live]
    position = {index: rank for rank, index in enumerate(kept)}
    known: dict[int, str] = {}  # Equal nodes share their parameters.
    labels, inputs = list[str](), list[list[int]]()
    for index in kept:
        params, op = columns.params[index], columns.ops[index]
        label = op
        if params and op not in ENDS:
            label = known.get(id(params)) or known.setdefault(id(params), _label(op, params, operations))
        labels.append(label)
        inputs.append([position[source] for source in columns.inputs[index]])
    return _Live(labels, inputs, [columns.ops[index] not in JOINTS for index in kept])


def _label(op: str, params: Params, operations: OperationSet) -> str:
    defaults = operations[op].defaults
    told = [
        f"{name}={value}" for name, value in sorted(params.items()) if name not in SIZES and value != defaults.get(name)
    ]
    return " ".join([op, *told])


def _depths(live: _Live) -> list[int]:
    depths: list[int] = []
    for sources in live.inputs:
        depths.append(1 + max([depths[source] for source in sources], default=-1))
    return depths


def _lengths(live: _Live) -> Counter[int]:
    """How many paths of each length end at the last node.  Counts along the order of nodes: no path is walked."""
    counts: list[Counter[int]] = []
    for sources, step in zip(live.inputs, live.steps, strict=True):
        found: Counter[int] = Counter() if sources else Counter({int(step): 1})
        for source in sources:
            for length, count in counts[source].items():
                found[length + step] += count
        counts.append(found)
    return counts[-1]


def _bag(live: _Live, limit: int) -> dict[Path, int] | None:
    """The paths to the last node by their operations, or None where there are more than `limit` at any node."""
    bags: list[dict[Path, int]] = []
    for label, sources, step in zip(live.labels, live.inputs, live.steps, strict=True):
        own = (label,) if step else ()
        bag: dict[Path, int] = {} if sources else {own: 1}
        for source in sources:
            for path, count in bags[source].items():
                longer = path + own
                bag[longer] = bag.get(longer, 0) + count
        if len(bag) > limit:
            return None
        bags.append(bag)
    return bags[-1]
