"""Tasks on their way: the states that one can be in, which events lead from one to another, and the story of each trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.problem import Task
from morphml_core.protocols import QueuedTask
from morphml_distributed.dispatch.messages import Lease

if TYPE_CHECKING:
    from morphml_distributed.dispatch.board import Lane
    from morphml_distributed.dispatch.workers import WorkerState

WAITING, LEASED, RUNNING, OVER = "waiting", "leased", "running", "over"
STATES = (WAITING, LEASED, RUNNING, OVER)
EVENTS = ("lease", "begin", "report", "return", "finish", "fail", "lose", "cancel", "expire", "supersede")

TABLE: Mapping[tuple[str, str], str] = {
    (WAITING, "lease"): LEASED,  # given to a worker, or adopted from one that has kept it
    (WAITING, "finish"): OVER,  # a late result of a former lease
    (WAITING, "fail"): OVER,  # a late failure; no worker can hold it; quarantined
    (WAITING, "cancel"): OVER,
    (WAITING, "supersede"): OVER,
    (LEASED, "lease"): LEASED,  # another worker is further with it
    (LEASED, "begin"): RUNNING,
    (LEASED, "report"): RUNNING,  # the beginning was not told
    (LEASED, "return"): WAITING,
    (LEASED, "finish"): OVER,
    (LEASED, "fail"): OVER,
    (LEASED, "lose"): OVER,
    (LEASED, "cancel"): LEASED,  # its outcome comes from the worker
    (LEASED, "expire"): OVER,  # or does not come in time
    (LEASED, "supersede"): OVER,
    (RUNNING, "lease"): LEASED,
    (RUNNING, "begin"): RUNNING,
    (RUNNING, "report"): RUNNING,
    (RUNNING, "return"): WAITING,  # the worker knows better
    (RUNNING, "finish"): OVER,
    (RUNNING, "fail"): OVER,
    (RUNNING, "lose"): OVER,
    (RUNNING, "cancel"): RUNNING,
    (RUNNING, "expire"): OVER,
    (RUNNING, "supersede"): OVER,
}
"""From a state and an event to the next state.  What is not here must not happen."""

_LONGEST_STORY = 200
PHRASES: Mapping[str, str] = {
    "submitted": "attempt {1} was submitted",
    "assigned": "trial {0} is given to {1}",
    "began": "trial {0} has begun on {1}",
    "finished": "trial {0} has finished on {1}",
}
"""What comes with each task, for its number and the worker's name (or the attempt): kept short, and put into words when somebody asks."""


class DispatchError(MorphMLError):
    """Something has happened to a task that must not happen.  The text has the story of the task."""


@attrs.frozen
class Loss:
    """An attempt that ended without a result: when, on which worker, how, and whether the trial may be to blame."""

    time: float
    worker: str
    how: str
    lease: Lease
    blamed: bool
    process: bool


class Trial:
    """What is remembered of a trial from attempt to attempt.  `ended` is how the last attempt ended (empty: it has not)."""

    __slots__ = ("cause", "ended", "failures", "losses", "number", "story")

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended = ""
        self.cause = ""
        self.failures = 0
        self.losses: list[Loss] = []
        self.story: list[tuple[float, str, str]] = []

    def tell(self, now: float, text: str, who: str = "") -> None:
        """Add a line to the story; of a long one the middle is left out.  With `who`, the text is one of `PHRASES`."""
        story = self.story
        if len(story) >= _LONGEST_STORY:
            del story[_LONGEST_STORY // 2]
        story.append((now, text, who))

    @property
    def blamed(self) -> list[Loss]:
        """The losses that count towards putting it aside."""
        return [loss for loss in self.losses if loss.blamed]

    def lines(self) -> list[str]:
        """The story, a line for each thing that happened, with its time."""
        number = self.number
        return [f"{time:.3f} {PHRASES[text].format(number, who) if who else text}" for time, text, who in self.story]


class Entry:
    """A submitted task whose outcome is still to be delivered.

    `lane` is where it waits; `worker`, `lease` and `gpus` are set while it is leased; `allocated`: it holds resources of the worker, because it runs or should soon.
    `revoked`: the worker was asked to give it back, for the worker of that name (empty: for anyone).
    """

    __slots__ = (
        "allocated", "cancelled", "gpus", "lane", "lease", "number", "queued", "revoked", "sequence", "start", "state", "step", "task",
        "trial", "worker",
    )  # fmt: skip

    def __init__(self, queued: QueuedTask, trial: Trial, sequence: int) -> None:
        self.queued = queued
        self.task: Task = queued.task
        self.number: int = queued.task.number
        self.trial = trial
        self.sequence = sequence
        self.state = WAITING
        self.lane: Lane | None = None
        self.start = 0.0
        self.lease: Lease | None = None
        self.worker: WorkerState | None = None
        self.gpus: tuple[str, ...] = ()
        self.allocated = False
        self.cancelled = False
        self.revoked: str | None = None
        self.step = 0

    def move(self, event: str) -> None:
        """Go on to the next state.  Raises `DispatchError` with the story of the task where the table does not allow the event."""
        state = TABLE.get((self.state, event))
        if state is None:
            raise DispatchError(self.complaint(f"the event {event!r} must not happen while it is {self.state}"))
        self.state = state

    def complaint(self, what: str) -> str:
        """A sentence about it, followed by its story."""
        story = "\n  ".join(self.trial.lines())
        return f"trial {self.number}, attempt {self.task.attempt}: {what}; its story:\n  {story}"
