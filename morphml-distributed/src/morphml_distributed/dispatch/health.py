"""Whether a worker is well enough for new tasks."""

from __future__ import annotations

from morphml_distributed.dispatch.messages import Health
from morphml_distributed.dispatch.rules import Rules

_DISK, _MEMORY, _DEGREES = 1.1, 0.02, 5.0
"""By how much it must be better again, so that it does not go to and fro: a factor, a share, degrees."""


def complaint(health: Health, rules: Rules, ill: bool) -> str:
    """What is wrong, in words; empty where nothing is.  One that was `ill` must be a little better than the limits."""
    found = []
    if rules.disk_free is not None and health.disk_free is not None:
        limit = rules.disk_free * (_DISK if ill else 1.0)
        if health.disk_free < limit:
            found.append(f"{health.disk_free / 1e6:.0f} MB of its disk are free, and {limit / 1e6:.0f} MB must be")
    if rules.memory is not None:
        limit = rules.memory - (_MEMORY if ill else 0.0)
        if health.memory > limit:
            found.append(f"{health.memory:.0%} of its memory are used, and {limit:.0%} may be")
    if rules.temperature is not None and health.temperature is not None:
        limit = rules.temperature - (_DEGREES if ill else 0.0)
        if health.temperature > limit:
            found.append(f"a GPU has {health.temperature:.0f} degrees, and may have {limit:.0f}")
    return "; ".join(found)
