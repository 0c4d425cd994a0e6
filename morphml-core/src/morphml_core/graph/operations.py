"""What an operation is: shapes, cost and how to build its module; and a named set of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import GraphError
from morphml_core.graph.ir import Shape, Value

Params: TypeAlias = Mapping[str, Any]


@attrs.frozen
class Signature:
    """What a network reads and returns: the shape of one sample, and the number of classes or targets."""

    shape: Shape = attrs.field(converter=lambda shape: tuple(int(size) for size in shape))
    outputs: int = 1


@attrs.frozen
class Cost:
    """What one node costs: parameters (count), FLOPs (multiply-adds times two, one sample), activations (elements, one sample)."""

    parameters: int = 0
    flops: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters, self.flops + other.flops, self.activations + other.activations
        )


@attrs.frozen
class Operation:
    """One graph operation.

    `shape(inputs, params)` gives the output shape or raises `ValueError` with a sentence.
    `cost(inputs, output, params)` gives the `Cost`.
    `module` names the class that computes it ("torch.nn:Conv2d"), imported only to build; it is called with
    the keywords that `arguments(inputs, output, params)` returns.  A class outside torch must need nothing
    but torch, so that export can copy its source.
    `arity` is the number of inputs (None: one or more).  `commutative` inputs may be reordered without changing
    the architecture.  `keeps_zero`: an all-zero input gives an all-zero output.
    """

    name: str
    shape: Callable[[tuple[Shape, ...], Params], Shape]
    cost: Callable[[tuple[Shape, ...], Shape, Params], Cost]
    module: str
    arguments: Callable[[tuple[Shape, ...], Shape, Params], dict[str, Any]]
    defaults: Mapping[str, Value] = attrs.field(factory=dict)
    arity: int | None = 1
    commutative: bool = False
    keeps_zero: bool = False
    summary: str = ""


class OperationSet:
    """A named set of operations, looked up by name."""

    def __init__(self, name: str, operations: Iterable[Operation]) -> None:
        self.name = name
        self._operations = {operation.name: operation for operation in operations}

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def __contains__(self, name: object) -> bool:
        return name in self._operations

    def __getitem__(self, name: str) -> Operation:
        """The operation of that name.  Raises `GraphError` naming those that exist."""
        try:
            return self._operations[name]
        except KeyError:
            known = ", ".join(sorted(self._operations))
            raise GraphError(f"operation '{name}' is not in the set '{self.name}'; it has {known}") from None
