"""The hooks: what a listener can be told while an experiment runs.

A listener is an object with methods of these names, each marked with `hookimpl`; a method may leave out arguments
that it does not need.  `morphml_core.plugins.hooks` says how a listener is packaged and named.

Every hook fires after its event is stored, in the process that runs the experiment, in the order of the events.  `state` is
the `morphml_core.experiment.state.State` after the event and `trial` the `morphml_core.problem.Trial` after it; both are
values that a listener must not change.  A hook should return fast: the search waits for it.  What it raises is
reported once and changes nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from morphml_core.experiment.events import (
        Closed,
        Ended,
        Failed,
        Finished,
        Lost,
        Opened,
        Proposed,
        Reported,
        Retried,
        Started,
        Stopped,
        Submitted,
    )  # fmt: skip
    from morphml_core.experiment.state import State
    from morphml_core.plugins.registry import Registry
    from morphml_core.problem import Trial

hookspec = pluggy.HookspecMarker("morphml")
hookimpl = pluggy.HookimplMarker("morphml")
"""Marks a method of a listener as the implementation of the hook of its name."""


# components -------------------------------------------------------------------------------------------


@hookspec
def morphml_components(registry: Registry) -> None:
    """Register components from code that is already imported (a notebook, a test): `registry.add(kind, name, component)`.

    Fires once, when the object is handed to `Loader.register`, before any component is looked up by name.
    """


# the experiment ---------------------------------------------------------------------------------------


@hookspec
def morphml_experiment_started(event: Started, state: State) -> None:
    """The experiment begins: fires once in its life.  There are no trials yet."""


@hookspec
def morphml_experiment_opened(event: Opened, state: State) -> None:
    """A process takes the experiment: after the start, and at every resume.  `state` has the trials of the past."""


@hookspec
def morphml_experiment_ended(event: Ended, state: State) -> None:
    """A stop condition was met, or nothing was left to propose; `event.reason` says which.  No trial is running."""


@hookspec
def morphml_experiment_closed(event: Closed, state: State) -> None:
    """The process lets the experiment go: after the end, and after Ctrl-C."""


# trials -----------------------------------------------------------------------------------------------


@hookspec
def morphml_trial_proposed(event: Proposed, trial: Trial, state: State) -> None:
    """A trial exists and is pending.  It is not submitted yet; with `trial.duplicate_of` it never will be."""


@hookspec
def morphml_trial_submitted(event: Submitted, trial: Trial, state: State) -> None:
    """The attempt `event.attempt` at the trial goes to the executor; the trial is running."""


@hookspec
def morphml_trial_reported(event: Reported, trial: Trial, state: State) -> None:
    """A running trial measured something after a step; `trial.curve` ends with it."""


@hookspec
def morphml_trial_finished(event: Finished, trial: Trial, state: State) -> None:
    """The trial has its metrics.  The optimizer has not heard of them yet."""


@hookspec
def morphml_trial_failed(event: Failed, trial: Trial, state: State) -> None:
    """The trial failed for good; `trial.cause` and `trial.message` say why."""


@hookspec
def morphml_trial_stopped(event: Stopped, trial: Trial, state: State) -> None:
    """A stopper ended the trial early; `event.reason` says why."""


@hookspec
def morphml_trial_lost(event: Lost, trial: Trial, state: State) -> None:
    """An attempt died with its process or machine; the trial is pending again."""


@hookspec
def morphml_trial_retried(event: Retried, trial: Trial, state: State) -> None:
    """A person put a failed trial back into the queue; it is pending again."""


# the listener itself ----------------------------------------------------------------------------------


@hookspec
def morphml_close() -> None:
    """Release what is held (a live display, a connection).  Fires last and always, also after an error."""
