"""Lowering: from a graph to one whose every node has a shape and one plain operation.

* A one-input operation with several inputs reads their sum.
* The inputs of `add` and `multiply` are brought to one shape: the most channels among them, and the smallest height and
  width; each input that differs goes through a `project` (1x1 convolution with a stride, or a dense layer).  `concat`
  shrinks larger images in the same way, each keeping its number of channels.
* A sum ignores inputs that are always zero, for its shape too, and sums of sums are one sum (see `simplify`), so a graph
  and its effective graph are lowered to the same network.
* `dense` on an image reads it flattened.  `output` becomes the mean over all positions (of images and tokens) and a
  dense layer with as many units as the signature has outputs.

Dead nodes keep their place: published parameter counts include them.  A shape is that of one sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from morphml_core.errors import GraphError, ShapeError
from morphml_core.graph.ir import Graph, Node, Shape, Value
from morphml_core.graph.operations import Cost, Operation, OperationSet, Params, Signature
from morphml_core.graph.simplify import Simplified, simplify


@attrs.frozen
class LoweredNode:
    """One operation with its shapes.

    `inputs` are indices of lowered nodes.  `params` are complete.  `origin` is the index in the graph of the node that it
    is or serves.  Nodes that are not `live` have no way to the output: they count as parameters, and are never run.
    """

    operation: Operation
    inputs: tuple[int, ...]
    params: Mapping[str, Value]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    origin: int
    live: bool = True

    @property
    def cost(self) -> Cost:
        """What the node costs, live or not."""
        return self.operation.cost(self.input_shapes, self.shape, self.params)


@attrs.frozen
class Lowered:
    """A graph with shapes.  The first node is the input (operation "input"), the last live one the output."""

    signature: Signature
    nodes: tuple[LoweredNode, ...]

    @property
    def output(self) -> int:
        """The index of the node that gives the network's output."""
        return max(index for index, node in enumerate(self.nodes) if node.live)

    def graph(self) -> Graph:
        """The live nodes as a graph of plain operations, for drawing."""
        kept = [index for index, node in enumerate(self.nodes) if node.live]
        place = {index: rank for rank, index in enumerate(kept)}
        nodes = (self.nodes[index] for index in kept)
        return Graph(
            tuple(Node(n.operation.name, tuple(place[s] for s in n.inputs), tuple(n.params.items())) for n in nodes)
        )


def _no_shape(inputs: tuple[Shape, ...], params: Params) -> Shape:
    raise ValueError("it is not computed")


def _no_cost(inputs: tuple[Shape, ...], output: Shape, params: Params) -> Cost:
    return Cost()


def _no_arguments(inputs: tuple[Shape, ...], output: Shape, params: Params) -> dict[str, Any]:
    return {}


INPUT = Operation("input", _no_shape, _no_cost, "torch.nn:Identity", _no_arguments, arity=0, summary="The data.")
"""The operation of a lowered graph's first node."""


def lower(graph: Graph, operations: OperationSet, signature: Signature) -> Lowered:
    """Give every node of the graph its shape and make what is implied explicit.

    Raises `ShapeError`, naming the node, where no shape fits, and `GraphError` for a graph that does not begin with `input`
    and end with `output`, or that has an unknown operation or parameter.
    """
    _check_ends(graph)
    simplified = simplify(graph, operations)
    lowering = _Lowering(operations, signature, simplified)
    for index in range(len(simplified.nodes)):
        lowering.lower(index)
    return Lowered(signature, tuple(lowering.nodes))


def _check_ends(graph: Graph) -> None:
    first, last = graph.nodes[0], graph.nodes[-1]
    if first.op != "input" or first.inputs:
        raise GraphError(
            f"a network begins with a node 'input' that reads nothing, but this graph begins with '{first.op}'"
        )
    if last.op != "output":
        raise GraphError(
            f"a network ends with a node 'output', but this graph ends with '{last.op}'; add one that reads it"
        )
    for index, node in enumerate(graph.nodes):
        if node.op == "output" and index < len(graph) - 1:
            raise GraphError(f"a network has one node 'output', its last, but node {index} is one too")
        if node.op != "input" and not node.inputs:
            raise GraphError(
                f"node {index} ({node.op}) reads nothing; every node but 'input' reads at least one earlier node"
            )
        if node.op == "input" and node.inputs:
            raise GraphError(f"node {index} is an 'input' that reads other nodes; an input reads nothing")


