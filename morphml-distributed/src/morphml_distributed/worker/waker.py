"""Wakes the one thread that decides, from others and from signals."""

from __future__ import annotations

import contextlib
import os


class Waker:
    """A pipe that becomes readable when somebody has called `wake` since the last `clear`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._woken = False

    def fileno(self) -> int:
        """The end to watch."""
        return self._read

    def wake(self) -> None:
        """Make it readable; from any thread, or a signal's handler."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):  # it is full, or closed
                os.write(self._write, b".")

    def clear(self) -> None:
        """Make it unreadable, before looking at what others have left."""
        if self._woken:
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
            self._woken = False

    def close(self) -> None:
        """Release the pipe; nobody can be woken any more."""
        self._woken = True
        for end in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(end)
