"""Leases, held tasks, health and capacity: what messages are made of, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import checks, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError

_SERIAL = limits.SERIAL


def lease_of(message: Any) -> m.Lease:
    """The lease of a message that has one."""
    if not message.HasField("lease"):
        raise WireError(f"a message {type(message).__name__} has no lease; each names the lease of its task")
    lease = message.lease
    term, serial = lease.term, lease.serial
    if term >= _SERIAL or serial >= _SERIAL:
        raise WireError(f"a lease is {term}-{serial}, but both its numbers are below {_SERIAL}")
    return m.Lease(term, serial)


def lease_message(lease: m.Lease) -> pb.Lease:
    """A lease as a message."""
    return pb.Lease(term=lease.term, serial=lease.serial)


def held_of(said: Iterable[pb.Held]) -> tuple[m.Held, ...]:
    """The tasks that a worker says it holds (of a heartbeat or a hello), checked."""
    return tuple([_one_held(held) for held in checks.few(said, limits.HELD, "held tasks")])


def _one_held(held: pb.Held) -> m.Held:
    step = checks.within(held.step, limits.COUNT, "the step of a held task")
    return m.Held(checks.trial(held), checks.attempt(held), lease_of(held), held.running, step)


def held_message(held: m.Held) -> pb.Held:
    """A task that the worker has, as a message."""
    return pb.Held(
        number=held.number, attempt=held.attempt, lease=lease_message(held.lease), running=held.running, step=held.step
    )


def health_of(said: pb.Health) -> m.Health:
    """The health of a machine, checked."""
    disk = checks.within(said.disk_free, _SERIAL, "the free disk") if said.HasField("disk_free") else None
    gpu = _share(said.gpu, "the load of a GPU") if said.HasField("gpu") else None
    gpu_memory = _share(said.gpu_memory, "the used memory of a GPU") if said.HasField("gpu_memory") else None
    warm = checks.real(said.temperature, "a temperature", -300.0, 1000.0) if said.HasField("temperature") else None
    return m.Health(_share(said.cpu, "the load"), _share(said.memory, "the used memory"), disk, gpu, gpu_memory, warm)


def _share(value: float, what: str) -> float:
    return checks.real(value, what, 0.0, 1.0)


def health_message(health: m.Health) -> pb.Health:
    """How a machine is, as a message; shares are brought into [0, 1]."""
    return pb.Health(
        cpu=_clipped(health.cpu),
        memory=_clipped(health.memory),
        disk_free=health.disk_free,
        gpu=None if health.gpu is None else _clipped(health.gpu),
        gpu_memory=None if health.gpu_memory is None else _clipped(health.gpu_memory),
        temperature=health.temperature,
    )


def _clipped(share: float) -> float:
    return min(1.0, share) if share > 0.0 else 0.0


def capacity_of(said: pb.Capacity) -> m.Capacity:
    """What a worker offers, checked."""
    gpus = checks.few(said.gpus, limits.GPUS, "GPUs of one worker")
    checks.distinct((gpu.id for gpu in gpus), "the id of a GPU")
    labels = checks.distinct(checks.few(said.labels, limits.LABELS, "labels of one worker"), "a label")
    return m.Capacity(
        checks.real(said.cpus, "the number of CPUs", 0.0, limits.MANY),
        checks.within(said.memory, _SERIAL, "the memory of a worker"),
        tuple(m.Gpu(gpu.id, checks.within(gpu.memory, _SERIAL, "the memory of a GPU")) for gpu in gpus),
        frozenset(labels),
    )


def capacity_message(capacity: m.Capacity) -> pb.Capacity:
    """What a worker offers, as a message."""
    return pb.Capacity(
        cpus=capacity.cpus,
        memory=capacity.memory,
        gpus=[pb.Gpu(id=gpu.id, memory=gpu.memory) for gpu in capacity.gpus],
        labels=sorted(capacity.labels),
    )
