"""The canonical form of a graph: `effective` simplifies it exactly, `fingerprint` identifies its architecture.

Two graphs have one fingerprint exactly when their simplified graphs are isomorphic: when one becomes the other by
renumbering nodes and reordering the inputs of commutative operations.  A node that two others read is never confused
with two copies of it: copies have weights of their own.  (A hash of the tree below each node, a Merkle hash, confuses them.)

What is simplified, each rule exact (the function, its weights and their training stay the same):

* nodes that the last node does not depend on are cut;
* several `input` nodes are one; a one-input operation with several inputs reads their sum, made by an `add` node;
* what returns its input is contracted: `identity`, an `add` or `concat` of one input, dropout with rate 0;
* equal operations without parameters and randomness that read the same inputs are one node (two ReLUs of one tensor);
* zeros go through operations that keep them (a convolution without bias, never a normalisation, which adds its
  learned shift), and a sum drops them while another summand is left;
* a sum that only another sum reads becomes part of it: a + (b + c) is a + b + c.  `lower` gives shapes to sums after this same
  step, so it is exact also where summands need a projection.  A sum with more readers stays: one tensor, computed once.
* a `concat` may be reordered only if each path from it meets an operation that mixes all channels before one for which
  their order matters.

Repeated inputs (a + a) stay.  Where a constant zero feeds a normalisation, the nodes above it stay too, for they give
it its shape: such networks may get several fingerprints, but never do two different networks get one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import attrs

from morphml_core.graph.ir import Graph, Node, Value
from morphml_core.graph.isomorphism import Problem, canonical_order
from morphml_core.graph.operations import Operation, OperationSet

ENDS = ("input", "output")
"""The names of the nodes that begin and end a graph; they are in no operation set."""


@attrs.frozen
class Simplified:
    """A graph with its inputs rewired by the exact rules; no node is gone yet.

    `nodes` are those of the graph, in order, with sums added where they were implied; parameters are complete.
    `origin[i]` is the index, in the graph given, of the node that `nodes[i]` is or serves.
    `live[i]`: whether the last node depends on it.  `zero[i]`: whether its output is all zeros whatever the input.
    """

    nodes: tuple[Node, ...]
    origin: tuple[int, ...]
    live: tuple[bool, ...]
    zero: tuple[bool, ...]


def effective(graph: Graph, operations: OperationSet) -> Graph:
    """The graph that matters: simplified, without dead nodes, in canonical order, with complete parameters.

    Isomorphic graphs give equal results.  Raises `GraphError` for unknown operations and parameters.
    """
    simplified = simplify(graph, operations)
    kept = [index for index, live in enumerate(simplified.live) if live]
    position = {index: rank for rank, index in enumerate(kept)}
    nodes = [simplified.nodes[index] for index in kept]
    inputs = [tuple(position[source] for source in node.inputs) for node in nodes]
    ordered = _ordered(nodes, inputs, operations)
    labels = [(node.op, tuple((name, _plain(value)) for name, value in node.params)) for node in nodes]
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
    nodes = [[node.op, node.params, node.inputs] for node in effective(graph, operations).nodes]
    text = json.dumps(nodes, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def simplify(graph: Graph, operations: OperationSet) -> Simplified:
    """Apply the exact rules to the inputs of the nodes; what is no longer read is marked as not live."""
    nodes, origin = graph.nodes, tuple(range(len(graph)))
    last = len(graph) - 1
    while True:
        work = _Work(operations)
        for index, node in enumerate(nodes):
            work.place(index, origin[index], node)
        last = work.resolved[last]
        absorbed = work.absorb_sums(_reachable(work.inputs, last))
        columns = zip(work.ops, work.inputs, work.params, strict=True)
        nodes = tuple(Node(op, sources, params) for op, sources, params in columns)
        origin = tuple(work.origin)
        if not absorbed:  # Otherwise sums that were different may be equal now.
            return Simplified(nodes, origin, tuple(_reachable(work.inputs, last)), tuple(work.zero))


class _Work:
    """The nodes placed so far, by column; `resolved[i]` is the node that gives the output of the graph's node i."""

    def __init__(self, operations: OperationSet) -> None:
        self.operations = operations
        self.ops: list[str] = []
        self.inputs: list[tuple[int, ...]] = []
        self.params: list[dict[str, Value]] = []
        self.origin: list[int] = []
        self.zero: list[bool] = []
        self.resolved: dict[int, int] = {}
        self.copies: dict[Any, int] = {}

    def place(self, index: int, origin: int, node: Node) -> None:
        """Place a node, and before it the sum that its inputs imply."""
        sources = tuple(self.resolved[source] for source in node.inputs)
        operation = None if node.op in ENDS else self.operations[node.op]
        arity = 1 if operation is None else operation.arity
        if arity == 1 and len(sources) > 1:
            sources = (self._put(origin, self.operations["add"], "add", sources, {}),)
        params = dict(node.params) if operation is None else operation.complete(node.params)
        self.resolved[index] = self._put(origin, operation, node.op, sources, params)

    def _put(
        self, origin: int, operation: Operation | None, op: str, sources: tuple[int, ...], params: dict[str, Value]
    ) -> int:
        """Append the node, unless an earlier one has its output; return the index of the node that has it."""
        zeros = [self.zero[source] for source in sources]
        if op == "add" and any(zeros) and not all(zeros):
            sources = tuple(source for source, zero in zip(sources, zeros, strict=True) if not zero)
        if operation is not None and sources and operation.identity(len(sources), params):
            return sources[0]
        key = self._key(operation, op, sources, params)
        if key in self.copies:
            return self.copies[key]
        if key is not None:
            self.copies[key] = len(self.ops)
        self.ops.append(op)
        self.inputs.append(sources)
        self.params.append(params)
        self.origin.append(origin)
        self.zero.append(
            bool(operation and (op == "zero" or (sources and all(zeros) and operation.keeps_zero(params))))
        )
        return len(self.ops) - 1

    @staticmethod
    def _key(operation: Operation | None, op: str, sources: tuple[int, ...], params: dict[str, Value]) -> Any:
        """What equal copies have in common; None where copies differ."""
        if operation is None:
            return op if op == "input" else None
        if not operation.pure:
            return None
        unordered = operation.commutative and not operation.permutes
        return op, tuple(sorted(sources)) if unordered else sources, tuple(sorted(params.items()))

    def absorb_sums(self, live: Sequence[bool]) -> bool:
        """Let each live sum take in the sums that nothing else reads; return whether there were any."""
        readers = [0] * len(self.ops)
        for index, sources in enumerate(self.inputs):
            if live[index]:
                for source in sources:
                    readers[source] += 1
        absorbed = False
        for index, op in enumerate(self.ops):
            if op == "add" and live[index]:
                flat: list[int] = []
                for source in self.inputs[index]:
                    inner = self.ops[source] == "add" and readers[source] == 1
                    flat.extend(self.inputs[source] if inner else (source,))
                    absorbed = absorbed or inner
                self.inputs[index] = tuple(flat)
        return absorbed


