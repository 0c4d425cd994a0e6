"""What this machine has, and how it is: CPU cores, memory, GPUs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import psutil

from morphml_core.errors import MorphMLError
from morphml_distributed.dispatch.messages import Gpu, Health

_V1_NO_LIMIT = 2**60


# CPU and memory ---------------------------------------------------------------------------------------


def cpu_count(root: Path = Path("/")) -> float:
    """The CPU cores that this process may use: those it may run on, or less where its control group says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _quota(folder)) is not None]
    return min([float(cores), *quotas])


def memory_size(root: Path = Path("/")) -> int:
    """The bytes of memory that this process may use: the machine's, or less where its control group says so."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _memory_limits(root))])


def memory_share(root: Path = Path("/")) -> float:
    """How much of it is in use, from 0 to 1; of the fullest of the groups that limit it."""
    shares = [used / limit for limit, used in _memory_limits(root) if limit]
    return float(max([psutil.virtual_memory().percent / 100, *shares]))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups that can limit that: its own first, then those above it."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = PurePosixPath(path.lstrip("/"))
        for folder in (own, *own.parents):
            yield base / folder


def _quota(folder: Path) -> float | None:
    """Cores, of version 2 (`cpu.max`: "QUOTA PERIOD") or version 1 of control groups."""
    text = _read(folder / "cpu.max") or f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
    quota, _, period = text.partition(" ")
    if not quota.isdigit() or not period.isdigit() or not int(quota) or not int(period):
        return None
    return int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limits with what is used of each, in bytes."""
    for folder in _groups(root, "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            found, now = _read(folder / limit) or "", _read(folder / used) or ""
            if found.isdigit() and int(found) < _V1_NO_LIMIT:
                yield int(found), int(now) if now.isdigit() else 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


# GPUs -------------------------------------------------------------------------------------------------


def _nvml() -> ModuleType | None:
    """nvidia-ml-py, ready for use; None where it is not installed, or finds no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    found: ModuleType = pynvml
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _devices(nvml: ModuleType) -> dict[str, Any]:
    """The handles of all GPUs, by index and by UUID."""
    found: dict[str, Any] = {}
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        found[str(index)] = found[_text(nvml.nvmlDeviceGetUUID(handle))] = handle
    return found


def gpus(wanted: int | Sequence[str] | None, visible: str | None = None) -> tuple[Gpu, ...]:
    """GPUs of this machine with their memory: so many, those of these ids, or (None) all that there are.

    `visible` is CUDA_VISIBLE_DEVICES, which limits what there is.  Without nvidia-ml-py, or a driver, those that are asked for are
    believed to be there, with a memory of 0 bytes.  Raises `MorphMLError` for more than there are, or unknown ids.
    """
    nvml = None if wanted == 0 else _nvml()
    shown = None if visible is None else [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")]
    if nvml is None:
        ids = (shown or [])[:0] if wanted is None else _asked(wanted, shown)
        return tuple(Gpu(each, 0) for each in ids)
    devices = _devices(nvml)
    there = (
        [each for each in devices if each.isdigit()] if shown is None else [each for each in shown if each in devices]
    )
    return tuple(
        Gpu(each, int(nvml.nvmlDeviceGetMemoryInfo(devices[each]).total)) for each in _chosen(wanted, there, devices)
    )


def _asked(wanted: int | Sequence[str], shown: Sequence[str] | None) -> list[str]:
    if not isinstance(wanted, int):
        return list(wanted)
    return _first(wanted, [str(index) for index in range(wanted)] if shown is None else shown)


def _chosen(wanted: int | Sequence[str] | None, there: Sequence[str], devices: dict[str, Any]) -> Sequence[str]:
    if wanted is None:
        return there
    if isinstance(wanted, int):
        return _first(wanted, there)
    unknown = [each for each in wanted if each not in devices]
    if unknown:
        raise MorphMLError(f"there is no GPU '{unknown[0]}' on this machine; there are {', '.join(there) or 'none'}")
    return wanted


def _first(count: int, there: Sequence[str]) -> list[str]:
    if len(there) < count:
        raise MorphMLError(
            f"{count} GPUs are asked for, but {len(there)} can be seen here; lower --gpus, or look at CUDA_VISIBLE_DEVICES"
        )
    return list(there[:count])


# health -----------------------------------------------------------------------------------------------


class Examiner:
    """Tells how this machine is, again and again; `folder` is on the disk that matters, `gpus` are those that matter."""

    def __init__(self, folder: Path, gpus: Sequence[Gpu] = ()) -> None:
        self._folder = folder
        self._nvml = _nvml() if gpus else None
        devices = _devices(self._nvml) if self._nvml else {}
        self._devices = [devices[gpu.id] for gpu in gpus if gpu.id in devices]
        psutil.cpu_percent(None)

    def health(self) -> Health:
        """How the machine is now.  The load is that since the last call, the temperature that of the GPUs."""
        disk = None
        with contextlib.suppress(OSError):
            disk = psutil.disk_usage(str(self._folder)).free
        busy, full, warm = self._gpu_state()
        return Health(min(1.0, psutil.cpu_percent(None) / 100), min(1.0, memory_share()), disk, busy, full, warm)

    def _gpu_state(self) -> tuple[float | None, float | None, float | None]:
        """Load and used memory (shares), and temperature, the highest of the GPUs."""
        nvml = self._nvml
        if nvml is None or not self._devices:
            return None, None, None

        def highest(ask: Callable[[Any], float]) -> float | None:
            found = []
            for device in self._devices:
                with contextlib.suppress(nvml.NVMLError):
                    found.append(float(ask(device)))
            return max(found, default=None)

        def full(device: Any) -> float:
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
            return float(memory.used / memory.total)

        return (
            highest(lambda device: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100),
            highest(full),
            highest(lambda device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
        )
