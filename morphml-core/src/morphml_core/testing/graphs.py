"""A Hypothesis strategy for networks, for tests that must hold for any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from morphml_core.graph.ir import Graph, GraphBuilder, Value
from morphml_core.graph.operations import OperationSet

Menu = Sequence[tuple[str, Mapping[str, Value]]]
"""Operations with their parameters."""

IMAGES: Menu = (
    ("conv", {"channels": 8}),
    ("conv", {"channels": 4, "kernel": 1}),
    ("conv", {"channels": 8, "groups": 4, "bias": True}),
    ("depthwise_conv", {}),
    ("separable_conv", {"channels": 8}),
    ("dilated_conv", {"channels": 4}),
    ("factorized_reduce", {"channels": 4}),
    ("conv", {"channels": 8, "stride": 2}),
    ("max_pool", {"kernel": 3, "stride": 2}),
    ("avg_pool", {}),
    ("batch_norm", {}),
    ("layer_norm", {}),
    ("group_norm", {"groups": 4}),
    ("relu", {}),
    ("hardswish", {}),
    ("dropout", {"rate": 0.5}),
    ("dropout", {"rate": 0.0}),
    ("squeeze_excite", {}),
    ("attention", {"heads": 2}),
    ("identity", {}),
    ("zero", {}),
    ("zero", {"stride": 2}),
    ("add", {}),
    ("multiply", {}),
    ("concat", {}),
    ("project", {"channels": 4}),
)
"""Operations of the set `vision` on images whose channels are multiples of four."""


@st.composite
def networks(draw: st.DrawFn, operations: OperationSet, menu: Menu = IMAGES, most: int = 9) -> Graph:
    """Networks of at most `most` operations, each reading one to three earlier nodes; some nodes may be dead.

    Begins with `input`, ends with `output`.  Shapes may not fit: then `lower` raises `ShapeError`.
    """
    builder = GraphBuilder()
    builder.add("input")
    for index in range(1, draw(st.integers(0, most)) + 1):
        op, params = draw(st.sampled_from(menu))
        arity = operations[op].arity
        # Nearer nodes are likelier, so that networks have some depth.
        back = st.one_of(st.just(1), st.integers(1, index))
        count = 1 if arity == 1 and draw(st.integers(0, 3)) else draw(st.integers(1, 3))
        builder.add(op, *(index - draw(back) for _ in range(count)), **params)
    last = len(builder.graph()) - 1
    builder.add("output", *{last, draw(st.integers(0, last))})
    return builder.graph()


def relabelled(graph: Graph, operations: OperationSet) -> st.SearchStrategy[Graph]:
    """The same network with its nodes in another order, and the inputs of commutative operations shuffled."""
    return _relabelled(graph, operations)


@st.composite
def _relabelled(draw: st.DrawFn, graph: Graph, operations: OperationSet) -> Graph:
    builder = GraphBuilder()
    place: dict[int, int] = {}
    last = len(graph) - 1
    while len(place) < len(graph):
        ready = [
            index
            for index, node in enumerate(graph.nodes)
            if index not in place
            and all(source in place for source in node.inputs)
            and (index != last or len(place) == last)
        ]
        # `input` stays first, and what ends the graph last.
        index = 0 if not place else draw(st.sampled_from(ready))
        node = graph.nodes[index]
        sources = [place[source] for source in node.inputs]
        exact = node.op not in ("input", "output") and operations[node.op].arity != 1 and _ordered(node.op, operations)
        if not exact:
            sources = draw(st.permutations(sources))
        place[index] = builder.add(node.op, *sources, **dict(node.params))
    return builder.graph()


def _ordered(op: str, operations: OperationSet) -> bool:
    return not operations[op].commutative or operations[op].permutes
