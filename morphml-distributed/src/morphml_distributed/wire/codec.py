"""Between the protocol's frames and the values of dispatch.

Nothing that a peer sends is believed: every number has its range, every name and text its longest, every list its most, and what must be there
is looked for.  `WireError` says with a sentence what is wrong, and is the only exception of this module.  What one's own side sends is
made to fit where it can be: a text is cut, a result that cannot be sent becomes a failed one that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf, isfinite
from typing import Any

from morphml_core.errors import MorphMLError, StorageError
from morphml_core.experiment.codec import genotype_of, genotype_text
from morphml_core.problem import Budget, Cause, Metrics, Outcome, Report, Resources, Task
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import limits
from morphml_distributed.wire import morphml_pb2 as pb

_COUNT, _NUMBER, _SERIAL = limits.COUNT, limits.NUMBER, limits.SERIAL


class WireError(MorphMLError):
    """A peer sent what the protocol does not allow, or a value cannot be sent; the sentence says what."""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def cut(text: str, most: int = limits.TEXT) -> str:
    """The text as it can be sent: what UTF-8 cannot hold replaced, and no longer than `most` characters."""
    if len(text) > most:
        text = text[: most - 3] + "..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


# checks of what a peer sent -------------------------------------------------------------------------


def _name(value: str, what: str) -> str:
    if not 0 < len(value) <= limits.NAME or not value.isprintable():
        raise WireError(f"{what} is {_shown(value)}, but names are 1 to {limits.NAME} printable characters")
    return value


def _text(value: str, what: str, most: int = limits.TEXT) -> str:
    if len(value) > most:
        raise WireError(f"{what} has {len(value)} characters; {most} are allowed")
    return value


def _within(value: int, below: int, what: str, least: int = 0) -> int:
    if not least <= value < below:
        raise WireError(f"{what} is {value}, but is from {least} to {below - 1}")
    return value


def _real(value: float, what: str, least: float = -inf, most: float = inf) -> float:
    if not isfinite(value) or not least <= value <= most:
        between = f" from {least:g} to {most:g}" if isfinite(most) else f" from {least:g}" if isfinite(least) else ""
        raise WireError(f"{what} is {value:g}, but is a finite number{between}")
    return value


def _few(values: Any, most: int, what: str) -> Any:
    if len(values) > most:
        raise WireError(f"there are {len(values)} {what}; {most} are allowed")
    return values


def _distinct(names: Iterable[str], what: str) -> tuple[str, ...]:
    found = tuple(_name(name, what) for name in names)
    if len(set(found)) < len(found):
        twice = next(name for index, name in enumerate(found) if name in found[:index])
        raise WireError(f"{what} {_shown(twice)} is there twice")
    return found


def _trial(message: Any) -> int:
    number: int = message.number
    return number if number < _NUMBER else _within(number, _NUMBER, "the number of a trial")


def _attempt(message: Any) -> int:
    attempt: int = message.attempt
    return attempt if 0 < attempt < _COUNT else _within(attempt, _COUNT, "the attempt at a trial", 1)


def lease_of(message: Any) -> m.Lease:
    """The lease of a message that has one."""
    if not message.HasField("lease"):
        raise WireError(f"a message {type(message).__name__} has no lease; each names the lease of its task")
    lease = message.lease
    term, serial = lease.term, lease.serial
    if term >= _SERIAL or serial >= _SERIAL:
        raise WireError(f"a lease is {term}-{serial}, but both its numbers are below {_SERIAL}")
    return m.Lease(term, serial)


def _metrics(values: Any, what: str) -> dict[str, float]:
    if len(values) > limits.METRICS:
        raise WireError(f"{what} has {len(values)} metrics; {limits.METRICS} are allowed")
    found = dict(values)
    for name in found:
        if len(name) > limits.NAME:
            raise WireError(
                f"{what} has a metric whose name has {len(name)} characters; names have at most {limits.NAME}"
            )
    return found


# from a worker --------------------------------------------------------------------------------------


def event_of(worker: str, session: int, frame: pb.WorkerFrame) -> m.Event:
    """The event that a frame of a worker's session means.

    Raises `WireError` for anything out of range, and for `ready` and `unable`, which belong to joining.
    """
    kind = frame.WhichOneof("kind")
    read = _EVENTS.get(kind) if kind is not None else None
    if read is None:
        raise WireError(f"a frame of the worker is {_none_of(kind, _EVENTS)}")
    try:
        return read(worker, session, getattr(frame, kind))  # type: ignore[arg-type]
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise WireError(f"a frame '{kind}' cannot be read: {error}") from None


def _none_of(kind: str | None, known: Iterable[str]) -> str:
    found = "empty or of a newer protocol" if kind is None else f"'{kind}', which has no place here"
    return f"{found}; expected is one of {', '.join(known)}"


def _heartbeat(worker: str, session: int, said: pb.Heartbeat) -> m.Event:
    received = _within(said.received, _SERIAL, "the serial of the last received lease")
    return m.Heartbeat(worker, session, health_of(said.health), received, held_of(said.held))


def _began(worker: str, session: int, said: pb.Began) -> m.Event:
    return m.Began(worker, session, lease_of(said), _trial(said))


def _reported(worker: str, session: int, said: pb.Report) -> m.Event:
    step = _within(said.step, _COUNT, "the step of a report")
    report = Report(_trial(said), _attempt(said), step, _metrics(said.metrics, "a report"))
    return m.Reported(worker, session, lease_of(said), report)


def _resulted(worker: str, session: int, said: pb.Result) -> m.Event:
    number = _trial(said)
    metrics, cause = _end(said, number)
    message = said.message
    if len(message) > limits.TEXT:
        _text(message, "the message of a result")
    duration = _real(said.duration, "the duration of a trial", 0.0)
    outcome = Outcome(number, _attempt(said), metrics, cause, message, duration, worker)
    return m.Resulted(worker, session, lease_of(said), outcome)


def _end(said: pb.Result, number: int) -> tuple[Metrics | None, Cause | None]:
    end = said.WhichOneof("end")
    if end == "metrics":
        return _metrics(said.metrics.values, "a result"), None
    if end == "cause":
        cause = _CAUSES.get(said.cause)
        if cause is None:
            raise WireError(
                f"the result of trial {number} has the cause {_shown(said.cause)}, but causes are {', '.join(Cause)}"
            )
        return None, cause
    if end == "cancelled" and said.cancelled:
        return None, None
    raise WireError(f"the result of trial {number} has no end: neither metrics, nor a cause, nor that it was cancelled")


def _returned(worker: str, session: int, said: pb.Returned) -> m.Event:
    return m.Returned(worker, session, lease_of(said), _trial(said))


def _draining(worker: str, session: int, said: pb.Draining) -> m.Event:
    return m.Draining(worker, session, _text(said.reason, "the reason of a worker that drains"))


def _goodbye(worker: str, session: int, said: pb.Goodbye) -> m.Event:
    _text(said.reason, "the reason of a goodbye")
    return m.Left(worker, session)


_EVENTS: Mapping[str, Callable[[str, int, Any], m.Event]] = {
    "result": _resulted, "began": _began, "report": _reported, "heartbeat": _heartbeat, "returned": _returned,
    "draining": _draining, "goodbye": _goodbye,
}  # fmt: skip
_CAUSES: Mapping[str, Cause] = {cause.value: cause for cause in Cause}


def health_of(said: pb.Health) -> m.Health:
    """The health of a machine, checked."""
    disk = _within(said.disk_free, _SERIAL, "the free disk") if said.HasField("disk_free") else None
    gpu = _share(said.gpu, "the load of a GPU") if said.HasField("gpu") else None
    gpu_memory = _share(said.gpu_memory, "the used memory of a GPU") if said.HasField("gpu_memory") else None
    warm = _real(said.temperature, "the temperature", -300.0, 1000.0) if said.HasField("temperature") else None
    return m.Health(_share(said.cpu, "the load"), _share(said.memory, "the used memory"), disk, gpu, gpu_memory, warm)


def _share(value: float, what: str) -> float:
    return _real(value, what, 0.0, 1.0)


def held_of(said: Any) -> tuple[m.Held, ...]:
    """The tasks that a worker says it holds (of a heartbeat or a hello), checked."""
    return tuple([_one_held(held) for held in _few(said, limits.HELD, "held tasks")])


def _one_held(held: pb.Held) -> m.Held:
    return m.Held(
        _trial(held),
        _attempt(held),
        lease_of(held),
        held.running,
        _within(held.step, _COUNT, "the step of a held task"),
    )


def capacity_of(said: pb.Capacity) -> m.Capacity:
    """What a worker offers, checked."""
    gpus = _few(said.gpus, limits.GPUS, "GPUs of one worker")
    _distinct((gpu.id for gpu in gpus), "the id of a GPU")
    labels = _distinct(_few(said.labels, limits.LABELS, "labels of one worker"), "a label")
    return m.Capacity(
        _real(said.cpus, "the number of CPUs", 0.0, 1e6),
        _within(said.memory, _SERIAL, "the memory of a worker"),
        tuple(m.Gpu(gpu.id, _within(gpu.memory, _SERIAL, "the memory of a GPU")) for gpu in gpus),
        frozenset(labels),
    )


# to a worker ----------------------------------------------------------------------------------------


def frame_of(instruction: m.Instruction) -> pb.MasterFrame:
    """The frame that carries an instruction to its worker.  Raises `WireError` for one that cannot be sent."""
    write = _FRAMES.get(type(instruction))
    if write is None:
        raise WireError(f"a {type(instruction).__name__} is no instruction for a worker")
    try:
        return write(instruction)
    except (ValueError, TypeError, OverflowError, AttributeError, StorageError) as error:
        raise WireError(f"the instruction {_shown(instruction)} cannot be sent: {error}") from None


def lease_message(lease: m.Lease) -> pb.Lease:
    """A lease as a message."""
    return pb.Lease(term=lease.term, serial=lease.serial)


def _assign_frame(given: m.Assign) -> pb.MasterFrame:
    task = given.task
    budget, needs, lease = task.budget, task.resources, given.lease
    genotype = genotype_text(task.genotype)
    if len(genotype) > limits.GENOTYPE:
        raise ValueError(f"its genotype has {len(genotype)} characters of JSON; {limits.GENOTYPE} are allowed")
    return pb.MasterFrame(
        assign=pb.Assign(
            lease=pb.Lease(term=lease.term, serial=lease.serial),
            number=task.number,
            attempt=task.attempt,
            seed=task.seed,
            genotype=genotype,
            epochs=budget.epochs,
            fraction=budget.fraction,
            continues=task.continues,
            priority=task.priority,
            cpus=needs.cpus,
            memory=needs.memory,
            gpu_share=needs.gpus,
            gpu_memory=needs.gpu_memory,
            timeout=task.timeout,
            gpus=given.gpus,
        )
    )


def _revoke_frame(given: m.Revoke) -> pb.MasterFrame:
    return pb.MasterFrame(revoke=pb.Revoke(lease=lease_message(given.lease), number=given.number))


def _cancel_frame(given: m.Cancel) -> pb.MasterFrame:
    return pb.MasterFrame(cancel=pb.Cancel(lease=lease_message(given.lease), number=given.number))


def _acknowledge_frame(given: m.Acknowledge) -> pb.MasterFrame:
    lease = given.lease
    return pb.MasterFrame(
        acknowledge=pb.Acknowledge(
            lease=pb.Lease(term=lease.term, serial=lease.serial), number=given.number, used=given.used
        )
    )


def _evict_frame(given: m.Evict) -> pb.MasterFrame:
    return pb.MasterFrame(evict=pb.Evict(reason=cut(given.reason)))


_FRAMES: Mapping[type, Callable[[Any], pb.MasterFrame]] = {
    m.Assign: _assign_frame, m.Acknowledge: _acknowledge_frame, m.Cancel: _cancel_frame, m.Revoke: _revoke_frame, m.Evict: _evict_frame,
}  # fmt: skip


# on the worker's side -------------------------------------------------------------------------------


def instruction_of(worker: str, session: int, frame: pb.MasterFrame) -> m.Instruction:
    """The instruction of a frame from the master, for the worker of that name.  Raises `WireError` for anything out of range."""
    kind = frame.WhichOneof("kind")
    try:
        if kind == "assign":
            lease, task, gpus = task_of(frame.assign)
            return m.Assign(worker, lease, task, gpus)
        if kind == "acknowledge":
            said = frame.acknowledge
            return m.Acknowledge(worker, lease_of(said), _trial(said), said.used)
        if kind == "cancel":
            return m.Cancel(worker, lease_of(frame.cancel), _trial(frame.cancel))
        if kind == "revoke":
            return m.Revoke(worker, lease_of(frame.revoke), _trial(frame.revoke))
        if kind == "evict":
            return m.Evict(worker, session, _text(frame.evict.reason, "the reason of an eviction"))
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise WireError(f"a frame '{kind}' cannot be read: {error}") from None
    raise WireError(
        f"a frame of the master is {_none_of(kind, ('assign', 'revoke', 'cancel', 'acknowledge', 'evict'))}"
    )


def task_of(assign: pb.Assign) -> tuple[m.Lease, Task, tuple[str, ...]]:
    """The lease, the task and the ids of its GPUs.  Raises `WireError` for anything out of range.

    Labels are the master's business: they do not travel, and the task has none.
    """
    number = _trial(assign)
    if len(assign.genotype) > limits.GENOTYPE:
        _text(assign.genotype, f"the genotype of trial {number}", limits.GENOTYPE)
    try:
        genotype = genotype_of(assign.genotype)
    except StorageError as error:
        raise WireError(f"trial {number} cannot be run: {error}") from None
    gpus = tuple(assign.gpus)
    if gpus:
        gpus = _distinct(_few(gpus, limits.GPUS, "GPUs of one task"), "the id of a GPU")
    task = Task(
        number,
        genotype,
        assign.seed,
        _attempt(assign),
        _budget(assign),
        _within(assign.continues, _NUMBER, "the number of the continued trial")
        if assign.HasField("continues")
        else None,
        _real(assign.priority, "the priority of a trial"),
        _needs(assign),
        _real(assign.timeout, "the timeout of a trial", 0.0) if assign.HasField("timeout") else None,
    )
    return lease_of(assign), task, gpus


def _budget(assign: pb.Assign) -> Budget:
    epochs = _within(assign.epochs, _COUNT, "the epochs of a trial") if assign.HasField("epochs") else None
    return Budget(epochs, _real(assign.fraction, "the fraction of the data", 0.0, 1.0))


def _needs(assign: pb.Assign) -> Resources:
    memory = _within(assign.memory, _SERIAL, "the memory of a trial") if assign.HasField("memory") else None
    on_gpu = _within(assign.gpu_memory, _SERIAL, "the GPU memory of a trial") if assign.HasField("gpu_memory") else None
    cpus = _real(assign.cpus, "the CPUs of a trial", 0.0, 1e6)
    return Resources(cpus, memory, _real(assign.gpu_share, "the GPUs of a trial", 0.0, 1e6), on_gpu)


def _sent(write: Callable[[], pb.WorkerFrame], what: str) -> pb.WorkerFrame:
    try:
        return write()
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise WireError(f"{what} cannot be sent: {error}") from None


def began_frame(lease: m.Lease, number: int) -> pb.WorkerFrame:
    """The worker has begun the task."""
    return _sent(lambda: pb.WorkerFrame(began=pb.Began(lease=lease_message(lease), number=number)), "a beginning")


def returned_frame(lease: m.Lease, number: int) -> pb.WorkerFrame:
    """The worker gives the task back, not begun."""
    return _sent(lambda: pb.WorkerFrame(returned=pb.Returned(lease=lease_message(lease), number=number)), "a return")


def report_frame(lease: m.Lease, report: Report) -> pb.WorkerFrame:
    """A report.  Raises `WireError` where it cannot be sent: too many metrics, names that are too long."""
    _fits(report.metrics)
    return _sent(
        lambda: pb.WorkerFrame(
            report=pb.Report(
                lease=lease_message(lease),
                number=report.number,
                attempt=report.attempt,
                step=report.step,
                metrics=report.metrics,
            )
        ),
        "a report",
    )


def result_frame(lease: m.Lease, outcome: Outcome) -> pb.WorkerFrame:
    """The end of a task.  One whose metrics cannot be sent becomes a failed one that says so."""
    try:
        if outcome.metrics is not None:
            _fits(outcome.metrics)
        return pb.WorkerFrame(result=_result(lease, outcome))
    except (ValueError, TypeError, OverflowError, AttributeError, WireError) as error:
        message = cut(f"the result of trial {outcome.number} cannot be sent: {error}")
        failed = Outcome(outcome.number, outcome.attempt, None, Cause.ERROR, message)
        return _sent(lambda: pb.WorkerFrame(result=_result(lease, failed)), "a result")


def _result(lease: m.Lease, outcome: Outcome) -> pb.Result:
    metrics, cause, duration = outcome.metrics, outcome.cause, outcome.duration
    cancelled = True if metrics is None and cause is None else None
    return pb.Result(
        lease=pb.Lease(term=lease.term, serial=lease.serial),
        number=outcome.number,
        attempt=outcome.attempt,
        metrics=None if metrics is None or cause is not None else pb.Metrics(values=metrics),
        cause=None if cause is None else cause.value,
        cancelled=cancelled,
        message=cut(outcome.message) if outcome.message else "",
        duration=duration if 0.0 <= duration < inf else 0.0,
    )


def _fits(metrics: Metrics) -> None:
    if len(metrics) > limits.METRICS:
        raise WireError(f"it has {len(metrics)} metrics; {limits.METRICS} can be sent")
    for name in metrics:
        if len(name) > limits.NAME:
            raise WireError(
                f"the name of a metric has {len(name)} characters ({_shown(name)}); {limits.NAME} can be sent"
            )


def heartbeat_frame(health: m.Health, received: int, held: Iterable[m.Held]) -> pb.WorkerFrame:
    """The worker lives, and how its machine is."""
    return _sent(
        lambda: pb.WorkerFrame(
            heartbeat=pb.Heartbeat(health=health_message(health), received=received, held=map(held_message, held))
        ),
        "a heartbeat",
    )


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


def held_message(held: m.Held) -> pb.Held:
    """A task that the worker has, as a message."""
    return pb.Held(
        number=held.number, attempt=held.attempt, lease=lease_message(held.lease), running=held.running, step=held.step
    )


def capacity_message(capacity: m.Capacity) -> pb.Capacity:
    """What a worker offers, as a message."""
    return pb.Capacity(
        cpus=capacity.cpus,
        memory=capacity.memory,
        gpus=[pb.Gpu(id=gpu.id, memory=gpu.memory) for gpu in capacity.gpus],
        labels=sorted(capacity.labels),
    )
