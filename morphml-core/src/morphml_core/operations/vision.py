"""The operation set `vision`: networks for images, and for the tokens made of them.

None of them contains a normalisation or an activation that its name does not tell of: conv-bn-relu is three nodes.
"""

from __future__ import annotations

import attrs

from morphml_core.graph.operations import OperationSet
from morphml_core.operations._common import COMMON, MULTIPLY, activation
from morphml_core.operations._images import BLOCKS, CONVOLUTIONS, POOLS
from morphml_core.plugins.component import operations


@attrs.frozen
class Config:
    """The set has no options."""


_MORE_ACTIVATIONS = (
    activation("relu6", "torch.nn:ReLU6", "min(max(x, 0), 6)."),
    activation("hardswish", "torch.nn:Hardswish", "x times min(max(x + 3, 0), 6) / 6 (Howard et al., 2019)."),
)


def vision(config: Config = Config()) -> OperationSet:
    """The operation set of that name."""
    return OperationSet("vision", (*CONVOLUTIONS, *POOLS, *BLOCKS, *COMMON, *_MORE_ACTIVATIONS, MULTIPLY))


component = operations(Config, vision)
