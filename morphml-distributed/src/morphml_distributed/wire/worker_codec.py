"""The worker's side of the codec; `codec` has all its names."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from morphml_core.errors import StorageError
from morphml_core.experiment.codec import genotype_of
from morphml_core.problem import Budget, Cause, Metrics, Outcome, Report, Resources, Task
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import checks, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError, cut
from morphml_distributed.wire.values import health_message, held_message, lease_message, lease_of

# from the master ------------------------------------------------------------------------------------

_KINDS = ("assign", "revoke", "cancel", "acknowledge", "evict")


def instruction_of(worker: str, session: int, frame: pb.MasterFrame) -> m.Instruction:
    """The instruction of a frame from the master, for the worker of that name.  Raises `WireError` for anything out of range."""
    kind = frame.WhichOneof("kind")
    if kind == "assign":
        lease, task, gpus = task_of(frame.assign)
        return m.Assign(worker, lease, task, gpus)
    if kind == "acknowledge":
        said = frame.acknowledge
        return m.Acknowledge(worker, lease_of(said), checks.trial(said), said.used)
    if kind == "cancel":
        return m.Cancel(worker, lease_of(frame.cancel), checks.trial(frame.cancel))
    if kind == "revoke":
        return m.Revoke(worker, lease_of(frame.revoke), checks.trial(frame.revoke))
    if kind == "evict":
        return m.Evict(worker, session, checks.text(frame.evict.reason, "the reason of an eviction"))
    raise WireError(f"a frame of the master is {checks.none_of(kind, _KINDS)}")


def task_of(assign: pb.Assign) -> tuple[m.Lease, Task, tuple[str, ...]]:
    """The lease, the task and the ids of its GPUs.  Raises `WireError` for anything out of range.

    Labels are the master's business: they do not travel, and the task has none.
    """
    number, text = checks.trial(assign), assign.genotype
    if len(text) > limits.GENOTYPE:
        checks.text(text, f"the genotype of trial {number}", limits.GENOTYPE)
    try:
        genotype = genotype_of(text)
    except StorageError as error:
        raise WireError(f"trial {number} cannot be run: {error}") from None
    gpus: Any = assign.gpus
    gpus = checks.distinct(checks.few(gpus, limits.GPUS, "GPUs of one task"), "the id of a GPU") if gpus else ()
    priority = assign.priority
    if not -inf < priority < inf:
        checks.real(priority, "the priority of a trial")
    attempt = checks.attempt(assign)
    task = Task(
        number, genotype, assign.seed, attempt, _budget(assign), _continued(assign), priority, _needs(assign), _timeout(assign)
    )  # fmt: skip
    return lease_of(assign), task, gpus


def _budget(assign: pb.Assign) -> Budget:
    epochs = None
    if assign.HasField("epochs"):
        epochs = checks.within(assign.epochs, limits.COUNT, "the number of epochs of a trial")
    fraction = assign.fraction
    if not 0.0 <= fraction <= 1.0:
        checks.real(fraction, "the fraction of the data", 0.0, 1.0)
    return Budget(epochs, fraction)


def _continued(assign: pb.Assign) -> int | None:
    if not assign.HasField("continues"):
        return None
    return checks.within(assign.continues, limits.NUMBER, "the number of the continued trial")


def _timeout(assign: pb.Assign) -> float | None:
    return checks.real(assign.timeout, "the timeout of a trial", 0.0) if assign.HasField("timeout") else None


def _needs(assign: pb.Assign) -> Resources:
    memory = gpu_memory = None
    if assign.HasField("memory"):
        memory = checks.within(assign.memory, limits.SERIAL, "the memory of a trial")
    if assign.HasField("gpu_memory"):
        gpu_memory = checks.within(assign.gpu_memory, limits.SERIAL, "the GPU memory of a trial")
    cpus, gpus = assign.cpus, assign.gpu_share
    if not (0.0 <= cpus <= limits.MANY and 0.0 <= gpus <= limits.MANY):
        checks.real(cpus, "the number of CPUs of a trial", 0.0, limits.MANY)
        checks.real(gpus, "the number of GPUs of a trial", 0.0, limits.MANY)
    return Resources(cpus, memory, gpus, gpu_memory)


# to the master --------------------------------------------------------------------------------------


def began_frame(lease: m.Lease, number: int) -> pb.WorkerFrame:
    """The worker has begun the task."""
    with checks.sending("that a trial has begun"):
        return pb.WorkerFrame(began=pb.Began(lease=lease_message(lease), number=number))


def returned_frame(lease: m.Lease, number: int) -> pb.WorkerFrame:
    """The worker gives the task back, not begun."""
    with checks.sending("that a trial is given back"):
        return pb.WorkerFrame(returned=pb.Returned(lease=lease_message(lease), number=number))


def report_frame(lease: m.Lease, report: Report) -> pb.WorkerFrame:
    """A report.  Raises `WireError` where it cannot be sent: too many metrics, names that are too long or no text, values that are no numbers."""
    with checks.sending(f"a report of trial {report.number}"):
        _fit(report.metrics)
        said = pb.Report(
            lease=lease_message(lease),
            number=report.number,
            attempt=report.attempt,
            step=report.step,
            metrics=report.metrics,
        )
        return pb.WorkerFrame(report=said)


def result_frame(lease: m.Lease, outcome: Outcome) -> pb.WorkerFrame:
    """The end of a task.  One whose metrics cannot be sent becomes a failed one that says so."""
    try:
        return _result(lease, outcome)
    except checks.UNFIT as error:
        message = f"the result of trial {outcome.number} cannot be sent: {error}"
    with checks.sending(f"the result of trial {outcome.number}"):
        return _result(lease, Outcome(outcome.number, outcome.attempt, None, Cause.ERROR, message))


def _result(lease: m.Lease, outcome: Outcome) -> pb.WorkerFrame:
    frame = pb.WorkerFrame()
    said, duration = frame.result, outcome.duration
    said.lease.term, said.lease.serial = lease.term, lease.serial
    said.number, said.attempt = outcome.number, outcome.attempt
    if outcome.cause is not None:
        said.cause = outcome.cause.value
    elif outcome.metrics is not None:
        _fit(outcome.metrics)
        said.metrics.SetInParent()
        said.metrics.values.update(outcome.metrics)
    else:
        said.cancelled = True
    if outcome.message:
        said.message = cut(outcome.message)
    if 0.0 < duration < inf:
        said.duration = duration
    return frame


def _fit(metrics: Metrics) -> None:
    if len(metrics) > limits.METRICS:
        raise ValueError(f"it has {len(metrics)} metrics, and {limits.METRICS} are allowed")
    for name in metrics:
        if len(name) > limits.NAME:
            raise ValueError(
                f"the name of its metric {checks.shown(name)} has {len(name)} characters, and {limits.NAME} are allowed"
            )


def heartbeat_frame(health: m.Health, received: int, held: Iterable[m.Held]) -> pb.WorkerFrame:
    """The worker lives, and how its machine is."""
    with checks.sending("a heartbeat"):
        said = pb.Heartbeat(health=health_message(health), received=received, held=map(held_message, held))
        return pb.WorkerFrame(heartbeat=said)


def ready_frame() -> pb.WorkerFrame:
    """The workload is built: tasks may come."""
    return pb.WorkerFrame(ready=pb.Ready())


def unable_frame(reason: str) -> pb.WorkerFrame:
    """The workload cannot be built here."""
    return pb.WorkerFrame(unable=pb.Unable(reason=cut(reason)))


def draining_frame(reason: str) -> pb.WorkerFrame:
    """No more tasks, please."""
    return pb.WorkerFrame(draining=pb.Draining(reason=cut(reason)))


def goodbye_frame(reason: str) -> pb.WorkerFrame:
    """The worker runs nothing any more, and goes."""
    return pb.WorkerFrame(goodbye=pb.Goodbye(reason=cut(reason)))
