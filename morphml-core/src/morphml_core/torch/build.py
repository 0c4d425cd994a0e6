"""The module of a lowered graph: a look-up of each node's class, and a forward that runs the live ones in order."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import nn

from morphml_core.errors import GraphError
from morphml_core.graph.shapes import Lowered, LoweredNode
from morphml_core.torch.program import Step, program


class Network(nn.Module):
    """A network built from a lowered graph.

    Its submodules are named `<operation>_<index of the lowered node>`, dead ones included.  Forward keeps a tensor only as
    long as a later node reads it.  Input: (batch, *signature.shape); output: (batch, signature.outputs).
    """

    def __init__(self, lowered: Lowered) -> None:
        super().__init__()
        self._steps, self._slots = program(lowered)
        for index, node in enumerate(lowered.nodes[1:], start=1):
            self.add_module(Step.name_of(index, node), make_module(node))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the live nodes in order."""
        slots: list[Any] = [None] * self._slots
        slots[0] = x
        del x
        for step in self._steps:
            result = getattr(self, step.name)(*(slots[slot] for slot in step.inputs))
            for slot in step.freed:
                slots[slot] = None
            slots[step.output] = result
        return result  # type: ignore[no-any-return]


def build(lowered: Lowered, seed: int | None = None) -> nn.Module:
    """The module of a lowered graph, its weights drawn from torch's generator.

    With a `seed` they depend on the seed alone, and torch's generator is left as it was.
    """
    with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        return Network(lowered)


def make_module(node: LoweredNode) -> nn.Module:
    """The module of one node.  Raises `GraphError` where its class does not exist."""
    name = node.operation.module_name(node.input_shapes, node.shape, node.params)
    module, _, attribute = name.partition(":")
    try:
        made = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise GraphError(
            f"operation '{node.operation.name}' names the class '{name}', which cannot be imported: {error}"
        ) from error
    built: nn.Module = made(**node.operation.arguments(node.input_shapes, node.shape, node.params))
    return built
