"""What every optimizer promises: `OptimizerSuite`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.problem import Budget, Cause, Constraint, Objective, Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_core.testing.problems import (
    ACCURACY,
    BOTH,
    FINITE,
    SPACES,
    End,
    Search,
    failed,
    finished,
    pending,
    problem,
    sampled,
    stopped,
)  # fmt: skip
from morphml_core.testing.workers import EPOCHS, searched

Make = Callable[[Problem], Optimizer]

every_space = pytest.mark.parametrize("space", sorted(SPACES))


class OptimizerSuite:
    """Tests of one optimizer.  Give it a fixture `make` that returns a function from a `Problem` to the optimizer.

    Where the algorithm promises less, say so: `repeats` if it may propose a genotype again (at another budget, say), `exhausts = False` if it ends
    before it has tried all genotypes of a small space, `avoids_refused = False` if it may propose what breaks a constraint, and `batches = False` if
    proposals that are asked for together may differ from those asked for one by one.  `trials` is how long most searches are.
    """

    trials = 40
    repeats = False
    exhausts = True
    avoids_refused = True
    batches = True

    @pytest.fixture
    def make(self) -> Make:
        """A function from a problem to the optimizer."""
        raise NotImplementedError("an OptimizerSuite needs a fixture 'make' that returns a function of (problem)")

    @every_space
    @pytest.mark.parametrize("slots", [1, 4])
    def test_proposals_are_valid(self, make: Make, space: str, slots: int) -> None:
        """Every proposal is a `Proposal` with a genotype of the space and a budget that is one."""
        given = problem(space, parallelism=slots)
        search = Search(make(given), given, slots).run(self.trials)
        assert search.proposals, "the optimizer proposed nothing at all"
        _check(given, list(search.proposals.values()))

    @every_space
    def test_same_seed_and_history_give_the_same_proposals(self, make: Make, space: str) -> None:
        """Two searches with one seed are the same search."""
        first, second = (Search(make(given), given, 3).run(self.trials) for given in (problem(space), problem(space)))
        assert first.proposals == second.proposals

    @every_space
    def test_replay_equals_a_continuous_run(self, make: Make, space: str) -> None:
        """A new instance that is told the past, in the same order, goes on like the one that lived it."""
        for length in (1, 2, self.trials // 2, self.trials):
            given = problem(space, parallelism=3)
            search = Search(make(given), given, 3).run(length)
            numbers = range(length, length + 3)
            expected = list(search.optimizer.ask(numbers, search.pending()))
            for tells in (search.told, [list(search.past())], [[trial] for trial in search.past()]):
                replayed = make(problem(space, parallelism=3))
                for trials in tells:
                    replayed.tell(trials)
                assert list(replayed.ask(numbers, search.pending())) == expected

    @every_space
    def test_asking_changes_nothing(self, make: Make, space: str) -> None:
        """The same question has the same answer, however often and whatever else is asked between."""
        given = problem(space)
        search = Search(make(given), given, 2).run(self.trials // 2)
        first = list(search.optimizer.ask([100, 101], search.pending()))
        search.optimizer.ask([55], [])
        assert list(search.optimizer.ask([100, 101], search.pending())) == first

    @every_space
    def test_trials_in_one_batch_equal_those_asked_for_one_by_one(self, make: Make, space: str) -> None:
        """Asking for two numbers is asking for the first, and for the second while the first is pending."""
        if not self.batches:
            pytest.skip("this optimizer does not promise it")
        given = problem(space, parallelism=4)
        search = Search(make(given), given, 1).run(self.trials // 2)
        together = list(search.optimizer.ask([100, 101, 102], search.pending()))
        single, busy = list[Proposal](), search.pending()
        for number in (100, 101, 102):
            found = search.optimizer.ask([number], busy)
            single += found
            busy += [pending(given, number, proposal) for proposal in found]
        assert together == single

    @every_space
    def test_fewer_proposals_than_asked_are_allowed_and_more_are_not(self, make: Make, space: str) -> None:
        """No number, no proposal; numbers may have gaps; never more proposals than numbers."""
        optimizer = make(problem(space, parallelism=60))
        assert list(optimizer.ask([], [])) == []
        assert len(optimizer.ask([5, 17, 1000], [])) <= 3
        assert len(optimizer.ask(range(60), [])) <= 60

    @every_space
    def test_trials_that_it_never_asked_for(self, make: Make, space: str) -> None:
        """Being told the past of another search is a warm start: with other origins, high numbers, repeats, duplicates."""
        given = problem(space)
        optimizer = make(given)
        others = sampled(given, 12, first=1000)
        twin = attrs.evolve(others[0], number=1012, duplicate_of=1000)
        again = attrs.evolve(others[1], number=1013, repeat_of=1001, origin="finalist")
        optimizer.tell([*others, twin, again, failed(given, 1014, Proposal(others[2].genotype))])
        optimizer.tell([])
        _check(given, list(Search(optimizer, given, 2).run(self.trials // 2).proposals.values()))

    @pytest.mark.parametrize("space", ["flat", "mixed"])
    def test_durations_and_attempts_of_trials_change_nothing(self, make: Make, space: str) -> None:
        """How long a trial took, and how often it was lost before, differ from run to run: a proposal must not hang on them."""
        found = []
        for turn in (0, 1):
            given = problem(space, parallelism=3)
            search = Search(make(given), given, 3, _slow if turn else finished).run(self.trials)
            found.append(search.proposals)
        assert found[0] == found[1]

    @pytest.mark.parametrize("space", ["conditional", "mixed"])
    @pytest.mark.parametrize("objectives", [ACCURACY, BOTH], ids=["one objective", "two objectives"])
    def test_a_reproducible_search_is_the_same_on_any_workers(
        self, make: Make, space: str, objectives: Sequence[Objective]
    ) -> None:
        """With `reproducible: {window: 8}`: 1, 3 and 8 workers of unequal speed, some of which die, give the same trials."""
        made = _made_or_refused(make, _with_epochs(space, objectives))
        if made is None:
            return
        found = [
            searched(make, _with_epochs(space, objectives), workers, trials=self.trials, failures=failures)
            for workers, failures in ((1, 0.0), (3, 0.2), (8, 0.2))
        ]
        assert found[0], "the optimizer proposed nothing at all"
        assert found[0] == found[1] == found[2]

    @every_space
    def test_trials_that_continue_others(self, make: Make, space: str) -> None:
        """Where a proposal continues a trial, that one is over, has the same genotype, and had fewer epochs."""
        given = _with_epochs(space, ACCURACY)
        search, known = Search(make(given), given, 3), 0
        while len(search.proposals) < self.trials and not search.ended:
            over = {trial.number: trial for trial in search.past()}
            search.step(self.trials)
            for number in range(known, len(search.proposals)):
                proposal = search.proposals[number]
                if proposal.continues is not None:
                    before = over[proposal.continues]
                    assert before.genotype == proposal.genotype
                    assert (before.budget.epochs or EPOCHS) < (proposal.budget.epochs or EPOCHS)
            known = len(search.proposals)
        _check(given, list(search.proposals.values()))

    @every_space
    @pytest.mark.parametrize(
        "bad", ["every second fails", "all fail", "all are stopped", "no metrics", "the first fail"]
    )
    def test_failed_and_stopped_trials(self, make: Make, space: str, bad: str) -> None:
        """Failures of any cause, and trials without the objective, are things to learn from, not to crash on."""
        given = problem(space)
        search = Search(make(given), given, 3, _ENDS[bad]).run(self.trials)
        assert search.proposals
        _check(given, list(search.proposals.values()))

    @pytest.mark.parametrize("space", FINITE)
    @pytest.mark.parametrize("slots", [1, 3])
    def test_no_genotype_twice_until_the_space_is_exhausted(self, make: Make, space: str, slots: int) -> None:
        """Neither a pending nor a finished genotype is proposed again; when there is no other left, nothing is."""
        if self.repeats:
            pytest.skip("this optimizer may propose a genotype again")
        given = problem(space, parallelism=slots)
        size = int(given.decisions.size)
        search = Search(make(given), given, slots).run(size + 10)
        genotypes = [proposal.genotype for proposal in search.proposals.values()]
        assert len(set(genotypes)) == len(genotypes), "a genotype was proposed twice"
        assert search.ended, f"the space has {size} genotypes, but there was a proposal after {len(genotypes)}"
        assert not self.exhausts or len(genotypes) == size, f"it ended after {len(genotypes)} of {size} genotypes"

    @pytest.mark.parametrize("space", FINITE)
    def test_foreign_and_pending_genotypes_are_not_proposed(self, make: Make, space: str) -> None:
        """What others have tried, or are trying, is not proposed either."""
        if self.repeats:
            pytest.skip("this optimizer may propose a genotype again")
        given = problem(space)
        others = {trial.genotype: trial for trial in sampled(given, 6, first=500)}
        half = len(others) // 2
        told, busy = list(others.values())[:half], [_as_pending(trial) for trial in list(others.values())[half:]]
        optimizer = make(given)
        optimizer.tell(told)
        found = [proposal.genotype for proposal in optimizer.ask(range(10), busy)]
        assert others.keys().isdisjoint(found)
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("space", ["flat", "small", "mixed", "cell"])
    def test_constraints_that_refuse_most(self, make: Make, space: str) -> None:
        """A tenth or less of the space is allowed by a cost that is known before evaluation; proposals are from there."""
        constraint = Constraint("cost", "<=", _tenth(space))
        given = problem(space, constraints=[constraint])
        search = Search(make(given), given, 2, _invalid_if_refused).run(4 if space == "small" else 20)
        _check(given, list(search.proposals.values()))
        refused = [proposal for proposal in search.proposals.values() if given.refusal(proposal.genotype)]
        assert not (self.avoids_refused and refused), f"{len(refused)} proposals break {constraint}"

    def test_every_genotype_is_refused(self, make: Make) -> None:
        """Where nothing is allowed the search ends, or goes on with invalid trials; it does not hang or crash."""
        given = problem("small", constraints=[Constraint("cost", "<=", -1.0)])
        _check(given, list(Search(make(given), given, 2, _invalid_if_refused).run(20).proposals.values()))

    @every_space
    def test_constraints_that_are_measured(self, make: Make, space: str) -> None:
        """A constraint on a metric that only the evaluation gives."""
        given = problem(space)
        given.constraints = (Constraint("accuracy", ">=", 0.9),)
        _check(given, list(Search(make(given), given, 2).run(self.trials).proposals.values()))

    @every_space
    def test_minimizing_equals_maximizing_the_negative(self, make: Make, space: str) -> None:
        """Only the sign of the goal differs between the two."""
        one, other = problem(space), problem(space, [Objective("loss", "minimize")])
        first, second = Search(make(one), one, 2).run(self.trials), Search(make(other), other, 2).run(self.trials)
        assert first.proposals == second.proposals

    @every_space
    def test_several_objectives_or_a_clear_refusal(self, make: Make, space: str) -> None:
        """Several objectives work, or are refused with a sentence when the optimizer is made."""
        given = problem(space, BOTH)
        optimizer = _made_or_refused(make, given)
        if optimizer is None:
            return
        search = Search(optimizer, given, 2, _ENDS["every second fails"]).run(self.trials)
        _check(given, list(search.proposals.values()))

    @every_space
    def test_global_random_state_is_left_alone(self, make: Make, space: str) -> None:
        """Randomness comes from `problem.rng` only: global generators are neither used nor seeded."""
        found = []
        for seed in (1, 2):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
            before = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
            given = problem(space)
            found.append(Search(make(given), given, 2).run(self.trials // 2).proposals)
            after = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
            assert str(before) == str(after), "a global generator was used"
        assert found[0] == found[1], "the proposals depend on a global generator"

    def test_a_past_of_trials_it_is_given_stays_as_it_was(self, make: Make) -> None:
        """The lists that it is handed are the caller's: it keeps no reference to them and changes nothing."""
        given = problem("flat", ACCURACY)
        past, busy = sampled(given, 8, first=50), [_as_pending(trial) for trial in sampled(given, 10, first=80)[8:]]
        expected = make(given)
        expected.tell(list(past))
        optimizer = make(given)
        optimizer.tell(past)
        kept = list(past), list(busy)
        optimizer.ask([60, 61], busy)
        assert (past, busy) == kept, "the lists were changed"
        past.clear()
        assert list(optimizer.ask([60], busy)) == list(expected.ask([60], busy))


