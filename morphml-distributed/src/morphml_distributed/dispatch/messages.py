"""What goes into the dispatch state machine (events) and what comes out of it (instructions).

Times are seconds of whatever clock the shell around the machine uses; the machine never looks at one.  `worker` is the name of a
worker, unique in the cluster; `session` tells its connections apart: what comes from a former one is not listened to.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from morphml_core.problem import Outcome, Report, Task


@attrs.frozen(order=True)
class Lease:
    """The right to run one attempt at a trial; also the fencing token by which a late result is recognised.

    `term` identifies the master that gave it (a master that starts later has a higher one), `serial` grows with each lease of a term.
    """

    term: int
    serial: int


@attrs.frozen
class Gpu:
    """One GPU of a worker: its id, as CUDA_VISIBLE_DEVICES names it, and its memory in bytes."""

    id: str
    memory: int


@attrs.frozen
class Capacity:
    """What a worker offers: CPU cores, memory in bytes, its GPUs, its labels."""

    cpus: float
    memory: int
    gpus: tuple[Gpu, ...] = ()
    labels: frozenset[str] = frozenset()


@attrs.frozen
class Health:
    """How a worker's machine is, with a heartbeat.  Shares are from 0 to 1, temperatures in degrees Celsius, sizes in bytes.

    GPU values are the highest of its GPUs; None where there is none, or where it cannot be known.
    """

    cpu: float = 0.0
    memory: float = 0.0
    disk_free: int | None = None
    gpu: float | None = None
    gpu_memory: float | None = None
    temperature: float | None = None


@attrs.frozen
class Held:
    """A task that a worker has: its lease, and whether it has begun.  `step` is that of its last report (0: none)."""

    number: int
    attempt: int
    lease: Lease
    running: bool
    step: int = 0


# events -----------------------------------------------------------------------------------------------


@attrs.frozen
class Submitted:
    """The search wants a task run."""

    task: Task
    features: tuple[float, ...] = ()


@attrs.frozen
class Cancelled:
    """The search no longer wants the task of that trial; its outcome still comes."""

    number: int


@attrs.frozen
class Joined:
    """A worker was let in, for the first time or again.

    `held` are the tasks that it has kept through a lost connection or a restart of the master.  Results that it could not hand over
    follow as `Resulted`.
    """

    worker: str
    session: int
    capacity: Capacity
    held: tuple[Held, ...] = ()


@attrs.frozen
class Disconnected:
    """A worker's connection is gone, without a goodbye."""

    worker: str
    session: int


@attrs.frozen
class Left:
    """A worker has said goodbye: it runs nothing any more."""

    worker: str
    session: int


@attrs.frozen
class Draining:
    """A worker wants no more tasks; it gives back those that it has not begun."""

    worker: str
    session: int
    reason: str


@attrs.frozen
class Heartbeat:
    """A worker lives.  `received` is the serial of the last lease of this term that has reached it; `held` all that it has now."""

    worker: str
    session: int
    health: Health
    received: int
    held: tuple[Held, ...]


@attrs.frozen
class Began:
    """A worker has begun a task."""

    worker: str
    session: int
    lease: Lease
    number: int


@attrs.frozen
class Reported:
    """A running task has reported.  `report.attempt` is that of the lease."""

    worker: str
    session: int
    lease: Lease
    report: Report


@attrs.frozen
class Resulted:
    """A task has ended on a worker.  `outcome.attempt` is that of the lease, `outcome.worker` the worker's name.

    An outcome of cause `lost` says that the process of the evaluation died.
    """

    worker: str
    session: int
    lease: Lease
    outcome: Outcome


@attrs.frozen
class Returned:
    """A worker gives a task back that it has not begun."""

    worker: str
    session: int
    lease: Lease
    number: int


@attrs.frozen
class Ticked:
    """Time has gone by: to be sent when the machine's `due` has come, and no later than a heartbeat after the last event."""


Event: TypeAlias = (
    Submitted
    | Cancelled
    | Joined
    | Disconnected
    | Left
    | Draining
    | Heartbeat
    | Began
    | Reported
    | Resulted
    | Returned
    | Ticked
)


# instructions -----------------------------------------------------------------------------------------


@attrs.frozen
class Assign:
    """Send the task to the worker.  `gpus` are the ids of the GPUs that it may use."""

    worker: str
    lease: Lease
    task: Task
    gpus: tuple[str, ...] = ()


@attrs.frozen
class Revoke:
    """Ask the worker to give a task back, if it has not begun it."""

    worker: str
    lease: Lease
    number: int


@attrs.frozen
class Cancel:
    """Tell the worker to end a task."""

    worker: str
    lease: Lease
    number: int


@attrs.frozen
class Acknowledge:
    """Tell the worker that its result has arrived: it may forget it.  `used`: whether it counted."""

    worker: str
    lease: Lease
    number: int
    used: bool


@attrs.frozen
class Evict:
    """Close the worker's connection, with a reason for its log."""

    worker: str
    session: int
    reason: str


@attrs.frozen
class Deliver:
    """Hand this to the search.  Its attempt is that of the task that was submitted last for the trial."""

    message: Report | Outcome


@attrs.frozen
class Note:
    """Something that a person may want to know, for the log.

    `kind` is one of: joined, rejoined, left, lost, suspected, recovered, draining, unhealthy, healthy, breaker_open, breaker_half_open, breaker_closed,
    assigned, adopted, began, finished, failed, retried, stolen, late_used, late_discarded, quarantined, unplaceable, cancelled, stalled.
    """

    kind: str
    text: str
    worker: str = ""
    trial: int | None = None
    attempt: int | None = None


Instruction: TypeAlias = Assign | Revoke | Cancel | Acknowledge | Evict | Deliver | Note
