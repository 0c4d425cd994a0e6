"""A network as plain PyTorch source: a file that imports torch alone, to be read, changed and kept."""

from __future__ import annotations

import inspect
from importlib import import_module
from keyword import iskeyword
from typing import Any

from morphml_core.errors import GraphError
from morphml_core.graph.shapes import Lowered, LoweredNode
from morphml_core.torch.program import Step, program

HEADER = '''"""{title}

Input: (batch, {shape}).  Output: (batch, {outputs}).
"""

import torch
from torch import nn
'''


def source(lowered: Lowered, class_name: str = "Network") -> str:
    """The source of a module that computes the same, and takes the same state_dict, as `build(lowered)` does.

    It holds the classes that torch does not have, and `class_name` with its layers and its forward written line by line.
    Raises `GraphError` for a `class_name` that cannot be one here.
    """
    classes = _own_classes(lowered)
    if not class_name.isidentifier() or iskeyword(class_name) or class_name in {*classes, "nn", "torch"}:
        raise GraphError(
            f"the class cannot be named '{class_name}': that is no name in Python, or is taken; give another"
        )
    shape = ", ".join(map(str, lowered.signature.shape))
    header = HEADER.format(
        title=f"A network made by MorphML: {class_name}.", shape=shape, outputs=lowered.signature.outputs
    )
    parts = [inspect.getsource(classes[name]).strip() for name in sorted(classes)]
    parts.append(
        "\n".join(
            [
                f"class {class_name}(nn.Module):",
                f'    """The network: {len(lowered.nodes) - 1} layers."""',
                "",
                *_init(lowered),
                "",
                *_forward(lowered),
            ]
        )
    )
    return header + "\n\n" + "\n\n\n".join(parts) + "\n"


def _class_of(node: LoweredNode) -> tuple[str, str]:
    module, _, name = node.operation.module_name(node.input_shapes, node.shape, node.params).partition(":")
    return module, name


def _own_classes(lowered: Lowered) -> dict[str, type[Any]]:
    found = {}
    for node in lowered.nodes[1:]:
        module, name = _class_of(node)
        if module != "torch.nn":
            found[name] = getattr(import_module(module), name)
    return found


def _telling_arguments(node: LoweredNode) -> dict[str, Any]:
    """The arguments of a node's class that are not its defaults."""
    module, name = _class_of(node)
    parameters = inspect.signature(getattr(import_module(module), name)).parameters
    arguments = node.operation.arguments(node.input_shapes, node.shape, node.params)
    return {
        key: value
        for key, value in arguments.items()
        if key not in parameters or not _equal(parameters[key].default, value)
    }


def _equal(default: Any, value: Any) -> bool:
    return type(default) is type(value) and bool(default == value)


def _init(lowered: Lowered) -> list[str]:
    lines = ["    def __init__(self) -> None:", "        super().__init__()"]
    for index, node in enumerate(lowered.nodes[1:], start=1):
        module, name = _class_of(node)
        call = ", ".join(f"{key}={value!r}" for key, value in _telling_arguments(node).items())
        unused = "" if node.live else "  # not used by forward"
        made = f"nn.{name}" if module == "torch.nn" else name
        lines.append(f"        self.{Step.name_of(index, node)} = {made}({call}){unused}")
    return lines


def _forward(lowered: Lowered) -> list[str]:
    steps, _ = program(lowered)
    lines = ["    def forward(self, x: torch.Tensor) -> torch.Tensor:"]
    for step in steps:
        inputs = ", ".join(map(_variable, step.inputs))
        lines.append(f"        {_variable(step.output)} = self.{step.name}({inputs})")
        over = [_variable(slot) for slot in step.freed if slot != step.output]
        if over:
            lines.append(f"        del {', '.join(over)}")
    lines.append(f"        return {_variable(steps[-1].output)}")
    return lines


def _variable(slot: int) -> str:
    return f"x{slot}" if slot else "x"
