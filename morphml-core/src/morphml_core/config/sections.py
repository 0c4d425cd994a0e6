"""The sections of a configuration that are not components."""

from __future__ import annotations

import math
from typing import Any

import attrs
from attrs.validators import ge, gt, optional

from morphml_core.plugins.units import Bytes, Seconds


def _finite(_: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


@attrs.frozen
class Stop:
    """When the search ends: at the first of these conditions.  At least one is needed."""

    trials: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """All trials: duplicates, failures and the finalists' repeats included."""
    evaluations: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Trials that were evaluated: without those that reuse the result of an equal network."""
    time: Seconds | None = attrs.field(default=None, validator=optional(gt(Seconds(0))))
    """Time of searching, over all runs of the experiment: 10m, 2h."""
    target: float | None = attrs.field(default=None, validator=_finite)
    """A value of the first objective that is good enough."""


@attrs.frozen
class Limits:
    """What one trial may use, and how often it is tried again."""

    timeout: Seconds | None = attrs.field(default=None, validator=optional(gt(Seconds(0))))
    """The longest an attempt may take; then it fails with the cause `timeout`."""
    cpus: float = attrs.field(default=1.0, validator=[_finite, gt(0)])
    """CPU cores."""
    memory: Bytes | None = attrs.field(default=None, validator=optional(gt(Bytes(0))))
    """The most memory of the host, where the executor can limit it: 2GiB."""
    gpus: float = attrs.field(default=0.0, validator=[_finite, ge(0)])
    """GPUs; with a fraction, trials share one."""
    retries: int = attrs.field(default=3, validator=ge(0))
    """How many more attempts a trial gets whose process or machine died."""


@attrs.frozen
class Reproducible:
    """Makes a parallel search the same, bit for bit, whatever the number, speed or death of workers."""

    window: int = attrs.field(default=8, validator=ge(1))
    """How many trials may be under way: trial n is proposed from the results up to n - window."""


@attrs.frozen
class Finalists:
    """The leaders are evaluated again, with new seeds, and the best is chosen among them."""

    top: int = attrs.field(default=5, validator=ge(1))
    """How many leaders."""
    repeats: int = attrs.field(default=3, validator=ge(1))
    """How many further evaluations each gets.  They come out of `stop.trials`."""
    epochs: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Epochs of each repeat; the evaluator's own number where it is not set."""
