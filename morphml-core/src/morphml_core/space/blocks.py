"""The blocks of the space language: what a network is written in.

A block is a frozen value.  `lay` walks it once: it collects the block's decisions, each under its path, and returns
the function that draws the block for given values of the decisions.  `morphml_core.space.language` has the functions
that make blocks, and says how paths are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.ir import GraphBuilder, Value
from morphml_core.graph.operations import OperationSet
from morphml_core.space.decisions import Decision
from morphml_core.space.domains import Choice, Domain, Integer, Real, Subset
from morphml_core.space.reading import did_you_mean

Emit: TypeAlias = Callable[[GraphBuilder, int, Mapping[str, Any]], int]
"""Draws a block behind a node, for the active values by path, and returns the node it ends in."""

MOST_REPETITIONS = 256
"""The largest count of a repeat and number of nodes of a cell: each has decisions of its own."""


@attrs.frozen
class Spot:
    """Where a block stands: its path, and the decision (if any) that must have a value in `when` for it to be there."""

    path: str = ""
    parent: str | None = None
    when: tuple[Value, ...] = ()

    def below(self, name: str) -> Spot:
        """The spot of a part of the block."""
        return attrs.evolve(self, path=f"{self.path}.{name}" if self.path else name)

    def under(self, parent: str, when: Sequence[Value]) -> Spot:
        """The same spot, there only while a decision has one of some values."""
        return attrs.evolve(self, parent=parent, when=tuple(when))


class Layout:
    """Collects the decisions of a network while its blocks are laid, and what is wrong with them."""

    def __init__(self, operations: OperationSet) -> None:
        self.operations = operations
        self.decisions: list[Decision] = []
        self.wrong: list[str] = []

    def decide(self, spot: Spot, domain: Domain) -> str:
        """Add a decision at a spot and return its path."""
        self.decisions.append(Decision(spot.path, domain, spot.parent, spot.when))
        return spot.path


def _name(name: str | None) -> str | None:
    if name is not None and (not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name)):
        raise SpaceError(f"a block's name is letters, digits, _ and -, without dots, but got {name!r}")
    if name == "hyperparameters":
        raise SpaceError(
            "a block cannot have the name 'hyperparameters'; it is kept for what is searched beside the network"
        )
    return name


@attrs.frozen
class Block:
    """What all blocks have: a name for their part of the paths, or None."""

    name: str | None = attrs.field(default=None, converter=_name, kw_only=True)

    @property
    def called(self) -> str:
        """The block's part of a path where it has no name."""
        return type(self).__name__.lower()

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Collect the decisions and return the function that draws the block."""
        raise NotImplementedError


@attrs.frozen
class Op(Block):
    """One operation; each parameter is a value or a domain to search."""

    op: str
    params: Mapping[str, Value | Domain] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for key, value in self.params.items():
            if not isinstance(value, bool | int | float | str | Choice | Subset | Integer | Real):
                raise SpaceError(
                    f"the parameter '{key}' of {self.op} is a value or choice(...), integer(...), real(...) or subset(...), "
                    f"but got {value!r}"
                )

    @property
    def called(self) -> str:
        """The operation's name."""
        return self.op

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: one for each searched parameter, `<block>.<parameter>`."""
        wrong = complaints(self.op, self.params, layout.operations)
        layout.wrong += [f"{spot.path}{at}: {sentence}" for at, sentence in wrong]
        fixed = {key: value for key, value in self.params.items() if isinstance(value, bool | int | float | str)}
        searched = {
            key: layout.decide(spot.below(key), value)
            for key, value in self.params.items()
            if not isinstance(value, bool | int | float | str)
        }
        op = self.op

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            found = {key: _word(values[path]) for key, path in searched.items()}
            return build.add(op, source, **fixed, **found)

        return emit


def complaints(op: str, params: Mapping[str, Any], operations: OperationSet) -> list[tuple[str, str]]:
    """What is wrong with the use of an operation: (".parameter" or "", sentence), none where all is well."""
    if op not in operations:
        hint = did_you_mean(op, [operation.name for operation in operations])
        return [("", f"there is no operation '{op}' in the set '{operations.name}'; {hint}")]
    operation = operations[op]
    known = [*operation.required, *operation.defaults]
    found = [("", f"{op} needs the parameter '{name}'") for name in operation.required if name not in params]
    for name, value in params.items():
        if name not in known:
            hint = did_you_mean(name, known) if known else "it has none"
            found.append((f".{name}", f"{op} has no parameter '{name}'; {hint}"))
        elif name in operation.defaults:
            found += [(f".{name}", sentence) for sentence in _mistyped(name, value, operation.defaults[name])]
    return found


def _mistyped(name: str, value: Any, default: Value) -> list[str]:
    """A sentence where a parameter (or a value of its domain) is of another type than its default."""
    wanted, noun = next(entry for entry in _TYPES if isinstance(default, entry[0]))
    for one in _samples(value):
        fits = isinstance(one, wanted) and (wanted is bool or not isinstance(one, bool))
        if not fits and not (wanted is float and type(one) is int):
            return [f"{name} is {noun} such as {default!r}, but got {one!r}"]
    return []


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
)


def _samples(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Choice):
        return value.values
    if isinstance(value, Subset):
        return (",".join(map(str, value.values)),)
    return (value.low,) if isinstance(value, Integer | Real) else (value,)


def _word(value: Any) -> Value:
    """A parameter is one word: a subset is its values joined by commas."""
    found: Value = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return found


@attrs.frozen
class Chain(Block):
    """Blocks one after another."""

    layers: tuple[Block, ...] = ()

    def __attrs_post_init__(self) -> None:
        callings(self.layers)

    @property
    def called(self) -> str:
        """`chain`, or `nothing` for an empty one."""
        return "chain" if self.layers else "nothing"

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: those of its layers, `<chain>.<layer>`; the network's own chain and an unnamed body add no part."""
        named = zip(callings(self.layers), self.layers, strict=True)
        emits = [layer.lay(layout, spot.below(name)) for name, layer in named]

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            for layer in emits:
                source = layer(build, source, values)
            return source

        return emit


