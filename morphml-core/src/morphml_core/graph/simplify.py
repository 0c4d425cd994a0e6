"""Exact simplification: rewires a graph without changing the function that it computes, its weights or their training.

* Nodes that the last node does not depend on are marked as not live.
* Several `input` nodes are one.  A one-input operation with several inputs reads their sum, made by an `add` node.
* What returns its input is contracted: `identity`, an `add` or `concat` of one input, dropout with rate 0.
* Equal operations without parameters and randomness that read the same inputs are one node (two ReLUs of one tensor).
* Zeros go through operations that keep them (a convolution without bias; never a normalisation, which adds its
  learned shift), and a sum drops them while another summand is left.
* Of what computes a zero that is not dropped (because it feeds a normalisation, say) only its shape matters: it
  becomes the `zero` of the earliest node before it that surely has that shape, if there is one.
* A sum that only another sum reads becomes part of it: a + (b + c) is a + b + c.  `lower` gives shapes to sums after
  this same step, so it is exact also where summands need a projection.  A sum with more readers stays: it is one
  tensor, computed once.

Repeated inputs (a + a) stay.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Any

import attrs

from morphml_core.graph.ir import Graph, Node, Value
from morphml_core.graph.operations import Operation, OperationSet

Params = dict[str, Value]

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


@attrs.frozen
class Columns:
    """What `Simplified` holds, by column; `params` are complete.  Equal nodes share one dictionary, which nobody changes."""

    ops: Sequence[str]
    inputs: Sequence[tuple[int, ...]]
    params: Sequence[Params]
    origin: Sequence[int]
    live: Sequence[bool]
    zero: Sequence[bool]


def simplify(graph: Graph, operations: OperationSet) -> Simplified:
    """Apply the exact rules to the inputs of the nodes; what is no longer read is marked as not live."""
    found = simplified_columns(graph, operations)
    columns = zip(found.ops, found.inputs, found.params, strict=True)
    nodes = tuple(Node(op, sources, params) for op, sources, params in columns)
    return Simplified(nodes, tuple(found.origin), tuple(found.live), tuple(found.zero))


def simplified_columns(graph: Graph, operations: OperationSet) -> Columns:
    """The same, without a `Node` for each node: most of them need none."""
    ops: Sequence[str] = [node.op for node in graph.nodes]
    inputs: Sequence[tuple[int, ...]] = [node.inputs for node in graph.nodes]
    params = _completed(graph, operations)
    origin: Sequence[int] = range(len(graph))
    last = len(graph) - 1
    while True:
        work = _Work(operations, "zero" in ops)
        for index, op in enumerate(ops):
            work.place(index, origin[index], op, inputs[index], params[index])
        last = work.resolved[last]
        absorbed = work.absorb_sums(_reachable(work.inputs, last))
        ops, inputs, params, origin = work.ops, work.inputs, work.params, work.origin
        if not absorbed:  # Otherwise sums that were different may be equal now.
            return Columns(ops, inputs, params, origin, _reachable(inputs, last), work.zero)


def _completed(graph: Graph, operations: OperationSet) -> Sequence[Params]:
    """The complete parameters of each node.  Raises `GraphError` for unknown operations and parameters."""
    # `repr` tells 1 from True, which are equal.
    known: dict[tuple[str, str], Params] = {}
    found = []
    for node in graph.nodes:
        key = node.op, repr(node.params) if node.params else ""
        params = known.get(key)
        if params is None:
            own = dict(node.params) if node.op in ENDS else operations[node.op].complete(node.params)
            params = known[key] = own
        found.append(params)
    return found


class _Work:
    """The nodes placed so far, by column; `resolved[i]` is the node that gives the output of the graph's node i."""

    def __init__(self, operations: OperationSet, zeros: bool) -> None:
        self.operations = operations
        self.ops: list[str] = []
        self.inputs: list[tuple[int, ...]] = []
        self.params: list[Params] = []
        self.origin: list[int] = []
        self.zero: list[bool] = []
        self.resolved: dict[int, int] = {}
        self.copies: dict[Any, int] = {}
        self.forms = _Forms() if zeros else None

    def place(self, index: int, origin: int, op: str, inputs: tuple[int, ...], params: Params) -> None:
        """Place a node, and before it the sum that its inputs imply."""
        sources = tuple([self.resolved[source] for source in inputs])
        operation = None if op in ENDS else self.operations[op]
        if len(sources) > 1 and (operation is None or operation.arity == 1):
            sources = (self._put(origin, self.operations["add"], "add", sources, {}),)
        self.resolved[index] = self._put(origin, operation, op, sources, params)

    def _put(self, origin: int, operation: Operation | None, op: str, sources: tuple[int, ...], params: Params) -> int:
        """Append the node, unless an earlier one has its output; return the index of the node that has it."""
        zeros = [self.zero[source] for source in sources] if self.forms is not None else []
        if op == "add" and any(zeros) and not all(zeros):
            sources = tuple(source for source, zero in zip(sources, zeros, strict=True) if not zero)
        if operation is not None and sources and operation.identity(len(sources), params):
            return sources[0]
        zero = operation is not None and (op == "zero" or (any(zeros) and all(zeros) and operation.keeps_zero(params)))
        if zero and operation is not None and self.forms is not None and sources:
            return self._put_zero(origin, operation, sources, params)
        return self._put_once(origin, operation, op, sources, params, zero)

    def _put_once(
        self, origin: int, operation: Operation | None, op: str, sources: tuple[int, ...], params: Params, zero: bool
    ) -> int:
        """Append the node unless there is a copy of it; return the index of either."""
        key = self._key(operation, op, sources, params)
        if key is None:
            return self._append(origin, operation, op, sources, params, zero)
        if key not in self.copies:
            self.copies[key] = self._append(origin, operation, op, sources, params, zero)
        return self.copies[key]

    def _put_zero(self, origin: int, operation: Operation, sources: tuple[int, ...], params: Params) -> int:
        """Put the plainest node that is this zero; where it replaces weights, they stay, dead, to be counted."""
        assert self.forms is not None
        found = self.forms.earliest(self.forms.of(operation, operation.name, sources, params), sources)
        if found is not None and not operation.pure:
            self._append(origin, operation, operation.name, sources, params, True)
        if found is not None and self.zero[found]:
            return found
        if found is not None:
            operation, sources = self.operations["zero"], (found,)
            params = dict(operation.defaults)
        elif operation.name == "zero":
            same = self.forms.earliest(self.forms[sources[0]], sources)
            sources = sources if same is None else (same,)
        return self._put_once(origin, operation, operation.name, sources, params, True)

    def _append(
        self, origin: int, operation: Operation | None, op: str, sources: tuple[int, ...], params: Params, zero: bool
    ) -> int:
        if self.forms is not None:
            self.forms.append(self.forms.of(operation, op, sources, params), sources)
        self.ops.append(op)
        self.inputs.append(sources)
        self.params.append(params)
        self.origin.append(origin)
        self.zero.append(zero)
        return len(self.ops) - 1

    @staticmethod
    def _key(operation: Operation | None, op: str, sources: tuple[int, ...], params: Params) -> Any:
        """What equal copies have in common; None where copies differ."""
        if operation is None:
            return op if op == "input" else None
        if not operation.pure:
            return None
        unordered = operation.commutative and not operation.permutes
        return op, tuple(sorted(sources)) if unordered else sources, tuple(sorted(params.items())) if params else ()

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


