"""Which of two trials is better, with constraints, failures and several objectives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import le
from typing import TypeVar

import attrs

from morphml_core.problem import Problem, Trial

T = TypeVar("T")


@attrs.frozen
class Standing:
    """How a trial did.  Sorts best first: those with a result, then by constraint violation, then by the losses in order."""

    failed: bool
    violation: float
    losses: tuple[float, ...]

    def __lt__(self, other: Standing) -> bool:
        # By hand, since optimizers that keep their trials in order compare a lot: attrs' own takes ten times as long.
        if self.failed is not other.failed:
            return other.failed
        if self.violation != other.violation:
            return self.violation < other.violation
        return self.losses < other.losses

    def __le__(self, other: Standing) -> bool:
        return not other < self

    def dominates(self, other: Standing) -> bool:
        """Whether this is better: constrained domination (Deb et al., 2002), failed trials last."""
        if self.failed is not other.failed:
            return other.failed
        if self.violation != other.violation:
            return self.violation < other.violation
        return self.losses != other.losses and all(map(le, self.losses, other.losses))


def standing(problem: Problem, trial: Trial) -> Standing:
    """The standing of a trial that is over.  One that lacks an objective counts as failed."""
    losses = problem.losses(trial)
    return Standing(not all(map(math.isfinite, losses)), problem.violation(trial), losses)


def front(items: Sequence[T], key: Callable[[T], Standing]) -> list[T]:
    """The items that no other dominates, in their order."""
    keys = [key(item) for item in items]
    return [item for item, mine in zip(items, keys, strict=True) if not any(other.dominates(mine) for other in keys)]
