"""What optimizers that walk from trial to trial have in common: `hill_climbing` and `simulated_annealing`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from morphml_core.optimizer.fresh import Fresh
from morphml_core.problem import Problem, Proposal, Trial

START = "start"
"""The origin of the random genotypes that a walk begins at."""


def steps(
    problem: Problem, fresh: Fresh, at: Trial | None, mutations: int, numbers: Sequence[int], pending: Sequence[Trial]
) -> list[Proposal]:
    """Mutations of `mutations` decisions of where the walk is; random genotypes where `at` is None, for it is nowhere yet."""
    if at is None:
        return fresh.propose(numbers, pending, problem.decisions.sample, START)
    step = partial(problem.decisions.mutate, at.genotype, count=mutations)
    return fresh.propose(numbers, pending, step, f"step from {at.number}")
