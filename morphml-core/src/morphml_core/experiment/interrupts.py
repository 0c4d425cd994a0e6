"""Ctrl-C, and a request to end, at a safe moment: they break off waiting and evaluating, but never the writing of the log."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_HANDLED = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP call `stop`, and raise `KeyboardInterrupt` only while `waiting` is set, or the second time.

    Does nothing outside the main thread, nor with a signal that is ignored (as `nohup` has it) or for which the program has its own handler.
    `signal` is the first that came.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.waiting = False
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in _HANDLED:
            number: signal.Signals | None = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.signal is not None
        self.signal = self.signal or signal.Signals(number)
        self._stop()
        if again or self.waiting:
            raise KeyboardInterrupt(self.signal)
