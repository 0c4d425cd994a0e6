"""Hyperband: the suite, the sizes of its brackets, and that places stay busy."""

from __future__ import annotations

from collections import Counter

import pytest

from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, finished, pending, problem
from morphml_optimizers import local_search
from morphml_optimizers.hyperband import Config, Hyperband
from morphml_optimizers.inner import note

LOCAL = Part(ComponentRef("optimizer", "inner"), local_search.component, local_search.Config())
CONFIGS = {
    "default": Config(),
    "of local search": Config(optimizer=LOCAL, reduction=2, brackets=2, enough=4),
}


class TestHyperband(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request, with_epochs):
        return lambda problem: Hyperband(request.param, with_epochs(problem))


def sizes(search):
    """The number of trials by bracket and epochs."""
    return Counter((note(proposal.origin, "bracket"), proposal.budget.epochs) for proposal in search.proposals.values())


def test_the_brackets_of_the_paper(with_epochs):
    given = with_epochs(problem("flat"), 81)
    found = sizes(Search(Hyperband(Config(), given), given).run(206 + 206))
    paper = {0: [81, 27, 9, 3, 1], 1: [34, 11, 3, 1], 2: [15, 5, 1], 3: [8, 2], 4: [5]}
    epochs = (1, 3, 9, 27, 81)
    expected = {
        (bracket + turn, rung): count
        for turn in (0, 5)
        for bracket, counts in paper.items()
        for rung, count in zip(epochs[-len(counts) :], counts, strict=True)
    }
    assert found == expected


def test_the_next_bracket_begins_while_the_others_wait(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer = Hyperband(Config(), given)
    trials = [finished(given, number, proposal) for number, proposal in enumerate(optimizer.ask(range(15), []))]
    assert [note(trial.origin, "bracket") for trial in trials] == [0] * 9 + [1] * 5 + [2]
    assert [trial.budget.epochs for trial in trials] == [1] * 9 + [3] * 5 + [9]
    optimizer.tell(trials[:8])
    busy = [pending(given, trial.number, trial) for trial in trials[8:]]
    assert [note(proposal.origin, "bracket") for proposal in optimizer.ask([15, 16, 17], busy)] == [2, 2, 3]
    optimizer.tell(trials[8:9])
    found = optimizer.ask(range(15, 19), busy[1:])
    assert [note(proposal.origin, "bracket") for proposal in found] == [0, 0, 0, 2]
    assert [proposal.continues for proposal in found[:3]] == [
        trial.number for trial in sorted(trials[:9], key=given.rank_key)[:3]
    ]


@pytest.mark.parametrize("end", [finished, lambda given, n, p: failed(given, n, p) if n % 2 else finished(given, n, p)])
@pytest.mark.parametrize("objectives", [BOTH, BOTH[:1]])
def test_places_are_always_busy(end, objectives, with_epochs):
    given = with_epochs(problem("mixed", objectives))
    search = Search(Hyperband(Config(), given), given, 16, end)
    while len(search.proposals) < 400:
        search.step(400)
        assert len(search.running) >= 14


def test_fewer_kinds_of_brackets(with_epochs):
    given = with_epochs(problem("flat"))
    found = sizes(Search(Hyperband(Config(brackets=1), given), given).run(26))
    assert found == {(0, 1): 9, (0, 3): 3, (0, 9): 1, (1, 1): 9, (1, 3): 3, (1, 9): 1}


@pytest.mark.parametrize("slots", [1, 5])
def test_an_exhausted_space_ends_the_search_after_what_is_under_way(slots, with_epochs):
    given = with_epochs(problem("small"))
    search = Search(Hyperband(Config(), given), given, slots).run(1000)
    assert search.ended
    trials = list(search.past())
    assert len({trial.genotype for trial in trials}) == 48
    assert len({(trial.genotype, trial.budget) for trial in trials}) == len(trials)
    for bracket, epochs in sizes(search):
        best = min(
            (t for t in trials if note(t.origin, "bracket") == bracket and t.budget.epochs == epochs),
            key=given.rank_key,
        )
        if epochs < 9:
            assert any(t.genotype == best.genotype and t.budget.epochs == 3 * epochs for t in trials)
