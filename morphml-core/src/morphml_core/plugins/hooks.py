"""Listeners: how they are packaged, and the typed facade that calls them.

The entry point of a listener (group `morphml.plugins`) names a component of kind `hook`, made like any other:

    # my_package/logbook.py
    @attrs.frozen
    class Config:
        path: Path = Path("logbook.txt")

    class Logbook:
        def __init__(self, config: Config, context: Context) -> None: ...

        @hookimpl
        def morphml_trial_finished(self, trial, state): ...

    plugin = hook(Config, Logbook)                    # create(config, context) -> the listener

    # pyproject.toml
    [project.entry-points."morphml.plugins"]
    logbook = "my_package.logbook:plugin"

It runs where the configuration names it (`hooks: [progress, {name: logbook, path: book.txt}]`), and nowhere else.  It may
implement any of the hooks in `hookspecs.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from morphml_core.errors import BrokenComponentError
from morphml_core.plugins import hookspecs
from morphml_core.plugins.component import Part
from morphml_core.problem import Constraint, Objective, Predicate

if TYPE_CHECKING:
    from morphml_core.experiment.events import Event
    from morphml_core.experiment.state import State


@attrs.frozen
class Context:
    """What a listener gets to know of the experiment when it is created.

    `trials`, `evaluations`, `time` (seconds) and `target` are the stop conditions (None: not set); `configuration` is
    the whole configuration as plain JSON.
    """

    experiment: str
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint | Predicate, ...] = ()
    trials: int | None = None
    evaluations: int | None = None
    time: float | None = None
    target: float | None = None
    output: Path = Path("results")
    configuration: Mapping[str, Any] = attrs.field(factory=dict)


_EXPERIMENT = ("Started", "Opened", "Ended", "Closed")
_TRIAL = ("Proposed", "Submitted", "Reported", "Finished", "Failed", "Stopped", "Lost", "Retried")
_HOOK_OF: Mapping[str, str] = {
    **{event: f"morphml_experiment_{event.lower()}" for event in _EXPERIMENT},
    **{event: f"morphml_trial_{event.lower()}" for event in _TRIAL},
}


def manager_of(name: str, listener: object) -> pluggy.PluginManager:
    """A pluggy manager with this one listener.  Raises `BrokenComponentError` for a hook that does not exist or misfits.

    Each listener has a manager of its own, since pluggy stops calling at the first listener that raises.
    """
    manager = pluggy.PluginManager("morphml")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(listener, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise BrokenComponentError(f"hook '{name}' does not fit: {' '.join(str(error).split())}") from None
    return manager


class Hooks:
    """Tells the listeners what happened.  Implements the listener protocol of the experiment.

    `warn` is called with a sentence, once for each hook of a listener that raises.
    """

    def __init__(self, listeners: Iterable[tuple[str, object]] = (), warn: Callable[[str], None] | None = None) -> None:
        self._warn = warn or logging.getLogger("morphml").warning
        self._said: set[tuple[str, str]] = set()
        self._calls: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
        for name, listener in listeners:
            manager = manager_of(name, listener)
            for hook in (*_HOOK_OF.values(), "morphml_close"):
                caller = getattr(manager.hook, hook)
                if caller.get_hookimpls():
                    self._calls.setdefault(hook, []).append((name, caller))

    @classmethod
    def create(cls, parts: Iterable[Part[Any]], context: Context, warn: Callable[[str], None] | None = None) -> Hooks:
        """The facade of the listeners that a configuration names."""
        return cls([(part.ref.name, part.create(context)) for part in parts], warn)

    def notify(self, event: Event, state: State) -> None:
        """Tell every listener of a stored event; `state` is the state after it."""
        kind = type(event).__name__
        hook = _HOOK_OF[kind]
        if hook not in self._calls:
            return
        if kind in _EXPERIMENT:
            self._call(hook, event=event, state=state)
        else:
            self._call(hook, event=event, trial=state.trials[event.number], state=state)  # type: ignore[union-attr]

    def close(self) -> None:
        """Tell every listener to release what it holds."""
        self._call("morphml_close")

    def _call(self, hook: str, **arguments: Any) -> None:
        for name, caller in self._calls.get(hook, ()):
            try:
                caller(**arguments)
            except Exception as error:
                self._report(name, hook, error)

    def _report(self, name: str, hook: str, error: Exception) -> None:
        if (name, hook) not in self._said:
            self._said.add((name, hook))
            self._warn(
                f"hook '{name}' failed in {hook}: {type(error).__name__}: {error}; the search goes on without it"
            )
