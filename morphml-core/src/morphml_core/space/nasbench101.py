"""The space `nasbench101`: the cell of NAS-Bench-101 in its published skeleton (Ying et al., ICML 2019).

A cell is a directed graph of an input, up to five inner vertices, each a 3x3 or 1x1 convolution (with norm and ReLU) or a 3x3
max-pooling, and an output; after pruning it has at most nine edges.

The decisions are chosen so that most samples are cells.  Each vertex has an edge from one earlier vertex (`vertex1.from`, ...,
`output.from`), so that the output is always connected; five further edges, `extra1` to `extra5`, are each `none` or one of the 21
possible (`0-3`, where 0 is the input and 6 the output; one that is there already changes nothing).  Vertices that do not lead
to the output are pruned, as in the benchmark, which gives the smaller cells.  Every cell of the benchmark can be said so, and
about 93 of 100 samples have at most nine edges; `express` raises `GraphError` for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import GraphError, SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder, Shape
from morphml_core.graph.operations import Cost, Operation, OperationSet, Params
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""What an inner vertex can be."""

LAST = 6
"""The number of the output; 0 is the input, between them are the inner vertices."""

EXTRAS = 5
"""How many edges there can be beside one into each vertex: what the densest cells of the benchmark need."""

MOST_EDGES = 9

_PAIRS = tuple((start, end) for end in range(1, LAST + 1) for start in range(end))

Edges: TypeAlias = frozenset[tuple[int, int]]


@attrs.frozen
class Config:
    """The skeleton around the cell; the defaults are the published ones."""

    channels: int = 128
    """Channels of the stem and of the first of the three stacks; each further stack has twice as many."""
    cells: int = 3
    """Cells in each stack."""


def _vertex(number: int) -> str:
    return "output" if number == LAST else f"vertex{number}"


def decisions() -> Iterator[Decision]:
    """The 16 decisions of a cell."""
    for number in range(1, LAST + 1):
        yield Decision(f"{_vertex(number)}.from", Choice(tuple(range(number))))
        if number < LAST:
            yield Decision(f"{_vertex(number)}.op", Choice(OPERATIONS))
    extra = Choice(("none", *(f"{start}-{end}" for start, end in _PAIRS)))
    for number in range(1, EXTRAS + 1):
        yield Decision(f"extra{number}", extra)


def values_of(adjacency: Sequence[Sequence[int]], operations: Sequence[str]) -> dict[str, Any]:
    """The values of the decisions that say a cell of the benchmark: a 7x7 upper triangular matrix and its five inner operations.

    Raises `SpaceError` for a cell that the benchmark does not have: too many edges, or an output that nothing reaches.
    """
    edges = _pruned(frozenset(pair for pair in _PAIRS if adjacency[pair[0]][pair[1]]))
    if not edges or len(edges) > MOST_EDGES:
        raise SpaceError(
            f"a cell of NAS-Bench-101 has 1 to {MOST_EDGES} edges after pruning, but this one has {len(edges)}"
        )
    values: dict[str, Any] = {f"vertex{number}.op": op for number, op in enumerate(operations, 1)}
    rest = set(edges)
    for number in range(1, LAST + 1):
        # A vertex that is pruned hangs on the input, and leads nowhere.
        first = min((pair for pair in edges if pair[1] == number), default=(0, number))
        values[f"{_vertex(number)}.from"] = first[0]
        rest.discard(first)
    more = [f"{start}-{end}" for start, end in sorted(rest)]
    values |= {f"extra{number}": extra for number, extra in enumerate(more + ["none"] * (EXTRAS - len(more)), 1)}
    return values


def _edges(values: Mapping[str, Any]) -> Edges:
    found = {(int(values[f"{_vertex(number)}.from"]), number) for number in range(1, LAST + 1)}
    for number in range(1, EXTRAS + 1):
        if values[f"extra{number}"] != "none":
            start, _, end = values[f"extra{number}"].partition("-")
            found.add((int(start), int(end)))
    return frozenset(found)


def _pruned(edges: Edges) -> Edges:
    """The edges that lie on a path from the input to the output."""
    ahead, behind = {0}, {LAST}
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        if start in ahead:
            ahead.add(end)
    for start, end in sorted(edges, key=lambda edge: -edge[0]):
        if end in behind:
            behind.add(start)
    kept = ahead & behind
    return frozenset(edge for edge in edges if kept.issuperset(edge))


