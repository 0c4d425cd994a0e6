"""Learning rates, step by step."""

from __future__ import annotations

import math


def rates(peak: float, kind: str, warmup: float, total: int, epoch: int, steps: int) -> list[float]:
    """The learning rates of the `steps` steps of one epoch (from 1).

    They rise linearly over the first `warmup` epochs, then stay ("constant") or fall to zero along a cosine that ends
    after `total` epochs (Loshchilov and Hutter, 2017).  Warm-up never takes more than one half of the epochs.
    """
    rise = min(warmup, total / 2)
    return [_rate(peak, kind, rise, total, epoch - 1 + (step + 0.5) / steps) for step in range(steps)]


def _rate(peak: float, kind: str, rise: float, total: int, at: float) -> float:
    if at < rise:
        return peak * at / rise
    if kind == "constant":
        return peak
    done = min(1.0, (at - rise) / (total - rise))
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def scaled(peak: float, optimizer: str, batch: int, planned: int) -> float:
    """The learning rate for a batch that had to be smaller than planned.

    In proportion with sgd (Goyal et al., 2017), with the square root with adamw (Malladi et al., 2022).
    """
    share = batch / planned
    return peak * (share if optimizer == "sgd" else math.sqrt(share))
