"""The events of an experiment: its whole truth.  The state is a fold over them (`state.py`).

Numbers are trial numbers from 0.  Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from morphml_core.problem import Budget, Cause, Metrics
from morphml_core.space.decisions import Genotype

FULL = Budget()
"""All that the evaluator uses by itself."""


@attrs.frozen
class Started:
    """The experiment begins.  `configuration` is what shapes the trajectory; `versions` the distributions in use."""

    configuration: Mapping[str, Any]
    versions: Mapping[str, str]
    time: float


@attrs.frozen
class Opened:
    """A process takes the experiment: from here on, only it appends (until it closes or another takes over)."""

    host: str
    pid: int
    process_started: float
    time: float


@attrs.frozen
class Closed:
    """The process that held the experiment has let it go."""

    time: float


@attrs.frozen
class Proposed:
    """A trial exists.  With `duplicate_of` it waits for, or has at once, the result of an equal network.

    `told` is how many trials the optimizer had been told when it proposed this one, where the search is reproducible.
    """

    number: int
    genotype: Genotype
    fingerprint: str
    time: float
    budget: Budget = FULL
    continues: int | None = None
    duplicate_of: int | None = None
    repeat_of: int | None = None
    priority: float = 0.0
    origin: str = ""
    told: int | None = None


@attrs.frozen
class Submitted:
    """An attempt at a trial was handed to the executor."""

    number: int
    attempt: int
    time: float


@attrs.frozen
class Reported:
    """An intermediate measurement of a running trial; `step` counts epochs from 1."""

    number: int
    step: int
    metrics: Metrics
    time: float


@attrs.frozen
class Finished:
    """The trial has its metrics.  `duration` in seconds."""

    number: int
    metrics: Metrics
    time: float
    duration: float = 0.0
    worker: str = ""


@attrs.frozen
class Failed:
    """The trial failed for good.  `metrics` are those known without evaluation."""

    number: int
    cause: Cause
    message: str
    time: float
    duration: float = 0.0
    metrics: Metrics = attrs.field(factory=dict)
    worker: str = ""


@attrs.frozen
class Stopped:
    """A stopper ended the trial early, for a reason; `metrics` are those of its last report."""

    number: int
    metrics: Metrics
    reason: str
    time: float
    duration: float = 0.0


@attrs.frozen
class Lost:
    """An attempt came to nothing, and the trial waits for its next one: its process or machine died, a restart cut it off, or it failed
    of a `cause` for which the trial has retries left.

    `counted` says whether it counts against the retries for that cause: not where the search itself stopped or died.
    """

    number: int
    message: str
    time: float
    counted: bool = True
    cause: Cause = Cause.LOST


@attrs.frozen
class Retried:
    """A person puts a failed trial back into the queue."""

    number: int
    time: float


@attrs.frozen
class Ended:
    """A stop condition was met, or the optimizer had no more to propose."""

    reason: str
    time: float


Event: TypeAlias = (
    Started | Opened | Closed | Proposed | Submitted | Reported | Finished | Failed | Stopped | Lost | Retried | Ended
)