def vertex_channels(edges: Edges, channels: int) -> dict[int, int]:
    """Channels of the inner vertices: those before the output share its channels evenly (the first ones get the remainder),
    others have as many as the widest they lead to."""
    before = sorted(start for start, end in edges if end == LAST and start)
    found = {vertex: channels // len(before) + (place < channels % len(before)) for place, vertex in enumerate(before)}
    for vertex in range(LAST - 1, 0, -1):
        after = [end for start, end in edges if start == vertex and end != LAST]
        if vertex not in found and after:
            found[vertex] = max(found[end] for end in after)
    return found


@attrs.frozen
class _Cell:
    """A pruned cell at one width: draws itself behind a node."""

    edges: Edges
    values: Mapping[str, Any]
    channels: int

    def draw(self, build: GraphBuilder, source: int) -> int:
        """Add the cell and return its output."""
        channels = vertex_channels(self.edges, self.channels)
        at: dict[int, int] = {}
        for vertex in sorted(channels):
            parts = [self._read(build, at, channels, start, vertex) for start in self._into(vertex) if start]
            if (0, vertex) in self.edges:
                parts.append(_conv(build, source, channels[vertex], 1))
            total = build.add("add", *parts) if len(parts) > 1 else parts[0]
            at[vertex] = _vertex_op(build, self.values[f"vertex{vertex}.op"], total, channels[vertex])
        return self._output(build, source, [at[start] for start in self._into(LAST) if start])

    def _into(self, vertex: int) -> list[int]:
        return sorted(start for start, end in self.edges if end == vertex)

    @staticmethod
    def _read(build: GraphBuilder, at: Mapping[int, int], channels: Mapping[int, int], start: int, end: int) -> int:
        if channels[start] == channels[end]:
            return at[start]
        return build.add("truncate", at[start], channels=channels[end])

    def _output(self, build: GraphBuilder, source: int, parts: Sequence[int]) -> int:
        if not parts:
            return _conv(build, source, self.channels, 1)
        joined = build.add("concat", *parts) if len(parts) > 1 else parts[0]
        if (0, LAST) not in self.edges:
            return joined
        return build.add("add", joined, _conv(build, source, self.channels, 1))


def _conv(build: GraphBuilder, source: int, channels: int, kernel: int) -> int:
    state = build.add("conv", source, channels=channels, kernel=kernel)
    return build.add("relu", build.add("batch_norm", state))


def _vertex_op(build: GraphBuilder, op: str, source: int, channels: int) -> int:
    if op == "maxpool3x3":
        return build.add("max_pool", source, kernel=3)
    return _conv(build, source, channels, 3 if op == "conv3x3-bn-relu" else 1)


def graph(config: Config, values: Mapping[str, Any], stacks: int = 3) -> Graph:
    """The network of a cell.  Raises `GraphError` for a cell with more than nine edges."""
    edges = _pruned(_edges(values))
    if len(edges) > MOST_EDGES:
        raise GraphError(
            f"the cell has {len(edges)} edges after pruning; NAS-Bench-101 has cells of at most {MOST_EDGES}"
        )
    build = GraphBuilder()
    state = _conv(build, build.add("input"), config.channels, 3)
    for stack in range(stacks):
        if stack:
            state = build.add("max_pool", state, kernel=2, stride=2)
        cell = _Cell(edges, values, config.channels * 2**stack)
        for _ in range(config.cells):
            state = cell.draw(build, state)
    build.add("output", state)
    return build.graph()


def _truncated(inputs: tuple[Shape, ...], params: Params) -> Shape:
    channels, *sizes = inputs[0]
    if not 1 <= params["channels"] <= channels:
        raise ValueError(f"channels must be from 1 to the {channels} of its input, but it is {params['channels']}")
    return (params["channels"], *sizes)


TRUNCATE = Operation(
    "truncate",
    _truncated,
    lambda inputs, output, params: Cost(),
    "morphml_core.torch.truncate:Truncate",
    lambda inputs, output, params: {"channels": params["channels"]},
    required=("channels",),
    keeps_zero=lambda params: True,
    pure=True,
    summary="The first `channels` channels of its input: where vertices of a cell differ by one.",
)


def operations() -> OperationSet:
    """The set `vision`, and `truncate`."""
    return OperationSet("nasbench101", (*vision(), TRUNCATE))


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` unless there are channels for five vertices and at least one cell."""
    if config.channels < LAST - 1 or config.cells < 1:
        raise SpaceError(
            f"nasbench101 needs channels of at least {LAST - 1} and cells of at least 1, "
            f"but got {config.channels} and {config.cells}"
        )
    sketch = partial(graph, attrs.evolve(config, cells=1), stacks=1)
    return SearchSpace(DecisionSpace(decisions()), partial(graph, config), operations(), sketch)


component = space(Config, create)
