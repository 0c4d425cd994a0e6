"""What a person is told, and the log of the cluster as JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from morphml_core.errors import MorphMLError
from morphml_core.problem import Outcome, Report, Task
from morphml_distributed.dispatch.messages import Note

logger = logging.getLogger("morphml_distributed.master")
"""Without any set-up, Python prints its warnings on stderr, where the live display of a search makes room for them."""

LOUD = frozenset({"breaker_open", "quarantined", "stalled", "unplaceable", "unhealthy"})
"""Kinds of notes that are told even to those who asked for no log."""
FREQUENT = frozenset({"assigned", "began", "finished"})
_REMEMBERED = 1000


class Teller:
    """Tells through `logging`: what needs a person as a warning, the rest as information, what each trial brings for debugging.

    Who has heard that there is no worker hears of the first that comes, too.
    """

    def __init__(self) -> None:
        self._stalled = False

    @property
    def frequent(self) -> bool:
        """Only for debugging."""
        return logger.isEnabledFor(logging.DEBUG)

    def submitted(self, task: Task) -> None:
        """Nothing to tell."""

    def noted(self, note: Note) -> None:
        """One note, at its level."""
        awaited = self._stalled and note.kind in ("joined", "rejoined")
        self._stalled = (self._stalled or note.kind == "stalled") and not awaited
        loud = awaited or note.kind in LOUD
        level = logging.WARNING if loud else logging.DEBUG if note.kind in FREQUENT else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s", note.text)

    def delivered(self, message: Report | Outcome) -> None:
        """Nothing to tell."""

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""


class Refusals:
    """Tells of workers that are refused or unable: once for each reason, as they try again and again."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], None] = {}

    def tell(self, worker: str, sentence: str) -> None:
        """What became of a worker that wanted to join; an empty name: of somebody who gave none."""
        if (worker, sentence) in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[worker, sentence] = None
        if worker:
            logger.warning("the worker '%s' is %s", worker, sentence)
        else:
            logger.info("somebody is %s", sentence)


class LogFile:
    """Appends each note as a JSON line: `time`, `kind`, `trial`, `attempt`, `worker`, `message`, `term`.

    A disk that is full stops the log, not the master.  Raises `MorphMLError` where the file cannot be opened.
    """

    frequent = True

    def __init__(self, path: Path, term: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise MorphMLError(
                f"the log of the executor 'grpc' cannot be written to {path}: {error.strerror}"
            ) from None
        self._term = term
        self._now = now
        self._lines: list[str] = []
        self._failed = False

    def submitted(self, task: Task) -> None:
        """A line."""
        self.write("submitted", "", task.number, task.attempt, f"trial {task.number} is submitted")

    def noted(self, note: Note) -> None:
        """A line."""
        self.write(note.kind, note.worker, note.trial, note.attempt, note.text)

    def write(self, kind: str, worker: str, trial: int | None, attempt: int | None, text: str) -> None:
        """Add a line; `flush` writes it."""
        time = self._now().isoformat(timespec="milliseconds")
        record: dict[str, Any] = {
            "time": time,
            "kind": kind,
            "trial": trial,
            "attempt": attempt,
            "worker": worker or None,
        }
        self._lines.append(json.dumps({**record, "message": text, "term": self._term}, ensure_ascii=False))

    def delivered(self, message: Report | Outcome) -> None:
        """The notes tell it."""

    def flush(self) -> None:
        """Write what has been added."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._file.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            if not self._failed:
                logger.warning("the log of the cluster cannot be written: %s", error)
            self._failed = True

    def close(self) -> None:
        """Write the rest, and close the file."""
        self.flush()
        self._file.close()
