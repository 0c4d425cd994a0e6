"""A small search whose every part is real: space, evaluator, optimizers, and an executor that shuffles, loses and repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
import pytest

from morphml_core.errors import GraphError
from morphml_core.executor.inline import Config as InlineConfig
from morphml_core.executor.inline import InlineExecutor
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Finalists, Settings, Stop
from morphml_core.experiment.state import State
from morphml_core.problem import Budget, Cause, Constraint, Objective, Outcome, Problem, Proposal, Report, Trial
from morphml_core.protocols import Measurement
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Integer, Subset
from morphml_core.space.space import SearchSpace
from morphml_core.storage.memory import Memory
from morphml_core.work import Work

DECISIONS = DecisionSpace(
    [
        Decision("op", Choice(("conv", "pool", "skip", "odd"))),
        Decision("width", Integer(1, 8)),
        Decision("kernel", Integer(1, 3), parent="op", when=("conv", "pool")),
        Decision("extras", Subset(("bn", "se"))),
    ]
)
KERNEL_COUNTS = {"conv": 1.0, "pool": 0.5, "skip": 0.0, "odd": 2.0}


class Space(SearchSpace):
    """Odd networks of width 7 cannot be built."""

    def express(self, genotype):
        candidate = super().express(genotype)
        if candidate.values["op"] == "odd" and candidate.values["width"] == 7:
            raise GraphError("an odd network cannot be 7 wide")
        return candidate


@attrs.frozen
class Evaluate:
    """Four steps; `odd` networks of width 5 raise, of width 6 return NaN; the others have a noisy accuracy."""

    steps: int = 4
    budget: Budget = attrs.field(factory=Budget)

    def known(self, candidate):
        return {"parameters": float(candidate.values["width"] * 10)}

    def evaluate(self, task, candidate, workbench):
        values = candidate.values
        if values["op"] == "odd" and values["width"] == 5:
            raise RuntimeError("too odd")
        level = KERNEL_COUNTS[values["op"]] - abs(values["width"] - 5) / 5 + 0.1 * len(values["extras"])
        noise = np.random.default_rng(task.seed).normal(scale=0.01)
        accuracy = level + noise
        for step in range(1, self.steps + 1):
            yield Measurement(step, {"accuracy": accuracy * step / self.steps})
        if values["op"] == "odd" and values["width"] == 6:
            accuracy = math.nan
        return {"accuracy": accuracy, "parameters": float(values["width"] * 10)}


class Climber:
    """Mutates the best that it was told; what is pending changes what it proposes.  Sometimes it waits for another result."""

    def __init__(self, problem: Problem, patience: int = 7, ends: int | None = None) -> None:
        self.problem = problem
        self.told: list[int] = []
        self.asked: list[tuple[tuple[int, ...], tuple[int, ...], int]] = []
        self.best: Trial | None = None
        self.patience = patience
        self.ends = ends

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        assert all(not trial.metrics and not trial.state.over for trial in pending)
        self.asked.append((tuple(numbers), tuple(trial.number for trial in pending), len(self.told)))
        if self.ends is not None and len(self.told) >= self.ends:
            return []
        if self.patience and len(self.told) % self.patience == self.patience - 1 and pending:
            return []
        return [self.propose(number, pending) for number in numbers]

    def propose(self, number: int, pending: Sequence[Trial]) -> Proposal:
        rng = self.problem.rng(number)
        if self.best is None or rng.random() < 0.3:
            return Proposal(self.problem.decisions.sample(rng), origin="random")
        genotype = self.problem.decisions.mutate(self.best.genotype, rng)
        origin = f"mutation of {self.best.number} with {[trial.number for trial in pending]} pending"
        return Proposal(genotype, origin=origin)

    def tell(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            assert trial.state.over
            assert trial.repeat_of is None
            self.told.append(trial.number)
            if self.best is None or self.problem.rank_key(trial) < self.problem.rank_key(self.best):
                self.best = trial


class BelowMean:
    """Stops a trial whose accuracy is below the mean of all that it was told of at that step."""

    def __init__(self) -> None:
        self.curves: list[dict[int, float]] = []

    def tell(self, trials):
        self.curves += [{step: metrics["accuracy"] for step, metrics in trial.curve} for trial in trials if trial.curve]

    def verdict(self, trial):
        step, metrics = trial.curve[-1]
        others = [curve[step] for curve in self.curves if step in curve]
        if step < 2 or len(others) < 3 or metrics["accuracy"] >= sum(others) / len(others):
            return None
        return f"below the mean of {len(others)} at step {step}"


class Shuffled:
    """Runs the workload's tasks interleaved in random order; tasks die, outcomes come twice, cancelled ones may end first."""

    def __init__(self, workload, rng, slots=4, deaths=0.0, twice=0.0):
        self.workload, self.rng, self.slots, self.deaths, self.twice = workload, rng, slots, deaths, twice
        self.running = {}
        self.submitted = []
        self.cancelled = set()
        self.closed = False

    def submit(self, task):
        assert not self.closed
        assert task.number not in self.running
        assert len(self.running) < self.slots
        self.submitted.append((task.number, task.attempt))
        self.running[task.number] = task, self.workload.run(task)

    def poll(self, timeout):
        if not self.running:
            return []
        messages = []
        for _ in range(1 + int(self.rng.integers(3))):
            if self.running:
                messages += self.step(int(self.rng.choice(sorted(self.running))))
        return messages

    def step(self, number):
        task, steps = self.running[number]
        if number in self.cancelled and self.rng.random() < 0.7:
            found = Outcome(number, task.attempt)
        elif self.rng.random() < self.deaths:
            found = Outcome(number, task.attempt, cause=Cause.LOST, message="its worker died")
        else:
            try:
                found = next(steps)
            except StopIteration as end:
                found = end.value
        if isinstance(found, Outcome):
            steps.close()
            del self.running[number]
            self.cancelled.discard(number)
        again = isinstance(found, Outcome) and self.rng.random() < self.twice
        return [found, found] if again else [found]

    def cancel(self, number):
        if number in self.running:
            self.cancelled.add(number)

    def close(self):
        self.closed = True
        for _, steps in self.running.values():
            steps.close()
        self.running = {}


