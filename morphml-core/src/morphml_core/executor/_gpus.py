"""Which GPU a task gets: whole ones, or a share of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Devices = tuple[str, ...]
"""The ids, as CUDA_VISIBLE_DEVICES names them, of the GPUs that a process sees."""

_EPSILON = 1e-6


def device_ids(gpus: Any, environment: Mapping[str, str]) -> Devices:
    """The ids of a configuration's `gpus`: a list of ids, or how many of the visible ones to use.

    Raises `ValueError` with a sentence.
    """
    if isinstance(gpus, int) and not isinstance(gpus, bool) and gpus >= 0:
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        ids = (
            [str(index) for index in range(gpus)] if visible is None else [part.strip() for part in visible.split(",")]
        )
        ids = [part for part in ids if part not in ("", "-1")]
        if len(ids) < gpus:
            raise ValueError(f"gpus is {gpus}, but CUDA_VISIBLE_DEVICES shows {len(ids)}; lower one or widen the other")
        return tuple(ids[:gpus])
    if isinstance(gpus, Sequence) and not isinstance(gpus, str):
        ids = [str(part) for part in gpus if isinstance(part, int | str) and not isinstance(part, bool)]
        if len(ids) == len(gpus) == len(set(ids)):
            return tuple(ids)
    raise ValueError(f"gpus is {gpus!r}; give a number of GPUs (2) or a list of distinct device ids ([0, 3])")


class Gpus:
    """Keeps account of how much of each GPU is taken."""

    def __init__(self, ids: Devices) -> None:
        self.ids = ids
        self._taken = dict.fromkeys(ids, 0.0)

    def fits(self, devices: Devices, need: float) -> bool:
        """Whether a process that sees these devices can now run a task that needs so many GPUs."""
        if len(devices) != math.ceil(need - _EPSILON):
            return False
        share = min(need, 1.0)
        return all(self._taken[device] + share <= 1.0 + _EPSILON for device in devices)

    def choose(self, need: float) -> Devices | None:
        """The least used devices for a task that needs so many GPUs; None where there is no room now."""
        count = math.ceil(need - _EPSILON)
        devices = tuple(sorted(self.ids, key=lambda device: self._taken[device])[:count])
        return devices if self.fits(devices, need) else None

    def take(self, devices: Devices, need: float) -> None:
        """A task that needs so many GPUs begins on these devices."""
        for device in devices:
            self._taken[device] += min(need, 1.0)

    def release(self, devices: Devices, need: float) -> None:
        """It has ended."""
        for device in devices:
            self._taken[device] = max(0.0, self._taken[device] - min(need, 1.0))

    def room(self, need: float, workers: int) -> int:
        """How many tasks that need so many GPUs fit at once, at most one a worker."""
        if need <= _EPSILON:
            return workers
        share = (
            len(self.ids) * math.floor(1 / need + _EPSILON)
            if need <= 1
            else len(self.ids) // math.ceil(need - _EPSILON)
        )
        return min(workers, share)