def _check(given: Problem, proposals: Sequence[Proposal]) -> None:
    for proposal in proposals:
        assert isinstance(proposal, Proposal)
        given.decisions.validate(proposal.genotype)
        assert proposal.budget.epochs is None or proposal.budget.epochs >= 1
        assert 0.0 < proposal.budget.fraction <= 1.0
        assert math.isfinite(proposal.priority)
        assert isinstance(proposal.origin, str)


def _made_or_refused(make: Make, given: Problem) -> Optimizer | None:
    try:
        return make(given)
    except MorphMLError as error:
        if len(str(error).split()) <= 3:
            pytest.fail(f"this says too little: {error}")
        return None


def _with_epochs(space: str, objectives: Sequence[Objective]) -> Problem:
    given = problem(space, objectives, parallelism=8)
    given.budget = Budget(EPOCHS)
    return given


def _slow(given: Problem, number: int, proposal: Proposal) -> Trial:
    return attrs.evolve(finished(given, number, proposal), duration=1000.0 / (number + 1), attempt=1 + number % 3)


def _as_pending(trial: Trial) -> Trial:
    return Trial(trial.number, trial.genotype, fingerprint=trial.fingerprint, budget=trial.budget, origin=trial.origin)


def _tenth(space: str) -> float:
    """The cost that a tenth of the space stays below."""
    given = problem(space)
    costs = [trial.metrics["cost"] for trial in sampled(given, 200)]
    return float(np.quantile(costs, 0.1))


def _invalid_if_refused(given: Problem, number: int, proposal: Proposal) -> Trial:
    refused = given.refusal(proposal.genotype) is not None
    return failed(given, number, proposal, Cause.INVALID) if refused else finished(given, number, proposal)


def _without_metrics(given: Problem, number: int, proposal: Proposal) -> Trial:
    return attrs.evolve(stopped(given, number, proposal), metrics={}, curve=())


_ENDS: dict[str, End] = {
    "every second fails": lambda given, n, p: failed(given, n, p) if n % 2 else finished(given, n, p),
    "all fail": lambda given, n, p: failed(given, n, p, list(Cause)[n % len(Cause)]),
    "all are stopped": stopped,
    "no metrics": _without_metrics,
    "the first fail": lambda given, n, p: failed(given, n, p) if n < 10 else finished(given, n, p),
}