class _Lowering:
    """The lowered nodes so far, and where each simplified node's output is among them."""

    def __init__(self, operations: OperationSet, signature: Signature, simplified: Simplified) -> None:
        self.operations = operations
        self.signature = signature
        self.simplified = simplified
        self.nodes: list[LoweredNode] = []
        self.place: dict[int, int] = {}
        self._live = True
        self._origin = 0
        self._op = ""

    def lower(self, index: int) -> None:
        """Append what the simplified node needs, and the node."""
        node = self.simplified.nodes[index]
        self._live, self._origin, self._op = self.simplified.live[index], self.simplified.origin[index], node.op
        inputs = [self.place[source] for source in node.inputs]
        if node.op == "input":
            shape = self.signature.shape
            self.nodes.append(LoweredNode(INPUT, (), {}, (), shape, self._origin))
            self.place[index] = len(self.nodes) - 1
        elif node.op == "output":
            self.place[index] = self._output(inputs[0])
        else:
            self.place[index] = self._append(node.op, self._fit(node, inputs), dict(node.params))

    def _output(self, source: int) -> int:
        if len(self.nodes[source].shape) > 1:
            source = self._append("global_avg_pool", [source], {})
        return self._append("dense", [source], {"units": self.signature.outputs})

    def _append(self, op: str, inputs: Sequence[int], params: Mapping[str, Value]) -> int:
        operation = self.operations[op]
        complete = operation.complete(params.items())
        shapes = tuple(self.nodes[source].shape for source in inputs)
        if operation.arity is not None and len(inputs) != operation.arity:
            raise self._error(f"it takes {operation.arity} inputs, but reads {len(inputs)}")
        try:
            shape = operation.shape(shapes, complete)
        except ValueError as error:
            raise self._error(str(error)) from None
        if any(size < 1 for size in shape):
            raise self._error(f"its output would have the shape {_text(shape)}, which is empty")
        self.nodes.append(LoweredNode(operation, tuple(inputs), complete, shapes, shape, self._origin, self._live))
        return len(self.nodes) - 1

    def _error(self, message: str) -> ShapeError:
        return ShapeError(self._origin, self._op, message)

    def _fit(self, node: Node, inputs: list[int]) -> list[int]:
        """The inputs, each through what it needs to fit the operation."""
        shapes = [self.nodes[source].shape for source in inputs]
        if node.op in ("add", "multiply") and len(set(shapes)) > 1:
            target = self._common(shapes)
            return [self._project(source, target) for source in inputs]
        if node.op == "concat" and len(set(shapes)) > 1 and len(shapes[0]) == 3:
            common = self._common(shapes)
            return [self._project(source, (self.nodes[source].shape[0], *common[1:])) for source in inputs]
        if node.op == "dense" and len(shapes[0]) == 3:
            return [self._append("flatten", inputs, {})]
        return inputs

    def _common(self, shapes: Sequence[Shape]) -> Shape:
        """The most channels, and the smallest height and width, of shapes of one rank."""
        ranks = {len(shape) for shape in shapes}
        if len(ranks) > 1:
            raise self._error(f"its inputs have the shapes {_list(shapes)}; they need as many axes")
        if ranks == {3}:
            return (max(s[0] for s in shapes), min(s[1] for s in shapes), min(s[2] for s in shapes))
        if ranks == {2} and len({shape[0] for shape in shapes}) > 1:
            raise self._error(f"its inputs have the shapes {_list(shapes)}; they need the same number of tokens")
        return (*shapes[0][:-1], max(shape[-1] for shape in shapes))

    def _project(self, source: int, target: Shape) -> int:
        shape = self.nodes[source].shape
        if shape == target:
            return source
        if len(shape) < 3:
            return self._append("project", [source], {"channels": target[-1]})
        stride = -(-shape[1] // target[1])
        if any((size - 1) // stride + 1 != wanted for size, wanted in zip(shape[1:], target[1:], strict=True)):
            raise self._error(
                f"one of its inputs has the shape {_text(shape)} and should become {_text(target)}, but no stride does that"
            )
        return self._append("project", [source], {"channels": target[0], "stride": stride})


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _list(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(_text, shapes))
