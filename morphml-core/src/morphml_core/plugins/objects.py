"""Components from Python objects: `python: "file.py:object"` in a configuration, or the object itself in Python.

The object may be a component; or something to call with the collaborators of its kind and the other options as
keywords (a class, a function that returns the implementation); or a ready implementation.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from morphml_core import protocols
from morphml_core.errors import BrokenComponentError
from morphml_core.graph.operations import OperationSet
from morphml_core.plugins.component import HOOK, Component
from morphml_core.plugins.reference import resolve
from morphml_core.plugins.registry import check_component
from morphml_core.plugins.structure import unknown
from morphml_core.plugins.words import shown

COLLABORATORS: Mapping[str, tuple[str, ...]] = {
    "evaluator": ("space",), "optimizer": ("problem",), "stopper": ("problem",), "predictor": ("problem",),
    "executor": ("workload",), "storage": ("experiment",), "artifacts": ("experiment",), HOOK: ("context",),
}  # fmt: skip
"""What `create` gets beside the config, by kind."""

_PROTOCOLS: Mapping[str, type[Any]] = {
    "space": protocols.Space, "operations": OperationSet, "dataset": protocols.Dataset, "evaluator": protocols.Evaluator,
    "optimizer": protocols.Optimizer, "stopper": protocols.Stopper, "predictor": protocols.Predictor,
    "executor": protocols.Executor, "scheduler": protocols.Scheduler, "storage": protocols.Storage,
    "artifacts": protocols.Artifacts, "cache": protocols.Cache,
}  # fmt: skip


@attrs.frozen
class NoOptions:
    """A ready object takes no options."""


def component_of(kind: str, given: Any, options: Mapping[str, Any], folder: Path | None = None) -> Component[Any]:
    """The component that an object, or a reference to one, stands for; `options` are those beside it.

    Raises `PluginError` where there is no such object, or it does not fit the kind or the options.
    """
    subject = f"'{given}'" if isinstance(given, str) else f"the object given as {kind}"
    found = resolve(given, folder) if isinstance(given, str) else given
    if isinstance(found, Component):
        return check_component(found, kind, subject)
    if missing(kind, found) is None and not isinstance(found, type):
        return Component(kind, NoOptions, lambda config, *collaborators: found)
    if callable(found):
        return _called(kind, found, options, subject)
    raise BrokenComponentError(f"{subject} is {shown(found)}, which is no {kind}: it has no '{missing(kind, found)}'")


def missing(kind: str, found: object) -> str | None:
    """The first thing that an object lacks to be of a kind, or None."""
    if kind not in _PROTOCOLS:
        hooks = [name for name in dir(found) if name.startswith("morphml_")]
        return None if hooks else "morphml_... method"
    if kind == "operations":
        return None if isinstance(found, OperationSet) else "operations"
    wanted = [name for name in vars(_PROTOCOLS[kind]) if not name.startswith("_")]
    return next((name for name in wanted if not hasattr(found, name)), None)


def _called(kind: str, function: Any, options: Mapping[str, Any], subject: str) -> Component[Any]:
    """A component whose options are the keywords of a callable; they are checked against its signature now."""
    collaborators = COLLABORATORS.get(kind, ())
    _check_call(function, collaborators, options, subject)

    def create(config: Any, *given: Any) -> Any:
        made = function(*given, **attrs.asdict(config, recurse=False))
        lacks = missing(kind, made)
        if lacks is not None:
            raise BrokenComponentError(f"{subject} gave {shown(made)}, which is no {kind}: it has no '{lacks}'")
        return made

    config = attrs.make_class("Options", {name: attrs.field(type=Any) for name in options}, frozen=True)
    return Component(kind, config, create)


def _check_call(function: Any, collaborators: tuple[str, ...], options: Mapping[str, Any], subject: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a callable written in C says nothing of its arguments
    names = [name for name, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    known = dict.fromkeys(names[len(collaborators) :])
    for option in options:
        if option not in known and not open_ended:
            raise BrokenComponentError(f"{subject} {unknown(option, known)}")
    try:
        signature.bind(*collaborators, **options)
    except TypeError as error:
        call = ", ".join((*collaborators, *(f"{option}=..." for option in options)))
        raise BrokenComponentError(f"{subject} cannot be called as ({call}): {error}") from None


def described(given: Any) -> str:
    """A live object in words that stay the same between runs: where its class or function is."""
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{getattr(named, '__module__', '?')}:{named.__qualname__}"
