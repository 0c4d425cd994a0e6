"""What the search under chaos evaluates: quick, the same for the same trial on every machine, with reports, and with failures."""

from __future__ import annotations

import time
from collections.abc import Generator

from morphml_core.problem import Candidate, Task

STEPS = 3
PAUSE = 0.04
"""Seconds between two reports of a trial."""


def evaluate(candidate: Candidate, task: Task) -> Generator[dict[str, float], None, None]:
    """Three reports with a pause before each; one corner of the space always fails."""
    for found in evaluate_at_once(candidate, task):
        time.sleep(PAUSE)
        yield found


def evaluate_at_once(candidate: Candidate, task: Task) -> Generator[dict[str, float], None, None]:
    """The same without pauses, for the search that nothing disturbs."""
    values = candidate.values
    if values["a"] == 3 and values["b"] == 3:
        raise RuntimeError("this corner always fails")
    for step in range(1, STEPS + 1):
        noise = task.seed / 2**31 / 100
        yield {"score": values["a"] + values["b"] - (values["x"] - 0.5) ** 2 + noise + step / 10}
