"""What every stopper promises: `StopperSuite`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs
import pytest

from morphml_core.graph.operations import OperationSet
from morphml_core.problem import Candidate, Cause, Objective, Problem, Trial, TrialState
from morphml_core.protocols import Stopper
from morphml_core.space.decisions import Decision, DecisionSpace, Genotype
from morphml_core.space.domains import Real


class CurveSpace:
    """One number, which is how good a trial ends."""

    def __init__(self) -> None:
        self.decisions = DecisionSpace([Decision("quality", Real(0.0, 1.0))])
        self.operations: OperationSet | None = None

    def express(self, genotype: Genotype) -> Candidate:
        """The number as a hyperparameter."""
        values = self.decisions.values(genotype)
        return Candidate(None, values, repr(genotype.slots), values)


def learning_trial(
    number: int, quality: float, steps: int, state: TrialState = TrialState.RUNNING, goal: str = "maximize"
) -> Trial:
    """A trial whose metric `score` has come, after `steps` of 20 steps, that far towards `quality` (negated to be minimized)."""
    sign = 1.0 if goal == "maximize" else -1.0
    curve = tuple((step, {"score": sign * quality * (1 - 0.8**step)}) for step in range(1, steps + 1))
    metrics = curve[-1][1] if curve and state in (TrialState.FINISHED, TrialState.STOPPED) else {}
    cause = Cause.ERROR if state is TrialState.FAILED else None
    return Trial(number, Genotype((quality,)), state, metrics=metrics, curve=curve, cause=cause)


class StopperSuite:
    """Subclass it, and give the fixture `make`: a function from a problem to a stopper.

    `ready` is after how many finished trials, and `steps` after how many steps, it must tell a hopeless trial from a good one; None
    where it never does.
    """

    ready: int | None = 30
    steps = 10

    @pytest.fixture
    def make(self) -> Callable[[Problem], Stopper]:
        """A function from a problem to a stopper."""
        raise NotImplementedError("a StopperSuite needs the fixture 'make': a function from a problem to a stopper")

    @pytest.fixture(params=["maximize", "minimize"])
    def goal(self, request: pytest.FixtureRequest) -> str:
        """Both goals."""
        return str(request.param)

    def stopper(self, make: Callable[[Problem], Stopper], goal: str = "maximize") -> Stopper:
        """A stopper of a problem with one objective, `score`."""
        return make(Problem(CurveSpace(), [Objective("score", goal)], seed=3))  # type: ignore[arg-type]

    def finished(self, goal: str = "maximize") -> list[Trial]:
        """Finished trials whose qualities are spread over 0.5 to 1."""
        count = self.ready or 30
        qualities = [0.5 + 0.5 * (index * 7 % count) / count for index in range(count)]
        return [learning_trial(n, quality, 20, TrialState.FINISHED, goal) for n, quality in enumerate(qualities)]

    def test_a_verdict_is_words_or_none(self, make: Callable[[Problem], Stopper], goal: str) -> None:
        """Knowing nothing, and knowing much; with no report yet, and with many."""
        stopper = self.stopper(make, goal)
        for told in ([], self.finished(goal)):
            stopper.tell(told)
            for steps in range(20):
                verdict = stopper.verdict(learning_trial(100, 0.2, steps, goal=goal))
                assert verdict is None or (isinstance(verdict, str) and verdict.strip())

    def test_the_first_trial_is_never_stopped(self, make: Callable[[Problem], Stopper], goal: str) -> None:
        """There is nothing to compare it with."""
        stopper = self.stopper(make, goal)
        assert [stopper.verdict(learning_trial(0, 0.1, steps, goal=goal)) for steps in range(20)] == [None] * 20

    def test_the_best_trial_goes_on(self, make: Callable[[Problem], Stopper], goal: str) -> None:
        """One that is better than all others at each step."""
        stopper = self.stopper(make, goal)
        stopper.tell(self.finished(goal))
        assert [stopper.verdict(learning_trial(100, 1.5, steps, goal=goal)) for steps in range(20)] == [None] * 20

    def test_a_hopeless_trial_is_stopped(self, make: Callable[[Problem], Stopper], goal: str) -> None:
        """One that is worse than all others, before it ends."""
        if self.ready is None:
            pytest.skip("this stopper never stops")
        stopper = self.stopper(make, goal)
        stopper.tell(self.finished(goal))
        assert any(stopper.verdict(learning_trial(100, 0.05, steps, goal=goal)) for steps in range(1, self.steps + 1))

    def verdicts(self, stopper: Stopper) -> list[str | None]:
        """What it says of trials of many qualities at many steps."""
        trials = [learning_trial(100 + index, index / 20, steps) for index in range(20) for steps in range(1, 20)]
        return [stopper.verdict(trial) for trial in trials]

    def test_a_replay_gives_the_same_verdicts(self, make: Callable[[Problem], Stopper]) -> None:
        """Told at once, or one by one with verdicts between."""
        once, often = self.stopper(make), self.stopper(make)
        once.tell(self.finished())
        for trial in self.finished():
            often.tell([trial])
            often.verdict(learning_trial(100, 0.7, 5))
        assert self.verdicts(once) == self.verdicts(often)

    @pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.STOPPED, TrialState.FINISHED])
    def test_trials_without_a_curve_do_no_harm(self, make: Callable[[Problem], Stopper], state: TrialState) -> None:
        """Duplicates have none, and failed trials often."""
        stopper = self.stopper(make)
        stopper.tell(self.odd(state))
        assert stopper.verdict(learning_trial(100, 0.5, 3)) is None

    def odd(self, state: TrialState) -> Sequence[Trial]:
        """Trials that are over, without reports."""
        return [learning_trial(number, 0.9, 0, state) for number in range(40)]

    def test_values_that_are_no_numbers_do_no_harm(self, make: Callable[[Problem], Stopper]) -> None:
        """NaN, infinity, and reports without the objective, of trials that are over and of the running one."""
        stopper = self.stopper(make)
        for value in (math.nan, math.inf, -math.inf):
            curve = ((1, {"score": value}), (2, {"other": 1.0}), (3, {"score": value}))
            told = Trial(0, Genotype((0.5,)), TrialState.FINISHED, metrics={"score": 0.5}, curve=curve)
            stopper.tell([attrs.evolve(told, number=number) for number in range(10)])
            stopper.verdict(Trial(99, Genotype((0.5,)), TrialState.RUNNING, curve=curve))
        assert stopper.verdict(Trial(99, Genotype((0.5,)), TrialState.RUNNING, curve=((1, {"other": 1.0}),))) is None
