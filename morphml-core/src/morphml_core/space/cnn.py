"""The space `cnn`: convolutional networks for small images, stage by stage.

    space: {name: cnn, stages: [2, 3], widths: [16, 32, 64], hyperparameters: {learning_rate: {real: [1.0e-3, 1.0e-1], log: true}}}

A stem (`stem.channels`), then `stages` stages.  Stage s has a width (`stage<s>.channels`), a number of blocks (`stage<s>.depth`) and, from
the second stage on, a way to halve the size (`stage<s>.downsample`: by pooling before it, or by the stride of its first block).  Each block has
a kind (`stage<s>.block<b>.kind`), a kernel (`.kernel`) and, if it is an inverted residual, an expansion (`.expansion`).  `norm`,
`activation` and `dropout` are decided once for the network.

The kinds: `conv` (convolution, norm, activation), `separable` (the same with a depthwise separable convolution), `residual` (two
convolutions and a shortcut; He et al., 2016) and `inverted_residual` (expand, depthwise convolution, project; Sandler et al., 2018).
Macro spaces of this form were introduced with MnasNet (Tan et al., CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder
from morphml_core.plugins.component import space
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.language import read_hyperparameters
from morphml_core.space.reading import list_complaints, range_complaints, rate_complaints
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace

KINDS = ("conv", "separable", "residual", "inverted_residual")
"""The kinds of block."""

DOWNSAMPLING = ("max_pool", "stride")
"""The ways to halve the size before a stage."""


NORMS = ("batch_norm", "group_norm", "layer_norm", "identity")
"""The normalisations; identity stands for none."""

ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "hardswish", "tanh", "sigmoid")
"""The activations."""

_KNOWN = {"blocks": KINDS, "norms": NORMS, "activations": ACTIVATIONS, "downsampling": DOWNSAMPLING}


@attrs.frozen
class Config:
    """The ranges of the search.  A list of one value, or a range of equal bounds, fixes it."""

    stages: tuple[int, int] = (2, 3)
    """Fewest and most stages; each but the first halves the size of the images."""
    depth: tuple[int, int] = (1, 2)
    """Fewest and most blocks in a stage."""
    widths: tuple[int, ...] = (16, 24, 32, 48, 64)
    """Channels that the stem and a stage can have."""
    kernels: tuple[int, ...] = (3, 5)
    """Kernel sizes of a block."""
    blocks: tuple[str, ...] = KINDS
    """Kinds of block: conv, separable, residual, inverted_residual."""
    expansions: tuple[int, ...] = (2, 4)
    """Expansions of an inverted residual."""
    norms: tuple[str, ...] = ("batch_norm",)
    """Normalisations: batch_norm, group_norm (widths are then multiples of 8), layer_norm, or identity for none."""
    activations: tuple[str, ...] = ("relu", "silu")
    """Activations: relu, relu6, leaky_relu, elu, gelu, silu, hardswish, tanh, sigmoid."""
    downsampling: tuple[str, ...] = DOWNSAMPLING
    """Ways to halve the size before a stage: max_pool, stride."""
    dropout: tuple[float, float] = (0.0, 0.3)
    """Lowest and highest rate of the dropout before the classifier."""
    hyperparameters: dict[str, Any] = attrs.field(factory=dict)
    """What is searched with the network, as in the space language: learning_rate: {real: [1.0e-3, 1.0e-1], log: true}."""


def decisions(config: Config) -> Iterator[Decision]:
    """The decisions about the network, in the order of its parts."""
    yield Decision("norm", Choice(config.norms))
    yield Decision("activation", Choice(config.activations))
    yield Decision("dropout", Real(*config.dropout))
    yield Decision("stem.channels", Choice(config.widths))
    fewest, most = config.stages
    yield Decision("stages", Integer(fewest, most))
    for stage in range(1, most + 1):
        there: tuple[str | None, range | tuple[()]] = (
            ("stages", range(stage, most + 1)) if stage > fewest else (None, ())
        )
        yield Decision(f"stage{stage}.channels", Choice(config.widths), *there)
        if stage > 1:
            yield Decision(f"stage{stage}.downsample", Choice(config.downsampling), *there)
        yield from _blocks(config, f"stage{stage}", there)


def _blocks(config: Config, stage: str, there: tuple[str | None, Any]) -> Iterator[Decision]:
    fewest, most = config.depth
    yield Decision(f"{stage}.depth", Integer(fewest, most), *there)
    for block in range(1, most + 1):
        path = f"{stage}.block{block}"
        condition = (f"{stage}.depth", range(block, most + 1)) if block > fewest else there
        yield Decision(f"{path}.kind", Choice(config.blocks), *condition)
        yield Decision(f"{path}.kernel", Choice(config.kernels), *condition)
        if "inverted_residual" in config.blocks:
            yield Decision(f"{path}.expansion", Choice(config.expansions), f"{path}.kind", ("inverted_residual",))


class _Drawing:
    """Draws one network; keeps the last node and its channels."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.build = GraphBuilder()
        self.state = self.build.add("input")
        self.channels = 0

    def add(self, op: str, **params: Any) -> None:
        self.state = self.build.add(op, self.state, **params)

    def norm(self) -> None:
        self.add(self.values["norm"])

    def finish(self) -> None:
        self.norm()
        self.add(self.values["activation"])

    def conv(self, channels: int, kernel: int, stride: int = 1) -> None:
        self.add("conv", channels=channels, kernel=kernel, stride=stride)

    def stage(self, stage: str) -> None:
        stride = 2 if self.values.get(f"{stage}.downsample") == "stride" else 1
        if self.values.get(f"{stage}.downsample") == "max_pool":
            self.add("max_pool", kernel=2, stride=2)
        for block in range(1, self.values[f"{stage}.depth"] + 1):
            self.block(f"{stage}.block{block}", self.values[f"{stage}.channels"], stride if block == 1 else 1)

    def block(self, path: str, channels: int, stride: int) -> None:
        kind, kernel = self.values[f"{path}.kind"], self.values[f"{path}.kernel"]
        if kind == "inverted_residual":
            self.inverted(channels, kernel, stride, self.values[f"{path}.expansion"])
        elif kind == "residual":
            self.residual(channels, kernel, stride)
        else:
            op = "conv" if kind == "conv" else "separable_conv"
            self.add(op, channels=channels, kernel=kernel, stride=stride)
            self.finish()
        self.channels = channels

    def residual(self, channels: int, kernel: int, stride: int) -> None:
        source = self.state
        self.conv(channels, kernel, stride)
        self.finish()
        self.conv(channels, kernel)
        self.norm()
        self.state = self.build.add("add", source, self.state)
        self.add(self.values["activation"])

    def inverted(self, channels: int, kernel: int, stride: int, expansion: int) -> None:
        source = self.state
        self.conv(self.channels * expansion, 1)
        self.finish()
        self.add("depthwise_conv", kernel=kernel, stride=stride)
        self.finish()
        self.conv(channels, 1)
        self.norm()
        if stride == 1 and channels == self.channels:
            self.state = self.build.add("add", source, self.state)


