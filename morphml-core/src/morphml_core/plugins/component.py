"""How a component is registered: a config class and a factory, made by the typed helper of its kind.

# my_package/climb.py
@attrs.frozen
class Config:
    steps: int = 5

component = optimizer(Config, HillClimb)          # HillClimb(config, problem)

# pyproject.toml
[project.entry-points."morphml.optimizer"]
hill_climb = "my_package.climb:component"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import attrs

from morphml_core.graph.operations import OperationSet
from morphml_core.problem import Problem
from morphml_core.protocols import (
    Artifacts,
    Cache,
    Dataset,
    Evaluator,
    Executor,
    Optimizer,
    Predictor,
    Scheduler,
    Space,
    Stopper,
    Storage,
    Workload,
)  # fmt: skip

KINDS: tuple[str, ...] = (
    "space", "operations", "dataset", "evaluator", "optimizer", "stopper", "predictor", "executor", "scheduler", "storage", "artifacts", "cache",
)  # fmt: skip

HOOK = "hook"
"""The kind of listeners, registered in the group `morphml.plugins`; many of them run, so it is none of `KINDS`."""

C = TypeVar("C")
T = TypeVar("T")


@attrs.frozen
class Component(Generic[T]):
    """An implementation of one kind: its attrs config class, and `create(config, *collaborators)`."""

    kind: str
    config: type[Any]
    create: Callable[..., T]


DEFAULT = "default"
"""The name of what a configuration leaves open: the component that an installed distribution offers as the default of its kind."""


@attrs.frozen
class ComponentRef:
    """What a configuration says of a component before it is loaded: kind, name and unread options.

    `name` may be `distribution:name`.  `where` is "file:line" for messages.
    """

    kind: str
    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
    where: str = ""


@attrs.frozen(eq=False)
class Part(Generic[T]):
    """A component with its structured config: what a `ComponentRef` becomes.  `create(...)` builds the implementation.

    A config class that holds another component has a field of this type, made by `part("dataset")`.
    """

    ref: ComponentRef
    component: Component[T]
    config: Any

    def create(self, *collaborators: Any) -> T:
        """The implementation, built with this config."""
        return self.component.create(self.config, *collaborators)

    def family(self) -> Iterator[Part[Any]]:
        """The part itself, and all those that its config holds, theirs included."""
        yield self
        for field in attrs.fields(type(self.config)) if attrs.has(type(self.config)) else ():
            held = getattr(self.config, field.name)
            for each in held if isinstance(held, tuple) else (held,):
                if isinstance(each, Part):
                    yield from each.family()


def part(kind: str, default: str | None = None, *, optional: bool = False, **extra: Any) -> Any:
    """A field, of type `Part[...]` or `tuple[Part[...], ...]`, of a config class that names other components.

    `default` is a component's name; with `optional` the field is None where the configuration says nothing.
    """
    metadata = {"morphml.kind": kind, "morphml.default": default}
    if optional or default is not None:
        return attrs.field(default=None, metadata=metadata, **extra)
    return attrs.field(metadata=metadata, **extra)


def space(config: type[C], create: Callable[[C], Space]) -> Component[Space]:
    """A component of kind `space`."""
    return Component("space", config, create)


def operations(config: type[C], create: Callable[[C], OperationSet]) -> Component[OperationSet]:
    """A component of kind `operations`."""
    return Component("operations", config, create)


def dataset(config: type[C], create: Callable[[C], Dataset]) -> Component[Dataset]:
    """A component of kind `dataset`."""
    return Component("dataset", config, create)


def evaluator(config: type[C], create: Callable[[C, Space], Evaluator]) -> Component[Evaluator]:
    """A component of kind `evaluator`."""
    return Component("evaluator", config, create)


def optimizer(config: type[C], create: Callable[[C, Problem], Optimizer]) -> Component[Optimizer]:
    """A component of kind `optimizer`."""
    return Component("optimizer", config, create)


def stopper(config: type[C], create: Callable[[C, Problem], Stopper]) -> Component[Stopper]:
    """A component of kind `stopper`."""
    return Component("stopper", config, create)


def predictor(config: type[C], create: Callable[[C, Problem], Predictor]) -> Component[Predictor]:
    """A component of kind `predictor`."""
    return Component("predictor", config, create)


def executor(config: type[C], create: Callable[[C, Workload], Executor]) -> Component[Executor]:
    """A component of kind `executor`."""
    return Component("executor", config, create)


def scheduler(config: type[C], create: Callable[[C], Scheduler]) -> Component[Scheduler]:
    """A component of kind `scheduler`."""
    return Component("scheduler", config, create)


def storage(config: type[C], create: Callable[[C, str], Storage]) -> Component[Storage]:
    """A component of kind `storage`."""
    return Component("storage", config, create)


def artifacts(config: type[C], create: Callable[[C, str], Artifacts]) -> Component[Artifacts]:
    """A component of kind `artifacts`."""
    return Component("artifacts", config, create)


def cache(config: type[C], create: Callable[[C], Cache]) -> Component[Cache]:
    """A component of kind `cache`."""
    return Component("cache", config, create)


def hook(config: type[C], create: Callable[[C, Any], object]) -> Component[object]:
    """A listener: `create(config, context)`, where `context` is a `morphml_core.plugins.hooks.Context`."""
    return Component(HOOK, config, create)
