"""The lines that a worker prints."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import IO, Any

_MOST = 20


class Log:
    """Prints plain lines, or one JSON object a line; and appends them with the time to a file.

    Of the lines on single trials it shows at most 20 a second, and then says how many were left out.
    """

    def __init__(self, worker: str, out: IO[str], as_json: bool = False, file: IO[str] | None = None) -> None:
        self._worker = worker
        self._out = out
        self._json = as_json
        self._file = file
        self._second = 0
        self._shown = self._left_out = 0

    def say(self, event: str, text: str, **fields: Any) -> None:
        """One line: `text` for people, the name of the event and fields for programs."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": now, "event": event, "worker": self._worker, "message": text, **fields}
        self._print(self._out, json.dumps(record, ensure_ascii=False) if self._json else text)
        if self._file is not None:
            self._print(self._file, json.dumps(record, ensure_ascii=False) if self._json else f"{now} {text}")

    def trial(self, event: str, number: int, attempt: int, text: str) -> None:
        """One line on a trial, if there are not too many."""
        self.catch_up()
        if self._shown < _MOST:
            self._shown += 1
            self.say(event, f"trial {number} {text}", trial=number, attempt=attempt)
        else:
            self._left_out += 1

    def catch_up(self) -> None:
        """Say how many lines of the last second were left out; to be called now and then."""
        second = int(time.monotonic())
        if second == self._second:
            return
        self._second, self._shown = second, 0
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self.say("summary", f"and {count} more lines on trials", lines=count)

    def _print(self, out: IO[str], line: str) -> None:
        try:
            out.write(line + "\n")
            out.flush()
        except (OSError, ValueError):  # who has read it is gone, or the disk is full: the work goes on
            pass
