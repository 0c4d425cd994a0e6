"""Small problems of every shape, and a search without an experiment: what the suites of optimizers and predictors stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import attrs
import numpy as np

from morphml_core.problem import Candidate, Cause, Constraint, Metrics, Objective, Problem, Proposal, Trial, TrialState
from morphml_core.protocols import Optimizer, Space
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.space.space import SearchSpace


def flat() -> Space:
    """Six choices of five: 15,625 genotypes."""
    return SearchSpace(DecisionSpace(Decision(f"edge{index}", Choice(("a", "b", "c", "d", "e"))) for index in range(6)))


def small() -> Space:
    """A choice, a number and a subset: 48 genotypes."""
    decisions = [
        Decision("op", Choice(("x", "y", "z"))),
        Decision("depth", Integer(1, 4)),
        Decision("skips", Subset((1, 2))),
    ]
    return SearchSpace(DecisionSpace(decisions))


def conditional() -> Space:
    """Decisions that are there only for some values of others, three deep: 22 genotypes."""
    decisions = [
        Decision("kind", Choice(("plain", "deep"))),
        Decision("layers", Integer(1, 3), "kind", ("deep",)),
        Decision("first", Choice(("a", "b")), "layers", (1, 2, 3)),
        Decision("second", Choice(("a", "b")), "layers", (2, 3)),
        Decision("third", Choice((8, 16, 32)), "layers", (3,)),
        Decision("width", Choice((4, 8, 16, 32)), "kind", ("plain",)),
    ]
    return SearchSpace(DecisionSpace(decisions))


def mixed() -> Space:
    """Reals and integers, linear and logarithmic, a subset, and a decision that hangs on it: without number."""
    decisions = [
        Decision("rate", Real(1e-4, 1.0, log=True)),
        Decision("dropout", Real(0.0, 0.5)),
        Decision("units", Integer(8, 512, log=True)),
        Decision("augmentation", Subset(("flip", "crop", "noise"), minimum=1, maximum=2)),
        Decision("level", Integer(1, 5), "augmentation", ("noise",)),
        Decision("nesterov", Choice((True, False))),
    ]
    return SearchSpace(DecisionSpace(decisions))


def single() -> Space:
    """Decisions with one value each, beside one with four."""
    decisions = [
        Decision("fixed", Choice(("only",))),
        Decision("one", Integer(3, 3)),
        Decision("same", Real(0.5, 0.5)),
        Decision("free", Choice((1, 2, 3, 4))),
        Decision("all", Subset(("p", "q"), minimum=2)),
    ]
    return SearchSpace(DecisionSpace(decisions))


def cell() -> Space:
    """Graphs: the cell of NAS-Bench-201, a cell a stage."""
    from morphml_core.space import nasbench201

    return nasbench201.component.create(nasbench201.Config(cells=1))


SPACES: Mapping[str, Callable[[], Space]] = {
    "flat": cache(flat), "small": cache(small), "conditional": cache(conditional),
    "mixed": cache(mixed), "single": cache(single), "cell": cache(cell),
}  # fmt: skip
"""The spaces by name."""

FINITE = ("small", "conditional", "single")
"""Those that a test can exhaust."""

ACCURACY = (Objective("accuracy"),)
BOTH = (Objective("accuracy"), Objective("cost", "minimize"))


def measure(decisions: DecisionSpace, genotype: Genotype) -> Metrics:
    """A smooth accuracy in [0, 1], its loss, and a cost, all from the genotype's place in the unit cube."""
    place = decisions.encode(genotype)
    best = (np.arange(1, len(place) + 1) * 0.6180339887498949) % 1.0
    accuracy = 1.0 - float(np.mean((place - best) ** 2))
    return {"accuracy": accuracy, "loss": -accuracy, "cost": float(place.sum())}