def body(block: Block) -> Block:
    """The block as the inside of another: an unnamed chain stands for its layers, anything else for a chain of one."""
    return block if isinstance(block, Chain) and block.name is None else Chain((block,))


def callings(blocks: Iterable[Block]) -> list[str]:
    """Distinct names of neighbouring blocks: their own, else what they are called, numbered from the second on.

    Raises `SpaceError` where two have the same name of their own.
    """
    blocks = list(blocks)
    taken = [block.name for block in blocks if block.name is not None]
    for name in taken:
        if taken.count(name) > 1:
            raise SpaceError(f"two neighbouring blocks have the name '{name}'; give each a name of its own")
    found: list[str] = []
    for block in blocks:
        name, number = block.name or block.called, 1
        while block.name is None and (name in found or name in taken):
            number += 1
            name = f"{block.called}{number}"
        found.append(name)
    return found


@attrs.frozen
class Repeat(Block):
    """A block several times in a row; `share`: all repetitions have one set of decisions."""

    block: Block
    count: int | Choice | Integer
    share: bool = False

    def __attrs_post_init__(self) -> None:
        for count in self._counts():
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_REPETITIONS:
                raise SpaceError(f"a repeat needs whole counts from 0 to {MOST_REPETITIONS}, but got {count!r}")

    def _counts(self) -> tuple[Any, ...]:
        if isinstance(self.count, Integer):
            if self.count.high - self.count.low > MOST_REPETITIONS:
                return (self.count.high,)
            return tuple(range(self.count.low, self.count.high + 1))
        return self.count.values if isinstance(self.count, Choice) else (self.count,)

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: `<repeat>.count` where searched, and those of each repetition: `<repeat>.1.<layer>`, or shared: `<repeat>.<layer>`."""
        counts = self._counts()
        path = None if isinstance(self.count, int) else layout.decide(spot.below("count"), self.count)
        fixed, inside = counts[0], body(self.block)

        def at(number: int, spot: Spot) -> Emit:
            enough = [count for count in counts if count >= number]
            return inside.lay(layout, spot if path is None or len(enough) == len(counts) else spot.under(path, enough))

        if self.share:
            emits = [at(1, spot)] * max(counts) if max(counts) else []
        else:
            emits = [at(number, spot.below(str(number))) for number in range(1, max(counts) + 1)]

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            for repetition in emits[: fixed if path is None else values[path]]:
                source = repetition(build, source, values)
            return source

        return emit


@attrs.frozen
class Branch(Block):
    """Blocks side by side on one input, merged; with `minimum` or `maximum` it is searched which of them are there."""

    blocks: tuple[Block, ...]
    merge: Literal["add", "concat"] = "add"
    minimum: int | None = None
    maximum: int | None = None

    def __attrs_post_init__(self) -> None:
        if not self.blocks:
            raise SpaceError("a branch has no blocks; give it at least one")
        _merge(self.merge)
        if self.minimum == 0:
            raise SpaceError("a branch needs a minimum of at least 1, but got 0; put it into optional(...) instead")
        names = self._names()
        if len(set(names)) < len(names):
            raise SpaceError(f"the blocks of a branch need distinct names, but they are {', '.join(names)}")
        Subset(tuple(names), self.minimum or 1, self.maximum)

    def _names(self) -> list[str]:
        return [block.name or str(number) for number, block in enumerate(self.blocks, 1)]

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: `<branch>` (which blocks) where searched, and those of each: `<branch>.1.<layer>`, or by name."""
        names = self._names()
        blocks = [block if block.name else body(block) for block in self.blocks]
        searched = self.minimum is not None or self.maximum is not None
        if searched:
            layout.decide(spot, Subset(tuple(names), self.minimum or 1, self.maximum))
        emits = {
            name: block.lay(layout, spot.below(name).under(spot.path, (name,)) if searched else spot.below(name))
            for name, block in zip(names, blocks, strict=True)
        }
        merge, path = self.merge, spot.path

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            held = values[path] if searched else names
            ends = [emits[name](build, source, values) for name in held]
            return build.add(merge, *ends) if len(ends) > 1 else ends[0]

        return emit