def graph(values: Mapping[str, Any]) -> Graph:
    """The network of the decisions by path."""
    drawing = _Drawing(values)
    drawing.channels = values["stem.channels"]
    drawing.conv(drawing.channels, 3)
    drawing.finish()
    for stage in range(1, values["stages"] + 1):
        drawing.stage(f"stage{stage}")
    drawing.add("dropout", rate=values["dropout"])
    drawing.add("output")
    return drawing.build.graph()


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` with a line for each option that does not fit."""
    wrong = _complaints(config)
    hyperparameters = read_hyperparameters(config.hyperparameters, wrong)
    if wrong:
        raise SpaceError("\n".join(wrong))
    return SearchSpace(DecisionSpace([*decisions(config), *hyperparameters]), graph, vision())


def _complaints(config: Config) -> list[str]:
    wrong = range_complaints("stages", config.stages) + range_complaints("depth", config.depth)
    wrong += rate_complaints("dropout", config.dropout)
    for name in ("widths", "kernels", "expansions"):
        wrong += list_complaints(name, getattr(config, name))
    for name, known in _KNOWN.items():
        wrong += list_complaints(name, getattr(config, name), known)
    even = [kernel for kernel in config.kernels if kernel % 2 == 0]
    return wrong + [f"kernels: {kernel} is even; kernels are odd, so that sizes stay" for kernel in even]


component = space(Config, create)