def problem(
    name: str,
    objectives: Sequence[Objective] = ACCURACY,
    constraints: Sequence[Constraint] = (),
    seed: int = 7,
    parallelism: int = 1,
) -> Problem:
    """The problem of a space by name; with constraints, the cost is known before evaluation."""
    space = SPACES[name]()
    known = None
    if constraints:
        decisions = space.decisions

        def known(candidate: Candidate) -> Metrics:
            return {"cost": measure(decisions, decisions.genotype(candidate.values))["cost"]}

    return Problem(space, objectives, constraints, seed, parallelism=parallelism, trials=100, known=known)


def finished(problem: Problem, number: int, proposal: Proposal) -> Trial:
    """The trial of a proposal, with its metrics."""
    metrics = measure(problem.decisions, proposal.genotype)
    return attrs.evolve(pending(problem, number, proposal), state=TrialState.FINISHED, metrics=metrics, duration=1.0)


def failed(problem: Problem, number: int, proposal: Proposal, cause: Cause = Cause.ERROR) -> Trial:
    """The trial of a proposal that failed."""
    return attrs.evolve(pending(problem, number, proposal), state=TrialState.FAILED, cause=cause, message="it failed")


def stopped(problem: Problem, number: int, proposal: Proposal) -> Trial:
    """The trial of a proposal that was stopped after one report."""
    metrics = measure(problem.decisions, proposal.genotype)
    return attrs.evolve(
        pending(problem, number, proposal), state=TrialState.STOPPED, metrics=metrics, curve=((1, metrics),)
    )


def pending(problem: Problem, number: int, proposal: Proposal) -> Trial:
    """The trial of a proposal before it runs."""
    return Trial(
        number, proposal.genotype, fingerprint=problem.candidate(proposal.genotype).fingerprint, budget=proposal.budget,
        continues=proposal.continues, priority=proposal.priority, origin=proposal.origin,
    )  # fmt: skip


End = Callable[[Problem, int, Proposal], Trial]


@attrs.define
class Search:
    """A search that asks and tells like the experiment does: `slots` trials at once, which end in a mixed order.

    `told` are the trials in groups as they were told, `running` those that are not over, `proposals` all by number.
    """

    optimizer: Optimizer
    problem: Problem
    slots: int = 1
    end: End = finished
    told: list[list[Trial]] = attrs.field(factory=list)
    running: dict[int, Proposal] = attrs.field(factory=dict)
    proposals: dict[int, Proposal] = attrs.field(factory=dict)
    ended: bool = False

    def run(self, trials: int) -> Search:
        """Go on until `trials` are proposed, or the optimizer ends."""
        while len(self.proposals) < trials and not self.ended:
            self.step(trials)
        return self

    def step(self, trials: int) -> None:
        """Ask for as many as are free, then end one or two trials."""
        wanted = min(self.slots - len(self.running), trials - len(self.proposals))
        numbers = range(len(self.proposals), len(self.proposals) + wanted)
        found = self.optimizer.ask(numbers, self.pending()) if wanted else []
        assert len(found) <= wanted, f"asked for {wanted} proposals, got {len(found)}"
        fresh = dict(zip(numbers, found, strict=False))
        self.proposals.update(fresh)
        self.running.update(fresh)
        self.ended = not self.running
        self._finish()

    def _finish(self) -> None:
        order = sorted(self.running, key=lambda number: (number * 7) % 5)
        over = [self.end(self.problem, number, self.running.pop(number)) for number in order[: 1 + len(self.told) % 2]]
        if over:
            self.told.append(over)
            self.optimizer.tell(over)

    def pending(self) -> list[Trial]:
        """The trials that are not over, in number order."""
        return [pending(self.problem, number, proposal) for number, proposal in sorted(self.running.items())]

    def past(self) -> Iterator[Trial]:
        """Every trial that was told, in that order."""
        return (trial for group in self.told for trial in group)


def sampled(problem: Problem, count: int, first: int = 0) -> list[Trial]:
    """Finished trials of random genotypes, that no optimizer asked for."""
    rng = np.random.default_rng(5)
    trials = range(first, first + count)
    return [finished(problem, number, Proposal(problem.decisions.sample(rng), origin="elsewhere")) for number in trials]
