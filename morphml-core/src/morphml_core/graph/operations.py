"""What an operation is: shapes, cost and how to build its module; and a named set of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from morphml_core.errors import GraphError
from morphml_core.graph.ir import Shape, Value

Params: TypeAlias = Mapping[str, Any]


def _sizes(shape: Iterable[int]) -> Shape:
    return tuple(int(size) for size in shape)


@attrs.frozen
class Signature:
    """What a network reads and returns: the shape of one sample, and the number of classes or targets."""

    shape: Shape = attrs.field(converter=_sizes)
    outputs: int = 1


@attrs.frozen
class Cost:
    """What one node costs: parameters (count), FLOPs (multiply-adds times two, one sample), activations (elements, one sample)."""

    parameters: int = 0
    flops: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters + other.parameters, self.flops + other.flops, self.activations + other.activations)


def _fixed(params: Params) -> str:
    return "fixed"


def _never(params: Params) -> bool:
    return False


def _never_identity(count: int, params: Params) -> bool:
    return False


@attrs.frozen
class Operation:
    """One graph operation.

    `shape(inputs, params)` gives the output shape or raises `ValueError` with a sentence.
    `cost(inputs, output, params)` gives the `Cost`.
    `module` names the class that computes it ("torch.nn:Conv2d"), or is a function of (inputs, output, params) that
    does; imported only to build, and called with the keywords that `arguments(inputs, output, params)` returns.  A
    class outside torch must need nothing but torch, so that export can copy its source.
    Functions of `params` get them complete: the `defaults`, and what the node says.  `required` are the names that
    have no default.  `arity` is the number of inputs (None: one or more).

    What follows is what the canonical form of a graph may use; each default claims nothing, and so is safe:
    `commutative`: inputs may be reordered without changing the architecture (with `permutes`: only up to the order of
    the output's channels).  `channels(params)` tells what becomes of the order of the input's channels: "keep" (permuting
    them, and the weights, permutes those of the output), "mix" (permuting the weights alone undoes it), "fixed" (neither).
    `keeps_positions(params)`: the output has the height and width (or tokens) of the inputs, where they agree, and their
    number of channels.  (In any operation a parameter `channels` or `units` is the number of the output's channels.)
    `keeps_zero(params)`: all-zero inputs give an all-zero output.  `identity(count, params)`: with `count` inputs, it
    returns its first one.  `pure`: no parameters, no randomness and no state, so that two copies with equal inputs are one.
    """

    name: str
    shape: Callable[[tuple[Shape, ...], Params], Shape]
    cost: Callable[[tuple[Shape, ...], Shape, Params], Cost]
    module: str | Callable[[tuple[Shape, ...], Shape, Params], str]
    arguments: Callable[[tuple[Shape, ...], Shape, Params], dict[str, Any]]
    defaults: Mapping[str, Value] = attrs.field(factory=dict)
    required: tuple[str, ...] = ()
    arity: int | None = 1
    commutative: bool = False
    permutes: bool = False
    channels: Callable[[Params], str] = _fixed
    keeps_positions: Callable[[Params], bool] = _never
    keeps_zero: Callable[[Params], bool] = _never
    identity: Callable[[int, Params], bool] = _never_identity
    pure: bool = False
    summary: str = ""

    def complete(self, params: Iterable[tuple[str, Value]]) -> dict[str, Value]:
        """The parameters with defaults filled in, by name.  Raises `GraphError` for an unknown or missing name."""
        found = {**self.defaults, **dict(params)}
        if len(found) != len(self.defaults) + len(self.required) or any(name not in found for name in self.required):
            self._complain(found)
        return found

    def _complain(self, found: Mapping[str, Value]) -> None:
        known = [*self.required, *self.defaults]
        for name in found:
            if name not in known:
                having = f"it has {', '.join(known)}" if known else "it has none"
                raise GraphError(f"operation '{self.name}' has no parameter '{name}'; {having}")
        for name in self.required:
            if name not in found:
                raise GraphError(f"operation '{self.name}' needs the parameter '{name}', but it was not given")

    def module_name(self, inputs: tuple[Shape, ...], output: Shape, params: Params) -> str:
        """The class that computes it for these shapes, as "module:Class"."""
        return self.module if isinstance(self.module, str) else self.module(inputs, output, params)


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
