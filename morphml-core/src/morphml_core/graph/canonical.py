"""The canonical form of a graph: `effective` simplifies it exactly, `fingerprint` identifies its architecture.

Two graphs have one fingerprint exactly when their simplified graphs are isomorphic: when one becomes the other by
renumbering nodes and reordering the inputs of commutative operations.  A node that two others read is never confused
with two copies of it: copies have weights of their own.  (A hash of the tree below each node, a Merkle hash, confuses them.)

`effective` is `simplify` (the rules stand there), without dead nodes, in canonical order.  A `concat` may be reordered only
if each path from it meets an operation that mixes all channels before one for which their order matters: then its readers'
weights absorb the new order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from morphml_core.graph.ir import Graph, Node, Value
from morphml_core.graph.isomorphism import Problem, canonical_order
from morphml_core.graph.operations import OperationSet
from morphml_core.graph.simplify import ENDS, simplified_columns


def effective(graph: Graph, operations: OperationSet) -> Graph:
    """The graph that matters: simplified, without dead nodes, in canonical order, with complete parameters.

    Isomorphic graphs give equal results.  Raises `GraphError` for unknown operations and parameters.
    """
    simplified = simplified_columns(graph, operations)
    kept = [index for index, live in enumerate(simplified.live) if live]
    position = {index: rank for rank, index in enumerate(kept)}
    nodes = [(simplified.ops[index], simplified.params[index]) for index in kept]
    inputs = [tuple([position[source] for source in simplified.inputs[index]]) for index in kept]
    ordered = _ordered(nodes, inputs, operations)
    labels = _labels(nodes)
    order = canonical_order(Problem(_ranks(labels, ordered), inputs, ordered))
    place = {index: rank for rank, index in enumerate(order)}
    found = []
    for index in order:
        sources = [place[source] for source in inputs[index]]
        found.append(Node(labels[index][0], tuple(sources if ordered[index] else sorted(sources)), labels[index][1]))
    return Graph(tuple(found))


def fingerprint(graph: Graph, operations: OperationSet) -> str:
    """32 hexadecimal digits that identify the architecture: equal exactly for isomorphic effective graphs.

    Raises `GraphError` for unknown operations and parameters.
    """
    return digest(effective(graph, operations))


def digest(canonical: Graph) -> str:
    """The fingerprint of a graph that `effective` has returned."""
    nodes = [[node.op, node.params, node.inputs] for node in canonical.nodes]
    text = json.dumps(nodes, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _ordered(
    nodes: Sequence[tuple[str, Mapping[str, Value]]], inputs: Sequence[tuple[int, ...]], operations: OperationSet
) -> list[bool]:
    """For each node whether the order of its inputs is part of the architecture.

    Walks backwards, so that `free[i]` (the order of the output channels of i does not matter) is known for all readers.
    """
    free = [True] * len(nodes)
    ordered = [False] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        op, params = nodes[index]
        if op in ENDS:
            continue
        operation = operations[op]
        ordered[index] = len(inputs[index]) > 1 and not (
            operation.commutative and (free[index] or not operation.permutes)
        )
        channels = operation.channels(params)
        if channels == "fixed" or (channels == "keep" and not free[index]):
            for source in inputs[index]:
                free[source] = False
    return ordered


Label: TypeAlias = tuple[str, tuple[tuple[str, Value], ...]]


def _labels(nodes: Sequence[tuple[str, Mapping[str, Value]]]) -> list[Label]:
    """The name and parameters of each node, in plain numbers; one tuple for nodes that share their parameters."""
    known: dict[tuple[str, int], Label] = {}
    labels = []
    for op, params in nodes:
        label = known.get((op, id(params)))
        if label is None:
            label = op, tuple((name, _plain(value)) for name, value in sorted(params.items()))
            known[op, id(params)] = label
        labels.append(label)
    return labels


def _ranks(labels: Sequence[Label], ordered: Sequence[bool]) -> list[int]:
    """A number for each label that depends on the labels alone, not on where they stand.

    The name comes first so that `input` and others sort alike in every graph; ordered and unordered nodes differ.
    """
    known: dict[tuple[int, bool], str] = {}
    texts = []
    for label, order in zip(labels, ordered, strict=True):
        key = id(label), order
        text = known.get(key)
        if text is None:
            text = known[key] = repr((label, order))
        texts.append(text)
    rank = {text: number for number, text in enumerate(sorted(set(texts)))}
    return [rank[text] for text in texts]


def _plain(value: Value) -> Value:
    """3.0 as 3, so that equal numbers look equal."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