def _merge(merge: str) -> None:
    if merge not in ("add", "concat"):
        raise SpaceError(f"merge is 'add' or 'concat', but got {merge!r}")


@attrs.frozen
class Residual(Block):
    """A block with a shortcut around it, added; lowering projects the shortcut where shapes differ."""

    block: Block

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: those of its layers, `<residual>.<layer>`."""
        inside = body(self.block).lay(layout, spot)

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            end = inside(build, source, values)
            return source if end == source else build.add("add", source, end)

        return emit


@attrs.frozen
class Optional(Block):
    """A block that is there or not."""

    block: Block

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: `<optional>` (false or true), and those of its layers, `<optional>.<layer>`."""
        path = layout.decide(spot, Choice((False, True)))
        inside = body(self.block).lay(layout, spot.under(path, (True,)))
        return lambda build, source, values: inside(build, source, values) if values[path] else source


@attrs.frozen
class Pick(Block):
    """One of several blocks."""

    blocks: tuple[Block, ...]

    def __attrs_post_init__(self) -> None:
        if not self.blocks:
            raise SpaceError("a choice has no blocks; give it at least one")
        callings(self.blocks)

    @property
    def called(self) -> str:
        """The word of the language for it."""
        return "choice"

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions: `<choice>` (the name of a block), and those of each block, `<choice>.<block>`."""
        names = callings(self.blocks)
        path = layout.decide(spot, Choice(tuple(names)))
        emits = {
            name: block.lay(layout, spot.below(name).under(path, (name,)))
            for name, block in zip(names, self.blocks, strict=True)
        }
        return lambda build, source, values: emits[values[path]](build, source, values)


@attrs.frozen
class Cell(Block):
    """A searched directed graph: each node adds up some edges, and each edge chooses where it comes from and what it does."""

    nodes: int
    operations: tuple[Block, ...]
    inputs: int = 2
    merge: Literal["add", "concat"] = "add"

    def __attrs_post_init__(self) -> None:
        for what, number in (("nodes", self.nodes), ("inputs", self.inputs)):
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_REPETITIONS:
                raise SpaceError(f"a cell needs {what} from 1 to {MOST_REPETITIONS}, but got {number!r}")
        if not self.operations:
            raise SpaceError("a cell has no operations to choose from; give it at least one")
        _merge(self.merge)

    def lay(self, layout: Layout, spot: Spot) -> Emit:
        """Decisions of edge e of node n: `<cell>.node<n>.from<e>` and `<cell>.node<n>.op<e>`, as of a choice of blocks."""
        states = ["input", *(f"node{number}" for number in range(1, self.nodes + 1))]
        pick = Pick(self.operations)
        edges: list[tuple[str, str, Emit]] = []
        for number in range(1, self.nodes + 1):
            node = spot.below(states[number])
            for edge in range(1, self.inputs + 1):
                source = layout.decide(node.below(f"from{edge}"), Choice(tuple(states[:number])))
                edges.append((states[number], source, pick.lay(layout, node.below(f"op{edge}"))))
        merge = self.merge

        def emit(build: GraphBuilder, source: int, values: Mapping[str, Any]) -> int:
            return _draw_cell(build, source, values, states, edges, merge)

        return emit


def _draw_cell(
    build: GraphBuilder,
    source: int,
    values: Mapping[str, Any],
    states: Sequence[str],
    edges: Sequence[tuple[str, str, Emit]],
    merge: str,
) -> int:
    at = {"input": source}
    for node in states[1:]:
        ends = [emit(build, at[values[path]], values) for target, path, emit in edges if target == node]
        at[node] = build.add("add", *ends) if len(ends) > 1 else ends[0]
    read = {values[path] for _, path, _ in edges}
    loose = [at[node] for node in states[1:] if node not in read]
    return build.add(merge, *loose) if len(loose) > 1 else loose[0]
