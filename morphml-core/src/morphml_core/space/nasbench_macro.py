"""The space `nasbench_macro`: the eight searched layers of NAS-Bench-Macro (Su et al., CVPR 2021) in their published skeleton.

Eight decisions, `layer1` to `layer8`, each `identity`, `mb3` (inverted residual, kernel 3, expansion 3) or `mb6` (kernel 5,
expansion 6): the order of the digits 0, 1, 2 in the benchmark's table.  Layers 1, 3 and 6 halve the size and double the
channels; an identity there is a 1x1 convolution with a norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace

OPERATIONS = ("identity", "mb3", "mb6")
"""What a layer can be; the position is the digit in the benchmark's table."""

STAGES = (2, 3, 3)
"""Layers of each stage; the first of a stage has stride 2 and twice the channels."""

_KERNEL_AND_EXPANSION = {"mb3": (3, 3), "mb6": (5, 6)}


@attrs.frozen
class Config:
    """The skeleton around the layers; the defaults are the published ones."""

    channels: int = 32
    """Channels of the stem."""
    head: int = 1280
    """Channels of the last convolution."""


def _conv_norm(build: GraphBuilder, source: int, channels: int, kernel: int = 1, stride: int = 1) -> int:
    return build.add("batch_norm", build.add("conv", source, channels=channels, kernel=kernel, stride=stride))


def _inverted_residual(build: GraphBuilder, source: int, channels: tuple[int, int], op: str, stride: int) -> int:
    """Expand, convolve by channel, project; with a shortcut where the shape stays (Sandler et al., 2018)."""
    (before, after), (kernel, expansion) = channels, _KERNEL_AND_EXPANSION[op]
    state = build.add("relu", _conv_norm(build, source, before * expansion))
    state = build.add("batch_norm", build.add("depthwise_conv", state, kernel=kernel, stride=stride))
    state = _conv_norm(build, build.add("relu", state), after)
    return build.add("add", state, source) if stride == 1 and before == after else state


def _layer(build: GraphBuilder, source: int, channels: tuple[int, int], op: str, stride: int) -> int:
    if op != "identity":
        return _inverted_residual(build, source, channels, op, stride)
    if stride == 1 and channels[0] == channels[1]:
        return build.add("identity", source)
    return _conv_norm(build, source, channels[1], stride=stride)


def graph(config: Config, values: Mapping[str, Any]) -> Graph:
    """The network of the eight layers by path."""
    build = GraphBuilder()
    channels = config.channels
    state = build.add("relu", _conv_norm(build, build.add("input"), channels, 3))
    number = 0
    for layers in STAGES:
        for layer in range(layers):
            number += 1
            before, stride = channels, 1 if layer else 2
            channels *= stride
            state = _layer(build, state, (before, channels), values[f"layer{number}"], stride)
    build.add("output", build.add("relu", _conv_norm(build, state, config.head)))
    return build.graph()


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` unless both numbers are at least 1."""
    if config.channels < 1 or config.head < 1:
        raise SpaceError(
            f"nasbench_macro needs channels and head of at least 1, but got {config.channels} and {config.head}"
        )
    decisions = DecisionSpace(Decision(f"layer{number}", Choice(OPERATIONS)) for number in range(1, sum(STAGES) + 1))
    return SearchSpace(decisions, lambda values: graph(config, values), vision())


component = space(Config, create)