def _reachable(inputs: Sequence[tuple[int, ...]], last: int) -> list[bool]:
    live = [False] * len(inputs)
    live[last] = True
    for index in range(last, -1, -1):
        if live[index]:
            for source in inputs[index]:
                live[source] = True
    return live


def _ordered(nodes: Sequence[Node], inputs: Sequence[tuple[int, ...]], operations: OperationSet) -> list[bool]:
    """For each node whether the order of its inputs is part of the architecture.

    Walks backwards, so that `free[i]` (the order of the output channels of i does not matter) is known for all readers.
    """
    free = [True] * len(nodes)
    ordered = [False] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):
        node = nodes[index]
        if node.op in ENDS:
            continue
        operation = operations[node.op]
        ordered[index] = len(node.inputs) > 1 and not (
            operation.commutative and (free[index] or not operation.permutes)
        )
        channels = operation.channels(dict(node.params))
        if channels == "fixed" or (channels == "keep" and not free[index]):
            for source in inputs[index]:
                free[source] = False
    return ordered


def _ranks(labels: Sequence[tuple[str, Any]], ordered: Sequence[bool]) -> list[int]:
    """A number for each label that depends on the labels alone, not on where they stand.

    The name comes first so that `input` and others sort alike in every graph; ordered and unordered nodes differ.
    """
    texts = [repr((label, order)) for label, order in zip(labels, ordered, strict=True)]
    rank = {text: number for number, text in enumerate(sorted(set(texts)))}
    return [rank[text] for text in texts]


def _plain(value: Value) -> Value:
    """3.0 as 3, so that equal numbers look equal."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
