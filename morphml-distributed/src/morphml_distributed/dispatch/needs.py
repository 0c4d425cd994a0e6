"""What a task needs, what a worker has, and whether the one fits into the other."""

from __future__ import annotations

import math
from collections.abc import Iterable

from morphml_core.problem import Resources
from morphml_distributed.dispatch.messages import Capacity

EPSILON = 1e-6


def devices(need: Resources) -> int:
    """How many GPUs a task that needs so much is given."""
    return math.ceil(need.gpus - EPSILON)


def holds(capacity: Capacity, need: Resources) -> bool:
    """Whether a worker that has nothing else to do can hold the task."""
    if need.cpus > capacity.cpus + EPSILON or (need.memory or 0) > capacity.memory:
        return False
    if need.labels and not need.labels <= capacity.labels:
        return False
    if need.gpus <= EPSILON:
        return True
    return sum(gpu.memory >= (need.gpu_memory or 0) for gpu in capacity.gpus) >= devices(need)


def count(capacity: Capacity, need: Resources) -> int:
    """How many such tasks a worker can hold at once."""
    if not holds(capacity, need):
        return 0
    limits = [4096]
    if need.cpus > EPSILON:
        limits.append(int(capacity.cpus / need.cpus + EPSILON))
    if need.memory:
        limits.append(capacity.memory // need.memory)
    if need.gpus > EPSILON:
        limits.append(_on_gpus(capacity, need))
    return max(1, min(limits))


def _on_gpus(capacity: Capacity, need: Resources) -> int:
    memory = need.gpu_memory or 0
    fitting = [gpu for gpu in capacity.gpus if gpu.memory >= memory]
    if need.gpus > 1:
        return len(fitting) // devices(need)
    share = int(1 / need.gpus + EPSILON)
    return sum(min(share, gpu.memory // memory) if memory else share for gpu in fitting)


def told(need: Resources) -> str:
    """The need in words: "2 cpus, 8.0 GiB, 1 gpu of 16.0 GiB, label a100"."""
    parts = [f"{need.cpus:g} cpu{'' if need.cpus == 1 else 's'}"]
    parts += [f"{need.memory / 2**30:.1f} GiB"] if need.memory else []
    if need.gpus > EPSILON:
        of = f" of {need.gpu_memory / 2**30:.1f} GiB" if need.gpu_memory else ""
        parts.append(f"{need.gpus:g} gpu{'' if need.gpus <= 1 else 's'}{of}")
    parts += [f"label {label}" for label in sorted(need.labels)]
    return ", ".join(parts)


def largest(capacities: Iterable[Capacity]) -> str:
    """The most that any worker has of each: "the largest workers have 8 cpus, 16.0 GiB, no gpu, no labels"."""
    found = list(capacities)
    gpus = max(len(capacity.gpus) for capacity in found)
    memory = max((gpu.memory for capacity in found for gpu in capacity.gpus), default=0)
    labels = sorted({label for capacity in found for label in capacity.labels})
    return ", ".join(
        [
            f"{max(capacity.cpus for capacity in found):g} cpus",
            f"{max(capacity.memory for capacity in found) / 2**30:.1f} GiB",
            f"{gpus} gpu{'' if gpus == 1 else 's'} of up to {memory / 2**30:.1f} GiB" if gpus else "no gpu",
            f"labels {', '.join(labels)}" if labels else "no labels",
        ]
    )
