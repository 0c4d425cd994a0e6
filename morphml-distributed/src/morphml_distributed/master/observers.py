"""Who is told what the dispatcher does: logs, metrics, spans."""

from __future__ import annotations

from typing import Protocol

from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch.messages import Note


class Observer(Protocol):
    """Called in the master's loop; quick, and never raises."""

    @property
    def frequent(self) -> bool:
        """Whether it wants the notes that come with each task: assigned, began, finished."""

    def submitted(self, task: Task) -> None:
        """The search wants a task run."""

    def noted(self, note: Note) -> None:
        """The dispatcher has noted something."""

    def delivered(self, message: Report | Outcome) -> None:
        """The search gets this."""

    def flush(self) -> None:
        """A batch is over."""

    def close(self) -> None:
        """Nothing comes any more."""
