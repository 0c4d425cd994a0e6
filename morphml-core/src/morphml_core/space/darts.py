"""The space `darts`: normal and reduction cells of DARTS (Liu, Simonyan and Yang, ICLR 2019) in their network for CIFAR.

Each cell has four nodes behind the outputs of the two cells before it.  Node n adds up two edges: `normal.node<n>.inputs` says
which two of the states before it they come from (`back2`, `back1`, `node1`, ...), `normal.node<n>.op1` and `op2` what they do, in the
order of the states; the same with `reduction`.  The cell's output are its four nodes, concatenated.  Auxiliary head and drop path, which
belong to the training, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Subset
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
"""What an edge can be, in the paper's order."""

STATES = ("back2", "back1", "node1", "node2", "node3")
"""Where an edge can come from: the cell before the last, the last cell, and the cell's own nodes."""


@attrs.frozen
class Config:
    """The network around the cells; the defaults are those the paper evaluates on CIFAR-10."""

    channels: int = 36
    """Channels of the first cells; doubled by each of the two reductions."""
    cells: int = 20
    """Cells in all; those at one and two thirds are reduction cells."""
    stem_multiplier: int = 3
    """Channels of the stem, as a multiple of `channels`."""
    none: bool = False
    """Whether an edge can also be `none`, as in the paper's relaxed search; its final networks have no such edge."""


def decisions(config: Config) -> Iterator[Decision]:
    """The decisions of both cells: 24 in all."""
    operations = (*OPERATIONS, "none") if config.none else OPERATIONS
    for cell in ("normal", "reduction"):
        for node in range(1, 5):
            yield Decision(f"{cell}.node{node}.inputs", Subset(STATES[: node + 1], 2, 2))
            for edge in (1, 2):
                yield Decision(f"{cell}.node{node}.op{edge}", Choice(operations))


def _conv_norm(build: GraphBuilder, source: int, channels: int, kernel: int = 1) -> int:
    return build.add("batch_norm", build.add("conv", source, channels=channels, kernel=kernel))


def _reduced(build: GraphBuilder, source: int, channels: int) -> int:
    active = build.add("relu", source)
    return build.add("batch_norm", build.add("factorized_reduce", active, channels=channels))


def _separable(build: GraphBuilder, source: int, channels: int, **params: int) -> int:
    active = build.add("relu", source)
    return build.add("batch_norm", build.add("separable_conv", active, channels=channels, **params))


def _edge(build: GraphBuilder, op: str, source: int, channels: int, stride: int) -> int:
    if op == "none":
        return build.add("zero", source, stride=stride)
    if op == "skip_connect":
        return build.add("identity", source) if stride == 1 else _reduced(build, source, channels)
    kind, _, size = op.rpartition("_")
    kernel = int(size[0])
    if kind in ("max_pool", "avg_pool"):
        return build.add(kind, source, kernel=kernel, stride=stride)
    if kind == "dil_conv":
        return _separable(build, source, channels, kernel=kernel, stride=stride, dilation=2)
    first = _separable(build, source, channels, kernel=kernel, stride=stride)
    return _separable(build, first, channels, kernel=kernel)


@attrs.frozen
class _Cell:
    """One cell of the network: its kind, its channels, and whether the cell before it halved the size."""

    kind: str
    channels: int
    after_reduction: bool

    def draw(self, build: GraphBuilder, back: tuple[int, int], values: Mapping[str, Any]) -> int:
        """Add the cell behind the two before it and return its output."""
        states = dict(zip(STATES, self._prepared(build, back), strict=False))
        for node in range(1, 5):
            path = f"{self.kind}.node{node}"
            ends = [
                _edge(build, values[f"{path}.op{edge}"], states[state], self.channels, self._stride(state))
                for edge, state in enumerate(values[f"{path}.inputs"], 1)
            ]
            states[f"node{node}"] = build.add("add", *ends)
        return build.add("concat", *list(states.values())[2:])

    def _stride(self, state: str) -> int:
        return 2 if self.kind == "reduction" and state in ("back2", "back1") else 1

    def _prepared(self, build: GraphBuilder, back: tuple[int, int]) -> Sequence[int]:
        two, one = back
        if self.after_reduction:
            before = _reduced(build, two, self.channels)
        else:
            before = _conv_norm(build, build.add("relu", two), self.channels)
        return before, _conv_norm(build, build.add("relu", one), self.channels)


def graph(config: Config, values: Mapping[str, Any]) -> Graph:
    """The network of the two cells' decisions by path."""
    build = GraphBuilder()
    channels = config.channels
    stem = _conv_norm(build, build.add("input"), channels * config.stem_multiplier, 3)
    back, reduced = (stem, stem), False
    for index in range(config.cells):
        reduction = index in (config.cells // 3, 2 * config.cells // 3)
        channels *= 2 if reduction else 1
        cell = _Cell("reduction" if reduction else "normal", channels, reduced)
        back, reduced = (back[1], cell.draw(build, back, values)), reduction
    build.add("output", back[1])
    return build.graph()


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` unless its numbers are at least 1."""
    for name in ("channels", "cells", "stem_multiplier"):
        if getattr(config, name) < 1:
            raise SpaceError(f"darts needs {name} of at least 1, but got {getattr(config, name)}")
    # Three cells are the fewest with one of each kind: normal, reduction, reduction.
    sketch = partial(graph, attrs.evolve(config, cells=min(config.cells, 3)))
    return SearchSpace(DecisionSpace(decisions(config)), partial(graph, config), vision(), sketch)


component = space(Config, create)
