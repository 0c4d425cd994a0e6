"""The space language: a search space written like the network it describes.

    network = chain(
        op("conv", channels=choice(16, 32), kernel=choice(3, 5), name="stem"),
        repeat(residual([op("conv", channels=32), "batch_norm", choice("relu", "gelu")]), integer(1, 3), name="stage"),
        optional(op("dropout", rate=real(0.1, 0.5))),
    )
    searched = space(network, hyperparameters={"learning_rate": real(1e-4, 1e-1, log=True)})

Where a block is expected, a string is the operation of that name and a list is a chain.

Each decision has a path made of the names of the blocks around it: `stem.channels`, `stage.count`, `stage.2.residual.choice`,
`optional.dropout.rate`, `hyperparameters.learning_rate`.  A block without a name is called by its operation or its kind
(`conv`, `residual`), and neighbours that are called the same are numbered: `conv`, `conv2`, `conv3`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import Graph, GraphBuilder, Value
from morphml_core.graph.operations import OperationSet
from morphml_core.space.blocks import (
    Block,
    Branch,
    Cell,
    Chain,
    Emit,
    Layout,
    Op,
    Optional,
    Pick,
    Repeat,
    Residual,
    Spot,
    body,
)  # fmt: skip
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Domain, Integer, Real, Subset
from morphml_core.space.reading import read_decision
from morphml_core.space.sets import operation_set
from morphml_core.space.space import PREFIX, SearchSpace

Layer: TypeAlias = "Block | Choice | str | Sequence[Layer]"
"""What can stand for a block: a string is an operation, a list is a chain, a choice of strings a choice of operations."""


def block(layer: Layer) -> Block:
    """The block that something stands for.  Raises `SpaceError` for anything else."""
    if isinstance(layer, Block):
        return layer
    if isinstance(layer, str):
        return Op(layer)
    if isinstance(layer, Choice) and all(isinstance(value, str) for value in layer.values):
        return Pick(tuple(Op(str(value)) for value in layer.values))
    if isinstance(layer, list | tuple):
        return Chain(tuple(block(part) for part in layer))
    raise SpaceError(f"a block is needed (op, chain, repeat, ..., or an operation's name), but got {layer!r}")


def op(operation: str, /, *, name: str | None = None, **params: Value | Domain) -> Op:
    """One operation with its parameters, each a value or something to search: `op("conv", channels=choice(16, 32))`."""
    return Op(operation, params, name=name)


def chain(*layers: Layer, name: str | None = None) -> Chain:
    """Blocks one after another."""
    return Chain(tuple(block(layer) for layer in layers), name=name)


def repeat(layer: Layer, count: int | Choice | Integer, *, share: bool = False, name: str | None = None) -> Repeat:
    """A block `count` times in a row; `count` may be `integer(low, high)` or a choice of whole numbers.

    Each repetition has decisions of its own, active while the count reaches it; with `share` all have one set.
    """
    return Repeat(block(layer), count, share, name=name)


def branch(
    *layers: Layer,
    merge: Literal["add", "concat"] = "add",
    minimum: int | None = None,
    maximum: int | None = None,
    name: str | None = None,
) -> Branch:
    """Blocks side by side on one input, their outputs added or concatenated; an empty list is a shortcut.

    With `minimum` or `maximum` it is searched which of the blocks are there.
    """
    return Branch(tuple(block(layer) for layer in layers), merge, minimum, maximum, name=name)


def residual(layer: Layer, *, name: str | None = None) -> Residual:
    """A block whose input is added to its output (through a projection where their shapes differ)."""
    return Residual(block(layer), name=name)


def optional(layer: Layer, *, name: str | None = None) -> Optional:
    """A block that is there or not: one decision, false or true."""
    return Optional(block(layer), name=name)


def cell(
    nodes: int,
    operations: Sequence[Layer],
    *,
    inputs: int = 2,
    merge: Literal["add", "concat"] = "add",
    name: str | None = None,
) -> Cell:
    """A searched cell: a directed graph of `nodes` nodes behind one input.

    Each node adds up `inputs` edges.  Each edge has two decisions: where it comes from (the cell's input or any earlier
    node; two edges of a node may come from the same) and which of `operations` (any blocks) it applies.  The
    cell's output are the nodes that no edge comes from, added or concatenated; there is always one, the last.
    """
    return Cell(nodes, tuple(block(operation) for operation in operations), inputs, merge, name=name)


@overload
def choice(*options: Value) -> Choice: ...
@overload
def choice(*options: Layer, name: str | None = None) -> Any: ...
def choice(*options: Any, name: str | None = None) -> Any:
    """One of some values (as a parameter), or one of some blocks (as a block)."""
    plain = all(isinstance(option, bool | int | float | str) for option in options)
    if plain and name is None:
        return Choice(options)
    return Pick(tuple(block(option) for option in options), name=name)


def subset(*values: Value, minimum: int = 0, maximum: int | None = None) -> Subset:
    """Between `minimum` and `maximum` of some values.  An operation gets them as one text, joined by commas."""
    return Subset(values, minimum, maximum)


def integer(low: int, high: int, *, log: bool = False) -> Integer:
    """A whole number from `low` to `high`, both included."""
    return Integer(low, high, log)


def real(low: float, high: float, *, log: bool = False) -> Real:
    """A real number from `low` to `high`."""
    return Real(low, high, log)


def space(
    network: Layer,
    hyperparameters: Mapping[str, Any] | None = None,
    operations: str | OperationSet = "vision",
) -> SearchSpace:
    """The search space of a network and of hyperparameters that are searched with it.

    A hyperparameter is a domain, a plain value (fixed), or a mapping as in a configuration file, where
    `when: {optimizer: [sgd]}` makes it depend on another.  `operations` is the name of an installed operation set, or the
    set itself.  Raises `SpaceError` with a line for each thing that is wrong.
    """
    known = operation_set(operations) if isinstance(operations, str) else operations
    layout = Layout(known)
    emit = body(block(network)).lay(layout, Spot())
    decisions = layout.decisions + read_hyperparameters(hyperparameters or {}, layout.wrong)
    if layout.wrong:
        raise SpaceError("\n".join(layout.wrong))
    return SearchSpace(DecisionSpace(decisions), lambda values: _draw(emit, values), known)


def _draw(emit: Emit, values: Mapping[str, Any]) -> Graph:
    build = GraphBuilder()
    build.add("output", emit(build, build.add("input"), values))
    return build.graph()


def read_hyperparameters(hyperparameters: Mapping[str, Any], wrong: list[str]) -> list[Decision]:
    """The decisions of hyperparameters; what is wrong with them is added to `wrong`, a line each."""
    paths = {str(name): f"{PREFIX}{name}" for name in hyperparameters}
    decisions: list[Decision] = []
    for name, described in hyperparameters.items():
        fixed = isinstance(described, bool | int | float | str)
        try:
            decisions.append(read_decision(paths[str(name)], Choice((described,)) if fixed else described, paths))
        except SpaceError as error:
            wrong.append(f"hyperparameters.{name}: {error}")
    return decisions
