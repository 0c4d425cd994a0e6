"""The networks of TransNAS-Bench-101 and NAS-Bench-Graph, whose spaces are not built in: graphs of the values of their decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.graph.operations import Cost, Operation, OperationSet
from morphml_core.space.nasbench201 import EDGES
from morphml_core.space.sets import vision

# TransNAS-Bench-101, micro ----------------------------------------------------------------------------

TRANSFER_OPERATIONS = ("none", "skip_connect", "conv_1x1", "conv_3x3")
"""What an edge can be; the position is the digit in the table."""


def _relu_conv_norm(build: GraphBuilder, source: int, channels: int, kernel: int, stride: int) -> int:
    active = build.add("relu", source)
    return build.add("batch_norm", build.add("conv", active, channels=channels, kernel=kernel, stride=stride))


def _edge(build: GraphBuilder, op: str, source: int, channels: int, stride: int) -> int:
    if op == "none":
        return build.add("zero", source, stride=stride)
    if op == "skip_connect":
        if stride == 1:
            return build.add("identity", source)
        return build.add("batch_norm", build.add("factorized_reduce", build.add("relu", source), channels=channels))
    return _relu_conv_norm(build, source, channels, 1 if op == "conv_1x1" else 3, stride)


def _cell(build: GraphBuilder, source: int, channels: int, stride: int, values: Mapping[str, Any]) -> int:
    nodes = [source]
    for target in range(1, 4):
        edges = [
            _edge(build, values[f"cell.edge{start}_{end}"], nodes[start], channels, 1 if start else stride)
            for start, end in EDGES
            if end == target
        ]
        nodes.append(build.add("add", *edges) if len(edges) > 1 else edges[0])
    return nodes[-1]


def transfer_graph(values: Mapping[str, Any], modules: int = 5) -> Graph:
    """The network `64-41414` of a cell: five modules of two cells, of which the first, third and fifth halve the size.

    The first cell of these does it in the edges from its first node, so that a skip connection there is no identity but a factorized
    reduction (Duan et al., CVPR 2021, and the code of its authors).
    """
    build = GraphBuilder()
    channels = 64
    state = build.add("conv", build.add("input"), channels=channels // 2, kernel=3, stride=2)
    state = _relu_conv_norm(build, build.add("batch_norm", state), channels, 3, 2)
    for module in range(modules):
        stride = 1 if module % 2 else 2
        channels *= stride
        state = _cell(build, state, channels, stride, values)
        state = _cell(build, state, channels, 1, values)
    build.add("output", state)
    return build.graph()


# NAS-Bench-Graph --------------------------------------------------------------------------------------

GRAPH_OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""What a layer can be; the position is the number in the table."""

LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
"""Which node each of the four layers reads (0: the raw input, 1: the first layer, ...); the position is the number in the table."""


def _layer(name: str) -> Operation:
    """A graph convolution as far as the form of a network goes: it has weights of its own and mixes all channels."""
    return Operation(
        name, lambda inputs, params: inputs[0], lambda inputs, output, params: Cost(), "", lambda i, o, p: {},
        channels=lambda params: "mix", summary="a layer of NAS-Bench-Graph, whose results are in a table: it is never built",
    )  # fmt: skip


def layers() -> OperationSet:
    """The operations of NAS-Bench-Graph; a skip is an identity, and what no layer reads is concatenated."""
    shared = vision()
    return OperationSet("layers", [*map(_layer, GRAPH_OPERATIONS[:-1]), shared["identity"], shared["concat"]])


def layer_graph(values: Mapping[str, Any]) -> Graph:
    """The network of a link and four operations (Qin et al., NeurIPS 2022).

    The output reads every layer that no other layer reads.  Of these, skips of the raw input count only where there is nothing
    else: so the authors' own rule for isomorphic networks has it, with which the fingerprints of these graphs agree in all 59,049.
    """
    build = GraphBuilder()
    nodes, raw = [build.add("input")], [True]
    for number, source in enumerate(map(int, values["link"]), 1):
        op = values[f"layer{number}"]
        nodes.append(build.add("identity" if op == "skip" else op, nodes[source]))
        raw.append(raw[source] and op == "skip")
    ends = [number for number in range(1, 5) if str(number) not in values["link"]]
    kept = [nodes[number] for number in ends if not raw[number]] or [nodes[0]]
    build.add("output", build.add("concat", *kept) if len(kept) > 1 else kept[0])
    return build.graph()


Form = tuple[Any, ...]


def layer_form(link: str, ops: Sequence[str]) -> Form:
    """What isomorphic networks have in common, as nested tuples: quicker than the fingerprint of their graph, and the same.

    A network without its skips is a tree, from the input to what is concatenated: each node is its operation, how often it is read by
    the output, and the sorted forms of the layers that read it.
    """
    reads: list[int] = [0]
    for number, source in enumerate(map(int, link), 1):
        reads.append(reads[source] if ops[number - 1] == "skip" else number)
    ends = [reads[number] for number in range(1, 5) if str(number) not in link]
    children: list[list[Form]] = [[], [], [], [], []]
    for number in range(4, 0, -1):
        if ops[number - 1] != "skip":
            form = (ops[number - 1], ends.count(number), *sorted(children[number]))
            children[reads[int(link[number - 1])]].append(form)
    return tuple(sorted(children[0]))
