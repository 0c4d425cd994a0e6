"""Cache `memory`: results shared between the experiments of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict

import attrs

from morphml_core.plugins.component import cache
from morphml_core.problem import Metrics


@attrs.frozen
class Config:
    """Which cache, and how large: experiments that give the same `share` use one; `size` is the number of results it keeps."""

    share: str = "default"
    size: int = attrs.field(default=100_000, validator=attrs.validators.ge(1))


class MemoryCache:
    """Keeps the results that were used last, at most `size` of them.  May be used by several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: OrderedDict[str, Metrics] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: str) -> Metrics | None:
        """The metrics stored under the key, or None."""
        with self._lock:
            found = self._results.get(key)
            if found is None:
                return None
            self._results.move_to_end(key)
            return dict(found)

    def put(self, key: str, metrics: Metrics) -> None:
        """Store metrics under a key; a later `put` of the same key replaces them."""
        with self._lock:
            self._results[key] = dict(metrics)
            self._results.move_to_end(key)
            self._shrink()

    def grow(self, size: int) -> None:
        """Keep at least `size` results from now on."""
        with self._lock:
            self._size = max(self._size, size)

    def _shrink(self) -> None:
        while len(self._results) > self._size:
            self._results.popitem(last=False)


class _Caches:
    """The caches of this process by name."""

    def __init__(self) -> None:
        self._caches: dict[str, MemoryCache] = {}
        self._lock = threading.Lock()

    def open(self, config: Config) -> MemoryCache:
        """The cache of that name, as large as the largest size asked for."""
        with self._lock:
            found = self._caches.setdefault(config.share, MemoryCache(config.size))
        found.grow(config.size)
        return found


component = cache(Config, _Caches().open)
