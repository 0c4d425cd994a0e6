"""The space `chain`: the space language in a configuration file.

    space:
      name: chain
      layers:
        - conv: {channels: {choice: [16, 32]}, kernel: 3, name: stem}
        - repeat: {count: {integer: [1, 3]}, block: [{residual: [conv: {channels: 32}, batch_norm, relu]}]}
        - optional: [dropout: {rate: {real: [0.1, 0.5]}}]
        - branch: {blocks: [[max_pool], [conv: {channels: 32}, relu]], merge: concat}
        - choice: [relu, [batch_norm, gelu]]
        - cell: {nodes: 3, operations: [conv: {channels: 32}, max_pool, identity]}
      hyperparameters:
        learning_rate: {real: [1.0e-4, 1.0e-1], log: true}

It gives the same decisions and fingerprints as the functions of `morphml_core.space.language`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from morphml_core.errors import SpaceError
from morphml_core.graph.operations import OperationSet
from morphml_core.plugins.component import Part, part
from morphml_core.plugins.component import space as component_of
from morphml_core.space import language
from morphml_core.space.blocks import Block, Chain, Pick, complaints
from morphml_core.space.reading import did_you_mean, is_domain, read_domain
from morphml_core.space.sets import vision
from morphml_core.space.space import SearchSpace


@attrs.frozen
class Config:
    """A network in the space language, and what is searched with it."""

    layers: list[Any]
    """The network: a list of layers, each an operation (`relu`, `conv: {channels: 16}`), a list (a chain), or one of chain,
    repeat, branch, residual, optional, choice and cell.  {choice: [...]}, {integer: [low, high]}, {real: [low, high]} or
    {subset: [...]} in place of a parameter makes it a decision; `name: ...` beside the parameters names the layer."""
    hyperparameters: dict[str, Any] = attrs.field(factory=dict)
    """What is searched with the network, by name: domains as above, or plain values; `when: {other: [values]}` makes one
    depend on another."""
    operations: Part[OperationSet] | None = part("operations", "vision")
    """The set of operations that the layers name."""


def create(config: Config) -> SearchSpace:
    """The space.  Raises `SpaceError` with one line, beginning with the place, for each thing that is wrong."""
    operations = config.operations.create() if config.operations is not None else vision()
    reader = _Reader(operations)
    network = reader.chain("layers", config.layers)
    language.read_hyperparameters(config.hyperparameters, reader.wrong)
    if reader.wrong:
        raise SpaceError("\n".join(reader.wrong))
    return language.space(network, config.hyperparameters, operations)


@attrs.frozen
class _Form:
    """How a word of the language is written: its main part, which a plain list may stand for, and its options."""

    main: str
    build: Callable[..., Block]
    needed: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def _cell(operations: list[Block], nodes: Any, **options: Any) -> Block:
    return language.cell(nodes, operations, **options)


_FORMS: Mapping[str, _Form] = {
    "chain": _Form("layers", lambda parts, **options: language.chain(*parts, **options)),
    "repeat": _Form("block", lambda inside, count, **options: language.repeat(inside, count, **options), ("count",), ("share",)),
    "branch": _Form("blocks", lambda parts, **options: language.branch(*parts, **options), (), ("merge", "minimum", "maximum")),
    "residual": _Form("block", language.residual),
    "optional": _Form("block", language.optional),
    "choice": _Form("blocks", lambda parts, **options: Pick(tuple(parts), **options)),
    "cell": _Form("operations", _cell, ("nodes",), ("inputs", "merge")),
}  # fmt: skip


class _Reader:
    """Reads layers; what is wrong is collected, each with its place, and an empty chain stands in for it."""

    def __init__(self, operations: OperationSet) -> None:
        self.operations = operations
        self.wrong: list[str] = []

    def _complain(self, place: str, sentence: object) -> Block:
        self.wrong.append(f"{place}: {sentence}")
        return Chain()

    def chain(self, place: str, layers: Any) -> Block:
        """A list of layers; an empty one is a shortcut."""
        if not isinstance(layers, list | tuple):
            return self._complain(place, f"a list of layers is needed, but got {layers!r}")
        blocks = [self.layer(f"{place}[{index}]", layer) for index, layer in enumerate(layers)]
        return self._built(place, lambda: language.chain(*blocks))

    def _built(self, place: str, build: Callable[[], Block]) -> Block:
        try:
            return build()
        except SpaceError as error:
            return self._complain(place, error)

    def layer(self, place: str, layer: Any) -> Block:
        """One layer: a name, a list or a mapping of one key."""
        if isinstance(layer, str):
            return self._operation(f"{place}.{layer}", layer, {})
        if isinstance(layer, list | tuple):
            return self.chain(place, layer)
        if not isinstance(layer, Mapping) or len(layer) != 1:
            more = f"{len(layer)} keys: {', '.join(map(str, layer))}" if isinstance(layer, Mapping) else repr(layer)
            return self._complain(
                place, f"a layer is a name, a list, or a mapping of one key such as conv: {{...}}, but got {more}"
            )
        word, inside = next(iter(layer.items()))
        if word in _FORMS:
            return self._form(f"{place}.{word}", str(word), inside)
        return self._operation(f"{place}.{word}", str(word), inside)

    def _operation(self, place: str, name: str, inside: Any) -> Block:
        if inside is not None and not isinstance(inside, Mapping):
            return self._complain(
                place, f"the parameters of {name} are a mapping such as {{channels: 16}}, but got {inside!r}"
            )
        options = {str(key): value for key, value in (inside or {}).items()}
        label = options.pop("name", None)
        if name not in self.operations:
            known = [*(operation.name for operation in self.operations), *_FORMS]
            hint = did_you_mean(name, known)
            return self._complain(place, f"there is no operation '{name}' in the set '{self.operations.name}'; {hint}")
        before = len(self.wrong)
        params = {key: self._value(f"{place}.{key}", value) for key, value in options.items()}
        if len(self.wrong) > before:
            return Chain()
        self.wrong += [f"{place}{at}: {sentence}" for at, sentence in complaints(name, params, self.operations)]
        return self._built(place, lambda: language.op(name, name=label, **params))

    def _value(self, place: str, value: Any) -> Any:
        """A plain value, or the domain that a mapping describes."""
        if isinstance(value, bool | int | float | str):
            return value
        try:
            if is_domain(value):
                return read_domain(value)
        except SpaceError as error:
            return self._complain(place, error)
        return self._complain(place, f"a value is needed, or a decision such as {{choice: [1, 2]}}, but got {value!r}")

    def _form(self, place: str, word: str, inside: Any) -> Block:
        form = _FORMS[word]
        long = isinstance(inside, Mapping) and (form.main in inside or bool(form.needed) or form.main == "blocks")
        options = dict(inside) if long else {form.main: inside}
        known = (form.main, *form.needed, *form.options, "name")
        for key in options:
            if key not in known:
                return self._complain(place, f"{word} has no part '{key}'; {did_you_mean(str(key), known)}")
        for key in (form.main, *form.needed):
            if key not in options:
                return self._complain(place, f"{word} needs '{key}'")
        inner = f"{place}.{form.main}" if long else place
        main = self._main(inner, form.main, options.pop(form.main))
        rest = {key: self._option(f"{place}.{key}", value) for key, value in options.items()}
        if main is None or any(isinstance(value, Chain) for value in rest.values()):
            return Chain()
        return self._built(place, lambda: form.build(main, **rest))

    def _main(self, place: str, main: str, inside: Any) -> Any:
        """The blocks inside: one for `block`, a list of them otherwise; None where they cannot be read."""
        if main == "block":
            return self.layer(place, inside)
        if not isinstance(inside, list | tuple):
            self._complain(place, f"a list is needed, but got {inside!r}")
            return None
        return [self.layer(f"{place}[{index}]", part) for index, part in enumerate(inside)]

    def _option(self, place: str, value: Any) -> Any:
        return value if value is None or not isinstance(value, Mapping) else self._value(place, value)


component = component_of(Config, create)
