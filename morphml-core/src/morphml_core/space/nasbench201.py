"""The space `nasbench201`: the cell of NAS-Bench-201 in its published skeleton (Dong and Yang, ICLR 2020).

A cell has four nodes; each of its six edges applies one of five operations and each node is the sum of the edges into
it.  Six decisions, `cell.edge0_1`, `cell.edge0_2`, `cell.edge1_2`, `cell.edge0_3`, `cell.edge1_3` and `cell.edge2_3`: the
order of the benchmark's `arch_str`, and each one's values in the order of its digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""What an edge can be; the position is the digit in tables of the benchmark."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The edges (from, to) of a cell, in the order of `arch_str`."""


@attrs.frozen
class Config:
    """The skeleton around the cell; the defaults are the published ones."""

    channels: int = 16
    """Channels of the first of the three stages; each further stage has twice as many."""
    cells: int = 5
    """Cells in each stage."""


def _relu_conv_norm(build: GraphBuilder, source: int, channels: int, kernel: int, stride: int = 1) -> int:
    active = build.add("relu", source)
    return build.add("batch_norm", build.add("conv", active, channels=channels, kernel=kernel, stride=stride))


def _edge(build: GraphBuilder, op: str, source: int, channels: int) -> int:
    if op == "none":
        return build.add("zero", source)
    if op == "skip_connect":
        return build.add("identity", source)
    if op == "avg_pool_3x3":
        return build.add("avg_pool", source, kernel=3)
    return _relu_conv_norm(build, source, channels, 1 if op == "nor_conv_1x1" else 3)


def _cell(build: GraphBuilder, source: int, channels: int, values: Mapping[str, Any]) -> int:
    nodes = [source]
    for target in range(1, 4):
        edges = [
            _edge(build, values[f"cell.edge{start}_{end}"], nodes[start], channels)
            for start, end in EDGES
            if end == target
        ]
        nodes.append(build.add("add", *edges) if len(edges) > 1 else edges[0])
    return nodes[-1]


def _reduction(build: GraphBuilder, source: int, channels: int) -> int:
    """The residual block that halves the size: two convolutions, and a pooled, projected shortcut."""
    left = _relu_conv_norm(build, source, channels, 3, stride=2)
    left = _relu_conv_norm(build, left, channels, 3)
    pooled = build.add("avg_pool", source, kernel=2, stride=2)
    return build.add("add", left, build.add("conv", pooled, channels=channels, kernel=1))


def graph(config: Config, values: Mapping[str, Any], stages: int = 3) -> Graph:
    """The network of one cell's six operations by path."""
    build = GraphBuilder()
    channels = config.channels
    state = build.add("conv", build.add("input"), channels=channels, kernel=3)
    state = build.add("batch_norm", state)
    for stage in range(stages):
        if stage:
            channels *= 2
            state = _reduction(build, state, channels)
        for _ in range(config.cells):
            state = _cell(build, state, channels, values)
    build.add("output", build.add("relu", build.add("batch_norm", state)))
    return build.graph()


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` unless both numbers are at least 1."""
    if config.channels < 1 or config.cells < 1:
        raise SpaceError(
            f"nasbench201 needs channels and cells of at least 1, but got {config.channels} and {config.cells}"
        )
    decisions = DecisionSpace(Decision(f"cell.edge{start}_{end}", Choice(OPERATIONS)) for start, end in EDGES)
    once = attrs.evolve(config, cells=1)
    return SearchSpace(decisions, partial(graph, config), vision(), sketch=partial(graph, once, stages=1))


component = space(Config, create)
