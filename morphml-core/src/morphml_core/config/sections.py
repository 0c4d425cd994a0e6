"""The sections of a configuration that are not components."""

from __future__ import annotations

import math
from typing import Any

import attrs
from attrs.validators import ge, gt, optional

from morphml_core.experiment.settings import Finalists, Retries, Stop, retries_of
from morphml_core.plugins.units import Bytes, Seconds

__all__ = ["Finalists", "Limits", "Reproducible", "Retries", "Stop"]


def _finite(_: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


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
    gpu_memory: Bytes | None = attrs.field(default=None, validator=optional(gt(Bytes(0))))
    """Memory that each of these GPUs must have free for the trial: 8GiB.  For executors with several machines."""
    labels: tuple[str, ...] = ()
    """The trial runs only on machines that have all of these labels.  For executors with several machines."""
    retries: int | Retries = attrs.field(default=3, converter=retries_of)
    """How many more attempts a trial gets whose process or machine died; or, by cause: {lost: 3, timeout: 1}."""


@attrs.frozen
class Reproducible:
    """Makes a parallel search the same, bit for bit, whatever the number, speed or death of workers."""

    window: int = attrs.field(default=8, validator=ge(1))
    """How many trials may be under way: trial n is proposed from the results up to n - window."""
