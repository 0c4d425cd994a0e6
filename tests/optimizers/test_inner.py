"""What a wrapped optimizer is told, and that it proposes what is known at no budget."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import RandomSearch
from morphml_core.plugins.component import ComponentRef, Part, optimizer
from morphml_core.problem import Budget, Proposal
from morphml_core.testing.problems import failed, finished, pending, problem, sampled
from morphml_optimizers import asha, hyperband, local_search, successive_halving
from morphml_optimizers.inner import Inner, check_wrapped, note, noted


class Recorder:
    """Random search that keeps what it is told, and asked."""

    def __init__(self, config, problem):
        self.told, self.pending, self.problem, self._random = [], None, problem, RandomSearch(config, problem)
        config.made.append(self)

    def ask(self, numbers, pending):
        self.pending = list(pending)
        return self._random.ask(numbers, pending)

    def tell(self, trials):
        self.told += trials
        self._random.tell(trials)


@attrs.frozen
class RecorderConfig:
    made: list


def recording(given, enough):
    made = []
    return Inner(
        Part(ComponentRef("optimizer", "inner"), optimizer(RecorderConfig, Recorder), RecorderConfig(made)),
        given,
        enough,
    ), made


def trials_at(given, epochs, count, first):
    return [attrs.evolve(trial, budget=Budget(epochs)) for trial in sampled(given, count, first)]


def test_the_largest_budget_with_enough_results_is_told():
    given = problem("flat")
    given.budget = Budget(9)
    inner, made = recording(given, 4)
    small, middle = (
        trials_at(given, 1, 6, 0),
        [attrs.evolve(trial, budget=Budget(3), number=trial.number + 10) for trial in trials_at(given, 1, 6, 0)],
    )
    for trial in small[:3]:
        inner.tell(trial)
    inner.draw(100, [])
    for trial in [small[3], middle[0], small[4], *middle[1:3], small[5]]:
        inner.tell(trial)
    inner.draw(100, [])
    assert len(made) == 2
    assert made[-1].told == small
    inner.tell(failed(given, 50, attrs.evolve(middle[3], budget=Budget(3))))
    inner.draw(100, [])
    assert len(made) == 2
    inner.tell(attrs.evolve(middle[3], budget=Budget(3)))
    inner.draw(100, [])
    assert len(made) == 3
    assert [trial.number for trial in made[-1].told] == [10, 11, 12, 50, 13]
    inner.tell(attrs.evolve(small[0], number=60, genotype=sampled(given, 20)[19].genotype))
    inner.tell(middle[4])
    inner.draw(100, [])
    assert [trial.number for trial in made[-1].told] == [10, 11, 12, 50, 13, 14]
    full = [attrs.evolve(trial, budget=Budget(), number=trial.number + 20) for trial in small[:4]]
    for trial in full:
        inner.tell(trial)
    inner.draw(100, [])
    assert (len(made), made[-1].told) == (4, full)


def test_it_makes_no_difference_when_the_wrapped_one_is_asked():
    given = problem("flat")
    found = []
    for ask in (True, False):
        inner = Inner(Part(ComponentRef("optimizer", "x"), local_search.component, local_search.Config()), given, 3)
        for place, trial in enumerate(sampled(given, 12)):
            inner.tell(attrs.evolve(trial, budget=Budget(1 + place % 4)))
            if ask:
                inner.draw(500 + place, [])
        found.append(inner.draw(100, []))
    assert found[0] == found[1]


def test_nothing_is_proposed_that_is_known_at_any_budget():
    given = problem("small")
    inner, made = recording(given, 3)
    seen, number = set(), 0
    while (found := inner.draw(number, [])) is not None:
        assert found.genotype not in seen
        seen.add(found.genotype)
        inner.tell(finished(given, number, attrs.evolve(found, budget=Budget(1 + 4 * (number == 0 or number > 9)))))
        number += 1
    assert len(seen) == 48
    assert made[-1].problem.refusal(next(iter(seen))) == "it is known at another budget"


def test_a_wrapped_optimizer_that_repeats_itself_is_replaced_by_chance():
    class Stubborn:
        def __init__(self, config, problem):
            self.genotype = problem.decisions.sample(problem.rng(0))

        def ask(self, numbers, pending):
            return [Proposal(self.genotype, origin="again")]

        def tell(self, trials):
            pass

    given = problem("small")
    inner = Inner(Part(ComponentRef("optimizer", "x"), optimizer(RandomConfig, Stubborn), RandomConfig()), given, 3)
    first = inner.draw(0, [])
    assert first.origin == "again"
    second = inner.draw(1, [pending(given, 0, first)])
    assert (second.origin, second.genotype == first.genotype) == ("random", False)


def test_pending_trials_are_handed_on_but_for_those_that_go_on():
    given = problem("flat")
    inner, made = recording(given, 3)
    first, second = sampled(given, 2)
    inner.tell(first)
    going = attrs.evolve(pending(given, 7, first), budget=Budget(3))
    inner.draw(9, [going, pending(given, 1, second)])
    assert [trial.number for trial in made[-1].pending] == [1]


def test_the_notes_in_an_origin():
    origin = noted("neighbour of 3", "bracket 12", "promotion of 7")
    assert origin == "neighbour of 3 | bracket 12 | promotion of 7"
    assert (note(origin, "bracket"), note(origin, "promotion of"), note(origin, "neighbour of")) == (12, 7, None)
    assert noted(origin) == "neighbour of 3"
    assert noted("") == ""
    assert note("random | bracket x", "bracket") is None


@pytest.mark.parametrize("module", [asha, successive_halving, hyperband])
def test_what_gives_budgets_is_not_wrapped(module):
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(ConfigurationError, match=f"'bohb' cannot wrap '{name}', which gives trials budgets of its own"):
        check_wrapped(Part(ComponentRef("optimizer", name), module.component, module.Config()), "bohb")
    check_wrapped(None, "bohb")
    check_wrapped(Part(ComponentRef("optimizer", name), local_search.component, local_search.Config()), "bohb")
