"""The order of computation of a lowered graph: which module runs when, on which values, and when a value may go."""

from __future__ import annotations

import re

import attrs

from morphml_core.graph.shapes import Lowered, LoweredNode


@attrs.frozen
class Step:
    """Run the module `name` on the values in slots `inputs`, forget those in `freed`, put the result in slot `output`."""

    name: str
    inputs: tuple[int, ...]
    output: int
    freed: tuple[int, ...]

    @staticmethod
    def name_of(index: int, node: LoweredNode) -> str:
        """The name of a lowered node's module: its operation and its index."""
        return re.sub(r"\W", "_", f"{node.operation.name}_{index}")


def program(lowered: Lowered) -> tuple[tuple[Step, ...], int]:
    """The steps of the live nodes, and how many slots they need.  The input is in slot 0."""
    last_use = {source: index for index, node in enumerate(lowered.nodes) if node.live for source in node.inputs}
    slot_of = {0: 0}
    free: list[int] = []
    slots = 1
    steps = []
    for index, node in enumerate(lowered.nodes[1:], start=1):
        if not node.live:
            continue
        inputs = tuple(slot_of[source] for source in node.inputs)
        freed = sorted({slot_of[source] for source in node.inputs if last_use[source] == index})
        free = sorted({*free, *freed})
        if not free:
            free, slots = [slots], slots + 1
        slot_of[index] = free.pop(0)
        steps.append(Step(Step.name_of(index, node), inputs, slot_of[index], tuple(freed)))
    return tuple(steps), slots
