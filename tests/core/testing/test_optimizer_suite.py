"""`OptimizerSuite` catches what breaks its promises (that it holds for good ones is in their own tests)."""

from __future__ import annotations

import random

import attrs
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.optimizer.random import Config, RandomSearch
from morphml_core.problem import Budget, Proposal, TrialState
from morphml_core.space.decisions import Genotype
from morphml_core.testing import OptimizerSuite

from .probe import failing


class Good(RandomSearch):
    """Random search, to be broken below."""

    def __init__(self, problem):
        super().__init__(Config(), problem)
        self.problem = problem
        self.best = None

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, origin="good") for proposal in super().ask(numbers, pending)]


class Forgetful(Good):
    """Does not look at what it is told."""

    def tell(self, trials):
        pass


class Blind(Good):
    """Does not look at what is pending."""

    def ask(self, numbers, pending):
        return super().ask(numbers, [])


class Global(Good):
    """Draws from the global generator."""

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, priority=random.random()) for proposal in super().ask(numbers, pending)]


class Counting(Good):
    """Keeps state of its own in `ask`."""

    asked = 0

    def ask(self, numbers, pending):
        self.asked += len(numbers)
        return [attrs.evolve(proposal, priority=float(self.asked)) for proposal in super().ask(numbers, pending)]


class Batchwise(Good):
    """Learns from how the past was cut into batches."""

    tells = 0

    def tell(self, trials):
        super().tell(trials)
        self.tells += 1

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, priority=float(self.tells)) for proposal in super().ask(numbers, pending)]


class Generous(Good):
    """Proposes one more than it was asked for."""

    def ask(self, numbers, pending):
        found = super().ask(numbers, pending)
        return [*found, Proposal(found[-1].genotype)] if found else found


class Sloppy(Good):
    """Fills every slot, also of inactive decisions."""

    def ask(self, numbers, pending):
        found = super().ask(numbers, pending)
        return [
            attrs.evolve(p, genotype=Genotype(tuple(0 if s is None else s for s in p.genotype.slots))) for p in found
        ]


class Possessive(Good):
    """Knows only the trials that it asked for itself."""

    def tell(self, trials):
        for trial in trials:
            if trial.origin != "good":
                raise KeyError(trial.number)
        super().tell(trials)


class Optimistic(Good):
    """Takes every trial for a finished one."""

    def tell(self, trials):
        super().tell(trials)
        for trial in trials:
            self.best = max(self.best or 0.0, trial.metrics[self.problem.objectives[0].name])


class Maximizer(Good):
    """Maximizes, whatever the goal."""

    mean = 0.0

    def tell(self, trials):
        super().tell(trials)
        for trial in trials:
            if trial.state is TrialState.FINISHED:
                self.mean = max(self.mean, trial.metrics.get(self.problem.objectives[0].name, 0.0))

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, priority=self.mean) for proposal in super().ask(numbers, pending)]


class Curt(Good):
    """Refuses several objectives with a word."""

    def __init__(self, problem):
        if len(problem.objectives) > 1:
            raise MorphMLError("no")
        super().__init__(problem)


class Polite(Good):
    """Refuses several objectives with a sentence."""

    def __init__(self, problem):
        if len(problem.objectives) > 1:
            raise MorphMLError("this optimizer has one objective only, but there are 2; use regularized_evolution")
        super().__init__(problem)


class Careless(Good):
    """Proposes what a constraint refuses."""

    def ask(self, numbers, pending):
        found, busy = [], {trial.genotype for trial in pending}
        for number in numbers:
            rng = self.problem.rng(number)
            make = lambda: self.problem.decisions.sample(rng)  # noqa: B023, E731
            genotype = next((g for g in (make() for _ in range(3)) if g not in busy), None)
            if genotype:
                busy.add(genotype)
                found.append(Proposal(genotype))
        return found


class Keeper(Good):
    """Keeps the list that it was told, and believes that nobody changes it."""

    past = ()

    def tell(self, trials):
        super().tell(trials)
        self.past = trials

    def ask(self, numbers, pending):
        return [
            attrs.evolve(proposal, priority=float(len(self.past) > 0)) for proposal in super().ask(numbers, pending)
        ]


class Thief(Good):
    """Changes the list of pending trials."""

    def ask(self, numbers, pending):
        found = super().ask(numbers, pending)
        pending.clear()
        return found


class Broke(Good):
    """Proposes budgets of nothing."""

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, budget=Budget(0)) for proposal in super().ask(numbers, pending)]


class Tired(Good):
    """Ends after five trials."""

    told = 0

    def tell(self, trials):
        super().tell(trials)
        self.told += len(trials)

    def ask(self, numbers, pending):
        return super().ask(numbers, pending) if self.told < 5 else []


class Hasty(Good):
    """Looks at how long trials took."""

    seconds = 0.0

    def tell(self, trials):
        super().tell(trials)
        self.seconds = max([self.seconds, *(trial.duration for trial in trials)])

    def ask(self, numbers, pending):
        return [attrs.evolve(proposal, priority=self.seconds) for proposal in super().ask(numbers, pending)]


TWICE = {"no_genotype_twice_until_the_space_is_exhausted", "foreign_and_pending_genotypes_are_not_proposed"}
REPLAY = "replay_equals_a_continuous_run"


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (Good, set()),
        (Polite, set()),
        (Forgetful, TWICE),
        (Blind, {*TWICE, "trials_in_one_batch_equal_those_asked_for_one_by_one"}),
        (Global, {"global_random_state_is_left_alone"}),
        (Counting, {REPLAY, "asking_changes_nothing"}),
        (Batchwise, {REPLAY}),
        (Generous, {"proposals_are_valid", "fewer_proposals_than_asked_are_allowed_and_more_are_not"}),
        (Sloppy, {"proposals_are_valid"}),
        (Possessive, {"trials_that_it_never_asked_for"}),
        (Optimistic, {"failed_and_stopped_trials"}),
        (Maximizer, {"minimizing_equals_maximizing_the_negative"}),
        (Curt, {"several_objectives_or_a_clear_refusal"}),
        (Careless, {*TWICE, "constraints_that_refuse_most"}),
        (Keeper, {"a_past_of_trials_it_is_given_stays_as_it_was"}),
        (Thief, {"a_past_of_trials_it_is_given_stays_as_it_was"}),
        (Broke, {"proposals_are_valid"}),
        (
            Hasty,
            {
                "durations_and_attempts_of_trials_change_nothing",
                "a_reproducible_search_is_the_same_on_any_workers",
            },
        ),
        (Tired, {"no_genotype_twice_until_the_space_is_exhausted"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_broken_optimizers_are_caught(broken, caught, tmp_path):
    assert failing(OptimizerSuite, broken, tmp_path, among=caught) == caught
