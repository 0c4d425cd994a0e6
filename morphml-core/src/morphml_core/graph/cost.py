"""What a network costs, computed from shapes alone, without torch.

* `parameters`: how many weights there are, those of dead nodes included, as a count of the built module gives.
* `flops`: two for each multiply-add of convolutions, dense layers and attention, for one sample going forward;
  normalisation, activations, pooling and sums are not counted, as is usual.
* `activation_memory`: bytes of the float32 outputs, of one sample, that training keeps for the backward pass: the output of
  every live operation but those that return views or constants, and what composite operations keep inside.
  An estimate: it leaves out weights, gradients, and the optimizer's state.
"""

from __future__ import annotations

import attrs

from morphml_core.graph.operations import Cost
from morphml_core.graph.shapes import Lowered

BYTES = 4
"""Size of a float32."""


def cost(lowered: Lowered) -> Cost:
    """The sum over the nodes: parameters of all, FLOPs and activations of those that are live."""
    total = Cost()
    for node in lowered.nodes:
        found = node.cost
        total += found if node.live else attrs.evolve(found, flops=0, activations=0)
    return total


def known_metrics(lowered: Lowered) -> dict[str, float]:
    """`parameters` (count), `flops` (one sample), `activation_memory` (bytes, one sample)."""
    total = cost(lowered)
    return {
        "parameters": total.parameters,
        "flops": total.flops,
        "activation_memory": BYTES * total.activations,
    }
