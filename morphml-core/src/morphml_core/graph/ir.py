"""The graph of a network: a frozen tuple of nodes, each reading earlier ones, so acyclic by construction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import GraphError

Value: TypeAlias = bool | int | float | str
"""A parameter of an operation, a value of a decision: anything that JSON can say in one word."""

Shape: TypeAlias = tuple[int, ...]
"""Shape of one sample without the batch axis: (features,), (channels, height, width) or (tokens, features)."""


def _sorted_params(params: Mapping[str, Value] | Sequence[tuple[str, Value]]) -> tuple[tuple[str, Value], ...]:
    if not params:
        return ()
    items = params.items() if type(params) is dict or isinstance(params, Mapping) else params
    return tuple(sorted([(str(key), value) for key, value in items]))


def _indices(inputs: Iterable[int]) -> tuple[int, ...]:
    return tuple(inputs)


def _nodes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(nodes)


@attrs.frozen
class Node:
    """One operation: its name in the operation set, the indices of the nodes it reads, its parameters (sorted)."""

    op: str
    inputs: tuple[int, ...] = attrs.field(default=(), converter=_indices)
    params: tuple[tuple[str, Value], ...] = attrs.field(default=(), converter=_sorted_params)

    def param(self, name: str, default: Any = None) -> Any:
        """The value of one parameter, or `default`."""
        return next((value for key, value in self.params if key == name), default)


@attrs.frozen
class Graph:
    """A network.  Nodes named `input` read the data; the last node is the network's output.

    Raises `GraphError` when there is no node or when a node reads itself or a later one.
    """

    nodes: tuple[Node, ...] = attrs.field(converter=_nodes)

    def __attrs_post_init__(self) -> None:
        if not self.nodes:
            raise GraphError("a graph needs at least one node, but none was given")
        for index, node in enumerate(self.nodes):
            for source in node.inputs:
                if not 0 <= source < index:
                    raise GraphError(
                        f"node {index} ({node.op}) reads node {source}; a node can only read earlier nodes (0 to {index - 1})"
                    )

    def __len__(self) -> int:
        return len(self.nodes)

    def to_json(self) -> list[dict[str, Any]]:
        """The graph as a list of plain dictionaries with the keys op, inputs and params."""
        return [{"op": n.op, "inputs": list(n.inputs), "params": dict(n.params)} for n in self.nodes]

    @classmethod
    def from_json(cls, nodes: Sequence[Mapping[str, Any]]) -> Graph:
        """The inverse of `to_json`.  Raises `GraphError` for anything else."""
        try:
            return cls(tuple(_read_node(node) for node in nodes))
        except (KeyError, TypeError, AttributeError) as error:
            raise GraphError(
                f"not a graph: {error!r} while reading its nodes; each needs op, inputs and params"
            ) from error


def _read_node(node: Mapping[str, Any]) -> Node:
    if not isinstance(node["params"], Mapping):
        raise TypeError("params is a mapping of names to values")
    found = Node(node["op"], tuple(node["inputs"]), node["params"])
    if not isinstance(found.op, str) or not all(type(source) is int for source in found.inputs):
        raise TypeError("op is a name and inputs are whole numbers")
    if not all(isinstance(value, bool | int | float | str) for _, value in found.params):
        raise TypeError("values of params are numbers, strings or booleans")
    return found


class GraphBuilder:
    """Collects nodes in order; `add` returns the new node's index, to be read by later ones."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []

    def add(self, op: str, *inputs: int, **params: Value) -> int:
        """Append a node that reads `inputs` and return its index."""
        self._nodes.append(Node(op, inputs, params))
        return len(self._nodes) - 1

    def graph(self) -> Graph:
        """The graph of the nodes added so far; the last one is its output."""
        return Graph(tuple(self._nodes))
