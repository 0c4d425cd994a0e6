"""Asking for several proposals one by one, each in the light of those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype


@attrs.frozen
class Waiting:
    """The genotypes that have no result yet: of pending trials, and then of each proposal; `taken` are the same, to look them up."""

    genotypes: list[Genotype]
    taken: set[Genotype]


def one_by_one(
    numbers: Sequence[int], pending: Sequence[Trial], propose: Callable[[int, Waiting], Proposal | None]
) -> list[Proposal]:
    """What `propose` makes for each trial number; it ends where there is none."""
    genotypes = [trial.genotype for trial in pending]
    waiting, proposals = Waiting(genotypes, set(genotypes)), list[Proposal]()
    for number in numbers:
        proposal = propose(number, waiting)
        if proposal is None:
            break
        waiting.genotypes.append(proposal.genotype)
        waiting.taken.add(proposal.genotype)
        proposals.append(proposal)
    return proposals


Plan = Callable[[int, Generator], tuple[Callable[[], Genotype], str]]
"""From how many genotypes wait, and the generator of a trial number, to what makes its genotype and where that is from."""


def proposed(
    problem: Problem, fresh: Fresh, numbers: Sequence[int], pending: Sequence[Trial], plan: Plan
) -> list[Proposal]:
    """A proposal a number, as planned; fewer where the space is exhausted."""

    def propose(number: int, waiting: Waiting) -> Proposal | None:
        make, origin = plan(len(waiting.genotypes), rng := problem.lent_rng(number))
        genotype = fresh.draw(make, waiting.taken, rng)
        return None if genotype is None else Proposal(genotype, origin=origin)

    return one_by_one(numbers, pending, propose)


def as_pending(number: int, proposal: Proposal) -> Trial:
    """The trial of a proposal that was just made."""
    return Trial(
        number, proposal.genotype, budget=proposal.budget, continues=proposal.continues, priority=proposal.priority,
        origin=proposal.origin,
    )  # fmt: skip
