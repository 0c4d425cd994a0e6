"""The memory limit of one task in a worker process."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import psutil

from morphml_core.executor._messages import EXIT_MEMORY

_INTERVAL = 0.02
_SLACK = 128 * 2**20


class MemoryGuard:
    """Holds the process to a number of bytes of resident memory while a task runs.

    Two means: a thread looks at the resident memory and ends the process when it is past the limit (`EXIT_MEMORY`); and, on Linux,
    a soft RLIMIT_DATA lets one large allocation fail (`MemoryError`) before it could fill the machine between two looks.  Not where
    a GPU can be seen: its driver may reserve memory far beyond what it uses.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._limit: int | None = None
        self._wake = threading.Event()
        self._watcher: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, size: int | None) -> Iterator[None]:
        """Limit to `size` bytes while in this context (None: no limit)."""
        if size is None:
            yield
            return
        self._limit = size
        self._watch()
        with self._burst_limit(size):
            try:
                yield
            finally:
                self._limit = None
                self._wake.clear()

    def _watch(self) -> None:
        self._wake.set()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, daemon=True)
            self._watcher.start()

    def _look(self) -> None:
        pause = threading.Event()
        while self._wake.wait():
            limit = self._limit
            if limit is not None and self._process.memory_info().rss > limit:
                os._exit(EXIT_MEMORY)
            pause.wait(_INTERVAL)

    @contextlib.contextmanager
    def _burst_limit(self, size: int) -> Iterator[None]:
        if sys.platform != "linux" or _sees_gpu():
            yield
            return
        import resource

        now = self._process.memory_info()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = now.data + max(0, size - now.rss) + size // 4 + _SLACK
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _sees_gpu() -> bool:
    return os.path.exists("/dev/nvidiactl") and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
