"""The operation set `tabular`: networks for vectors of features (images are flattened on their way in)."""

from __future__ import annotations

import attrs

from morphml_core.graph.operations import OperationSet
from morphml_core.operations._common import COMMON
from morphml_core.plugins.component import operations


@attrs.frozen
class Config:
    """The set has no options."""


def tabular(config: Config = Config()) -> OperationSet:
    """The operation set of that name."""
    return OperationSet("tabular", COMMON)


component = operations(Config, tabular)
