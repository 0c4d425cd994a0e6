"""Between the protocol's frames and the values of dispatch: the master's side, and the names of both sides.

Nothing that a peer sends is believed: every number has its range, every name and text its longest, every list its most, and what must be there
is looked for.  `WireError` says with a sentence what is wrong, and is the only exception of these functions.  What one's own side sends is
made to fit where it can be: a text is cut, a result that cannot be sent becomes a failed one that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from morphml_core.errors import StorageError
from morphml_core.experiment.codec import genotype_text
from morphml_core.problem import Cause, Metrics, Outcome, Report, Task
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import checks, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError, cut
from morphml_distributed.wire.values import (
    capacity_message,
    capacity_of,
    health_message,
    health_of,
    held_message,
    held_of,
    lease_message,
    lease_of,
)
from morphml_distributed.wire.worker_codec import (
    began_frame,
    draining_frame,
    goodbye_frame,
    heartbeat_frame,
    instruction_of,
    ready_frame,
    report_frame,
    result_frame,
    returned_frame,
    task_of,
    unable_frame,
)

__all__ = [
    "WireError", "began_frame", "capacity_message", "capacity_of", "cut", "draining_frame", "event_of", "frame_of",
    "goodbye_frame", "health_message", "health_of", "heartbeat_frame", "held_message", "held_of", "instruction_of", "lease_message",
    "lease_of", "ready_frame", "report_frame", "result_frame", "returned_frame", "task_of", "unable_frame",
]  # fmt: skip


# from a worker --------------------------------------------------------------------------------------


def event_of(worker: str, session: int, frame: pb.WorkerFrame) -> m.Event:
    """The event that a frame of a worker's session means.

    Raises `WireError` for anything out of range, and for `ready` and `unable`, which belong to joining.
    """
    kind = frame.WhichOneof("kind")
    read = _EVENTS.get(kind)
    if read is None:
        raise WireError(f"a frame of a worker is {checks.none_of(kind, _EVENTS)}")
    return read(worker, session, getattr(frame, str(kind)))


def _heartbeat(worker: str, session: int, said: pb.Heartbeat) -> m.Event:
    received = checks.within(said.received, limits.SERIAL, "the serial of the last received lease")
    return m.Heartbeat(worker, session, health_of(said.health), received, held_of(said.held))


def _began(worker: str, session: int, said: pb.Began) -> m.Event:
    return m.Began(worker, session, lease_of(said), checks.trial(said))


def _reported(worker: str, session: int, said: pb.Report) -> m.Event:
    step = checks.within(said.step, limits.COUNT, "the step of a report")
    metrics = checks.metrics(said.metrics, "a report")
    return m.Reported(worker, session, lease_of(said), Report(checks.trial(said), checks.attempt(said), step, metrics))


def _resulted(worker: str, session: int, said: pb.Result) -> m.Event:
    number = checks.trial(said)
    metrics, cause = _end(said, number)
    message, duration = said.message, said.duration
    if message:
        checks.text(message, "the message of a result")
    if not 0.0 <= duration < inf:
        checks.real(duration, "the duration of a trial", 0.0)
    outcome = Outcome(number, checks.attempt(said), metrics, cause, message, duration, worker)
    return m.Resulted(worker, session, lease_of(said), outcome)


def _end(said: pb.Result, number: int) -> tuple[Metrics | None, Cause | None]:
    end = said.WhichOneof("end")
    if end == "metrics":
        return checks.metrics(said.metrics.values, "a result"), None
    if end == "cause":
        cause = _CAUSES.get(said.cause)
        if cause is None:
            known = ", ".join(Cause)
            raise WireError(
                f"the result of trial {number} has the cause {checks.shown(said.cause)}; causes are {known}"
            )
        return None, cause
    if end == "cancelled" and said.cancelled:
        return None, None
    raise WireError(f"the result of trial {number} has no end: neither metrics, nor a cause, nor that it was cancelled")


def _returned(worker: str, session: int, said: pb.Returned) -> m.Event:
    return m.Returned(worker, session, lease_of(said), checks.trial(said))


def _draining(worker: str, session: int, said: pb.Draining) -> m.Event:
    return m.Draining(worker, session, checks.text(said.reason, "the reason of a worker that drains"))


def _goodbye(worker: str, session: int, said: pb.Goodbye) -> m.Event:
    checks.text(said.reason, "the reason of a goodbye")
    return m.Left(worker, session)


_EVENTS: Mapping[Any, Callable[[str, int, Any], m.Event]] = {
    "heartbeat": _heartbeat, "began": _began, "report": _reported, "result": _resulted, "returned": _returned,
    "draining": _draining, "goodbye": _goodbye,
}  # fmt: skip
_CAUSES: Mapping[str, Cause] = {cause.value: cause for cause in Cause}


# to a worker ----------------------------------------------------------------------------------------


def frame_of(instruction: m.Instruction) -> pb.MasterFrame:
    """The frame that carries an instruction to its worker.  Raises `WireError` for one that cannot be sent."""
    write = _FRAMES.get(type(instruction))
    if write is None:
        raise WireError(f"a {type(instruction).__name__} is no instruction for a worker")
    try:
        return write(instruction)
    except (*checks.UNFIT, StorageError) as error:
        raise WireError(f"{_what(instruction)} cannot be sent: {error}") from None


def _what(instruction: Any) -> str:
    number = instruction.task.number if isinstance(instruction, m.Assign) else getattr(instruction, "number", None)
    return type(instruction).__name__ + ("" if number is None else f" of trial {number}")


def _assign_frame(given: m.Assign) -> pb.MasterFrame:
    task, lease = given.task, given.lease
    budget, needs = task.budget, task.resources
    genotype = genotype_text(task.genotype)
    if len(genotype) > limits.GENOTYPE:
        raise ValueError(f"its genotype has {len(genotype)} characters of JSON; {limits.GENOTYPE} are allowed")
    frame = pb.MasterFrame()
    said = frame.assign
    said.lease.term, said.lease.serial = lease.term, lease.serial
    said.number, said.attempt, said.seed, said.genotype = task.number, task.attempt, task.seed, genotype
    said.fraction, said.priority = budget.fraction, task.priority
    said.cpus, said.gpu_share = needs.cpus, needs.gpus
    _set_optional(said, task)
    if given.gpus:
        said.gpus.extend(given.gpus)
    return frame


def _set_optional(said: pb.Assign, task: Task) -> None:
    needs = task.resources
    if task.budget.epochs is not None:
        said.epochs = task.budget.epochs
    if task.continues is not None:
        said.continues = task.continues
    if task.timeout is not None:
        said.timeout = task.timeout
    if needs.memory is not None:
        said.memory = needs.memory
    if needs.gpu_memory is not None:
        said.gpu_memory = needs.gpu_memory


def _revoke_frame(given: m.Revoke) -> pb.MasterFrame:
    return pb.MasterFrame(revoke=pb.Revoke(lease=lease_message(given.lease), number=given.number))


def _cancel_frame(given: m.Cancel) -> pb.MasterFrame:
    return pb.MasterFrame(cancel=pb.Cancel(lease=lease_message(given.lease), number=given.number))


def _acknowledge_frame(given: m.Acknowledge) -> pb.MasterFrame:
    frame = pb.MasterFrame()
    said, lease = frame.acknowledge, given.lease
    said.number, said.used = given.number, given.used
    said.lease.term, said.lease.serial = lease.term, lease.serial
    return frame


def _evict_frame(given: m.Evict) -> pb.MasterFrame:
    return pb.MasterFrame(evict=pb.Evict(reason=cut(given.reason)))


_FRAMES: Mapping[type, Callable[[Any], pb.MasterFrame]] = {
    m.Assign: _assign_frame, m.Acknowledge: _acknowledge_frame, m.Cancel: _cancel_frame, m.Revoke: _revoke_frame, m.Evict: _evict_frame,
}  # fmt: skip
