"""What goes wrong in a simulated cluster, how often, and for how long."""

from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from morphml_core.plugins.units import Seconds

KINDS = ("deaths", "kills", "crashes", "stalls", "partitions", "delays", "restarts")


@attrs.frozen
class Fault:
    """One kind of fault."""

    rate: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    """How often it happens to each worker in an hour."""
    length: Seconds = attrs.field(default=Seconds(30.0), validator=attrs.validators.gt(Seconds(0.0)))
    """How long it lasts, on average (from half of it to one and a half)."""


@attrs.frozen
class Faults:
    """What goes wrong.

    `deaths`: a machine dies without a word, and is back after `length`.  `kills`: a worker's process is killed, and started again.
    `crashes`: the process of one evaluation dies (it has no length).  `stalls`: a machine stands still, and goes on as if nothing had been.
    `partitions`: a machine is cut off, and goes on working.  `delays`: what a machine says arrives as much later as the fault is long, for as long.
    `restarts`: the master dies, and is back under a new term; its rate is for each hour, not for each worker.  `poison`: the share of
    trials whose evaluation kills the worker that runs it, each time.
    """

    deaths: Fault = Fault()
    kills: Fault = Fault()
    crashes: Fault = Fault()
    stalls: Fault = Fault()
    partitions: Fault = Fault()
    delays: Fault = Fault()
    restarts: Fault = Fault()
    poison: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0), attrs.validators.le(1)])


@attrs.frozen(order=True)
class Strike:
    """One fault: when, of which kind, to which worker (by its index), for how many seconds."""

    at: float
    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    worker: int = 0
    length: float = 30.0


def strikes(faults: Faults, kind: str, workers: int, rng: random.Random) -> Iterator[Strike]:
    """The faults of a kind, one after the other, without end; none where its rate is zero."""
    fault: Fault = getattr(faults, kind)
    rate = fault.rate * (1 if kind == "restarts" else workers) / 3600
    at = 0.0
    while rate > 0.0:
        at += rng.expovariate(rate)
        yield Strike(at, kind, rng.randrange(workers), fault.length * rng.uniform(0.5, 1.5))


def poison(share: float, seed: int, number: int) -> float | None:
    """After which part of its time the task of a trial kills its worker, each attempt the same; None where it does not."""
    if share <= 0.0:
        return None
    rng = random.Random(f"{seed} {number}")
    return rng.random() if rng.random() < share else None
