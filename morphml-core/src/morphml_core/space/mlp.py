"""The space `mlp`: fully connected networks for tabular data.

    space: {name: mlp, depth: [1, 4], units: [16, 256]}

`depth` hidden layers, each with its number of units (`layer<n>.units`) and, where the options allow it, a shortcut around it
(`layer<n>.residual`); `norm`, `activation` and `dropout` are decided once for the network.  With a norm and shortcuts these are the
networks that Gorishniy et al. (NeurIPS 2021) found to be strong baselines for tables.
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
from morphml_core.space.sets import tabular
from morphml_core.space.space import SearchSpace

NORMS = ("batch_norm", "layer_norm", "identity")
"""The normalisations; identity stands for none."""

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid")
"""The activations."""


@attrs.frozen
class Config:
    """The ranges of the search.  A list of one value, or a range of equal bounds, fixes it."""

    depth: tuple[int, int] = (1, 4)
    """Fewest and most hidden layers."""
    units: tuple[int, int] = (16, 256)
    """Fewest and most units of a hidden layer, searched on a log scale."""
    norms: tuple[str, ...] = ("batch_norm", "layer_norm", "identity")
    """Normalisations after each hidden layer: batch_norm, layer_norm, or identity for none."""
    activations: tuple[str, ...] = ("relu", "gelu", "silu", "tanh")
    """Activations: relu, leaky_relu, elu, gelu, silu, tanh, sigmoid."""
    residual: bool = True
    """Whether each hidden layer can have a shortcut around it."""
    dropout: tuple[float, float] = (0.0, 0.5)
    """Lowest and highest rate of the dropout after each hidden layer."""
    hyperparameters: dict[str, Any] = attrs.field(factory=dict)
    """What is searched with the network, as in the space language: learning_rate: {real: [1.0e-3, 1.0e-1], log: true}."""


def decisions(config: Config) -> Iterator[Decision]:
    """The decisions about the network, in the order of its parts."""
    yield Decision("norm", Choice(config.norms))
    yield Decision("activation", Choice(config.activations))
    yield Decision("dropout", Real(*config.dropout))
    fewest, most = config.depth
    yield Decision("depth", Integer(fewest, most))
    for layer in range(1, most + 1):
        there: tuple[str | None, Any] = ("depth", range(layer, most + 1)) if layer > fewest else (None, ())
        yield Decision(f"layer{layer}.units", Integer(*config.units, log=True), *there)
        if config.residual:
            yield Decision(f"layer{layer}.residual", Choice((False, True)), *there)


def graph(values: Mapping[str, Any]) -> Graph:
    """The network of the decisions by path."""
    build = GraphBuilder()
    state = build.add("input")
    for layer in range(1, values["depth"] + 1):
        source = state
        state = build.add("dense", source, units=values[f"layer{layer}.units"])
        state = build.add(values["activation"], build.add(values["norm"], state))
        state = build.add("dropout", state, rate=values["dropout"])
        if values.get(f"layer{layer}.residual"):
            state = build.add("add", source, state)
    build.add("output", state)
    return build.graph()


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` with a line for each option that does not fit."""
    wrong = _complaints(config)
    hyperparameters = read_hyperparameters(config.hyperparameters, wrong)
    if wrong:
        raise SpaceError("\n".join(wrong))
    return SearchSpace(DecisionSpace([*decisions(config), *hyperparameters]), graph, tabular())


def _complaints(config: Config) -> list[str]:
    wrong = range_complaints("depth", config.depth) + range_complaints("units", config.units)
    wrong += rate_complaints("dropout", config.dropout)
    wrong += list_complaints("norms", config.norms, NORMS)
    return wrong + list_complaints("activations", config.activations, ACTIVATIONS)


component = space(Config, create)