class _Forms:
    """For each node a term for its shape: nodes with equal terms have equal shapes, whatever the data.

    A term is (channels, positions), each a number that stands for how it comes about.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._terms: list[tuple[int, int]] = []
        self._depths: list[int] = []
        # The nodes that a node depends on, and itself, as the bits of a number.
        self._below: list[int] = []
        self._nearest: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self._terms[index]

    def append(self, term: tuple[int, int], sources: tuple[int, ...]) -> None:
        """Note the term of the next node."""
        index = len(self._terms)
        depth = 1 + max([self._depths[source] for source in sources], default=-1)
        insort(self._nearest.setdefault(term, []), (depth, index))
        self._terms.append(term)
        self._depths.append(depth)
        self._below.append(self._all_below(sources) | 1 << index)

    def _all_below(self, sources: tuple[int, ...]) -> int:
        below = 0
        for source in sources:
            below |= self._below[source]
        return below

    def of(self, operation: Operation | None, op: str, sources: tuple[int, ...], params: Params) -> tuple[int, int]:
        """The term of a node."""
        terms = [self._terms[source] for source in sources]
        if len(terms) > 1 and operation is not None and operation.commutative:
            terms.sort()
        made = self._number((op, tuple(sorted(params.items())) if params else (), tuple(terms)))
        if operation is None:
            return made, made
        width = params.get("channels", params.get("units"))
        channels = positions = made
        if terms and operation.keeps_positions(params):
            channels = _common(terms, 0, made)
            positions = _common(terms, 1, made)
        return channels if width is None else self._number(width), positions

    def _number(self, key: Any) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def earliest(self, term: tuple[int, int], sources: tuple[int, ...]) -> int | None:
        """The node of that term, among `sources` and what they depend on, nearest to the input; None for none or several."""
        below = self._all_below(sources)
        there = ((depth, index) for depth, index in self._nearest.get(term, ()) if below >> index & 1)
        depth, first = next(there, (0, None))
        other_depth, _ = next(there, (-1, None))
        return None if depth == other_depth else first


def _common(terms: Sequence[tuple[int, int]], axis: int, otherwise: int) -> int:
    """What all terms have at one place, or else the other number."""
    first = terms[0][axis]
    for term in terms:
        if term[axis] != first:
            return otherwise
    return first


def _reachable(inputs: Sequence[tuple[int, ...]], last: int) -> list[bool]:
    live = [False] * len(inputs)
    live[last] = True
    for index in range(last, -1, -1):
        if live[index]:
            for source in inputs[index]:
                live[source] = True
    return live
