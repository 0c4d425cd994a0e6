"""Ctrl-C at a safe moment: it breaks off waiting and evaluating, but never the writing of the log."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType


class Interrupts:
    """While entered, SIGINT calls `stop`, and raises `KeyboardInterrupt` only while `waiting` is set, or the second time.

    Does nothing outside the main thread, or where the program has its own handler.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.waiting = False
        self._seen = False
        self._installed = False

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._seen = self._seen, True
        self._stop()
        if again or self.waiting:
            raise KeyboardInterrupt