class Death(Exception):  # noqa: N818
    """The process dies here."""


class Dying:
    """A storage whose process dies at an append: before it is stored, or just after."""

    def __init__(self, storage, at, stored):
        self.storage, self.at, self.stored = storage, at, stored
        self.appends = 0

    def read(self, after=0):
        return self.storage.read(after)

    def append(self, events, expected):
        dies = self.appends == self.at
        self.appends += 1
        if not dies or self.stored:
            self.storage.append(events, expected)
        if dies:
            raise Death

    def close(self):
        self.storage.close()


class Lab:
    """Makes the parts of a search, and searches."""

    Climber, BelowMean, Shuffled, Dying, Death, Memory = Climber, BelowMean, Shuffled, Dying, Death, Memory
    Stop, Finalists, Settings, Loop, Evaluate = Stop, Finalists, Settings, Loop, Evaluate
    decisions = DECISIONS

    def __init__(self) -> None:
        self.space = Space(DECISIONS)
        self.evaluate = Evaluate()

    def problem(self, objectives=("accuracy",), constraints=("parameters <= 70",), seed=1, **options):
        goals = [Objective(name, "minimize" if name == "parameters" else "maximize") for name in objectives]
        known = self.evaluate.known
        return Problem(
            self.space, goals, [Constraint.parse(text) for text in constraints], seed, known=known, **options
        )

    def work(self, evaluator=None):
        return Work(self.space, evaluator or self.evaluate, None)

    def inline(self, evaluator=None):
        return InlineExecutor(InlineConfig(), self.work(evaluator))

    def loop(self, storage=None, problem=None, optimizer=None, executor=None, evaluator=None, **options):
        problem = problem or self.problem()
        optimizer = optimizer or Climber(problem)
        executor = executor or self.inline(evaluator)
        collaborators = {
            name: options.pop(name) for name in ("make_stopper", "cache", "listener", "clock") if name in options
        }
        stop = Stop(
            **{name: options.pop(name) for name in ("trials", "evaluations", "time", "target") if name in options}
        )
        settings = Settings(stop=stop, **options)
        return Loop(problem, optimizer, executor, storage or Memory().open("x"), settings, **collaborators)

    def genotype(self, **values):
        return DECISIONS.genotype({"op": "skip", "width": 1, "extras": [], **values})

    @staticmethod
    def table(state: State):
        """What a search has found, without times and attempts."""
        return [attrs.evolve(trial, attempt=0, duration=0.0) for trial in state.trials.values()]


@attrs.frozen
class Listed:
    """An optimizer that proposes these, in order."""

    proposals: Sequence[Proposal | Genotype]

    def ask(self, numbers, pending):
        found = self.proposals[numbers[0] : numbers[0] + len(numbers)]
        return [Proposal(each) if isinstance(each, Genotype) else each for each in found]

    def tell(self, trials):
        """It learns nothing."""


Lab.Listed = Listed
Lab.Report, Lab.Outcome = Report, Outcome


@pytest.fixture(scope="session")
def lab():
    return Lab()
