"""Tree-structured Parzen estimator: the suite, which trials are good, budgets, what is bounded, and quality."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from morphml_core.problem import Budget, Constraint, Objective, Problem, Proposal, Trial, TrialState
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, pending, problem, sampled, stopped
from morphml_optimizers.tpe import Config, TreeParzen


class TestTreeParzen(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(4, best=6, candidates=8, training=10)], ids=["default", "small"])
    def make(self, request):
        return lambda given: TreeParzen(request.param, given)


def numbers(count, seed=1):
    """A problem of reals, without number of genotypes."""
    space = SearchSpace(DecisionSpace(Decision(f"x{index}", Real(0.0, 1.0)) for index in range(count)))
    return Problem(space, [Objective("loss", "minimize")], seed=seed)


def trial(given, number, slots, state=TrialState.FINISHED, **metrics):
    genotype = given.decisions.genotype({f"x{index}": value for index, value in enumerate(slots)})
    return Trial(number, genotype, state, str(number), metrics=metrics)


def proposed(optimizer, count=40, busy=(), first=1000):
    """The first number of each of `count` proposals, each of which is asked for alone."""
    return np.array([optimizer.ask([number], busy)[0].genotype.slots[0] for number in range(first, first + count)])


def around(given, good, bad, count=12):
    """Trials whose first number is around `good` or around `bad`."""
    rng = np.random.default_rng(4)
    places = [(good, 0.0) if number % 3 == 0 else (bad, 1.0) for number in range(count)]
    return [
        trial(given, number, [place + rng.normal(0, 0.02)], loss=loss + number / 100)
        for number, (place, loss) in enumerate(places)
    ]


def test_random_until_enough_are_told_or_pending():
    given = problem("flat", parallelism=4)
    search = Search(TreeParzen(Config(initial=8), given), given, slots=4).run(20)
    origins = [search.proposals[number].origin for number in range(20)]
    assert origins == ["random"] * 8 + ["model"] * 12


def test_random_while_nothing_has_a_result():
    given = problem("flat")
    optimizer = TreeParzen(Config(initial=3), given)
    optimizer.tell([failed(given, number, Proposal(one.genotype)) for number, one in enumerate(sampled(given, 20))])
    assert [proposal.origin for proposal in optimizer.ask(range(50, 54), [])] == ["random"] * 4


def test_proposals_are_where_the_good_trials_are():
    given = numbers(1)
    optimizer = TreeParzen(Config(), given)
    optimizer.tell(around(given, 0.2, 0.7, 30))
    found = proposed(optimizer)
    assert (np.abs(found - 0.2) < 0.2).mean() > 0.9


def test_pending_trials_count_as_bad():
    given = numbers(1)
    optimizer = TreeParzen(Config(), given)
    optimizer.tell(around(given, 0.2, 0.7, 12))
    alone = proposed(optimizer)
    waiting = [
        pending(given, 100 + step, Proposal(trial(given, 0, [0.15 + step / 100]).genotype)) for step in range(10)
    ]
    among = proposed(optimizer, busy=waiting)
    assert np.abs(among - 0.2).mean() > 1.3 * np.abs(alone - 0.2).mean()


def test_failed_trials_are_never_good_but_count_as_bad():
    given = numbers(1)
    told = around(given, 0.2, 0.7, 12)
    optimizer, warned = TreeParzen(Config(), given), TreeParzen(Config(), given)
    optimizer.tell(told)
    there = float(np.median(proposed(optimizer)))
    failures = [
        failed(given, 50 + step, Proposal(trial(given, 0, [there + step / 500]).genotype)) for step in range(10)
    ]
    warned.tell([*told, *failures])
    near = [np.abs(proposed(each) - there).mean() for each in (optimizer, warned)]
    assert near[1] > 2 * near[0]


def test_what_breaks_a_constraint_comes_after_what_does_not():
    given = numbers(1)
    given.constraints = (Constraint("cost", "<=", 1.0),)
    optimizer = TreeParzen(Config(), given)
    told = [trial(given, number, [0.8 + number / 200], loss=float(number), cost=0.5) for number in range(10)]
    told += [trial(given, number, [0.1 + number / 500], loss=-5.0, cost=3.0) for number in range(10, 40)]
    optimizer.tell(told)
    assert (proposed(optimizer) > 0.6).mean() > 0.8


def test_of_those_that_break_a_constraint_the_nearest_are_good():
    given = numbers(1)
    given.constraints = (Constraint("cost", "<=", 1.0),)
    optimizer = TreeParzen(Config(), given)
    optimizer.tell([trial(given, step, [(step + 0.5) / 40], loss=1.0, cost=2.0 + step) for step in range(40)])
    assert (proposed(optimizer) < 0.35).mean() > 0.8


def test_stopped_trials_come_after_finished_ones_the_longest_first():
    given = numbers(1)
    optimizer = TreeParzen(Config(), given)
    told = []
    for number in range(40):
        steps = number % 2 + 1
        place = 0.8 if steps == 2 else 0.2
        one = trial(given, number, [place + number / 1000], TrialState.STOPPED, loss=1.0 if steps == 2 else 0.0)
        told.append(attrs.evolve(one, curve=tuple((step, one.metrics) for step in range(1, steps + 1))))
    optimizer.tell(told)
    assert (proposed(optimizer) > 0.5).mean() > 0.8
    optimizer.tell([trial(given, 100 + step, [0.5 + step / 1000], loss=2.0) for step in range(10)])
    assert (np.abs(proposed(optimizer) - 0.5) < 0.2).mean() > 0.8


def test_stopped_trials_without_a_curve_are_allowed():
    given = problem("mixed")
    optimizer = TreeParzen(Config(initial=2), given)
    optimizer.tell(
        [attrs.evolve(stopped(given, one.number, Proposal(one.genotype)), curve=()) for one in sampled(given, 5)]
    )
    assert optimizer.ask([9], [])[0].origin == "model"


@pytest.mark.parametrize("largest", [Budget(), Budget(epochs=27)])
def test_the_largest_budget_with_enough_results_is_learned_from(largest):
    given = numbers(1)
    given.budget = Budget(epochs=27)
    optimizer = TreeParzen(Config(initial=10), given)
    optimizer.tell([attrs.evolve(one, budget=Budget(epochs=3)) for one in around(given, 0.2, 0.7, 30)])
    full = [attrs.evolve(one, budget=largest, number=500 + one.number) for one in around(given, 0.9, 0.4, 10)]
    optimizer.tell(full[:9])
    assert (proposed(optimizer) < 0.5).mean() > 0.8
    optimizer.tell(full[9:])
    assert (proposed(optimizer) > 0.5).mean() > 0.8


def test_until_a_budget_has_enough_results_the_one_with_most_is_learned_from():
    given = numbers(1)
    optimizer = TreeParzen(Config(initial=12), given)
    optimizer.tell([attrs.evolve(one, budget=Budget(epochs=1)) for one in around(given, 0.2, 0.7, 11)])
    optimizer.tell([attrs.evolve(one, budget=Budget(epochs=1, fraction=0.5)) for one in around(given, 0.9, 0.4, 6)])
    busy = [pending(given, 90, Proposal(trial(given, 0, [0.99]).genotype))]
    assert (proposed(optimizer, busy=busy) < 0.5).mean() > 0.8


def test_decisions_that_are_seldom_active_are_learned_from_where_they_are():
    """The best value below a rare branch is found, although most trials say nothing about it."""
    decisions = [
        Decision("kind", Choice(("often", "rare"))),
        Decision("place", Real(0.0, 1.0), "kind", ("rare",)),
        Decision("other", Integer(1, 9), "kind", ("often",)),
    ]
    given = Problem(SearchSpace(DecisionSpace(decisions)), [Objective("loss", "minimize")], seed=3)
    optimizer = TreeParzen(Config(), given)
    rng = np.random.default_rng(0)
    told = [
        Trial(
            n,
            given.decisions.genotype({"kind": "often", "other": n % 9 + 1}),
            TrialState.FINISHED,
            metrics={"loss": 1.0 + n},
        )
        for n in range(40)
    ]
    for number in range(40, 60):
        place = float(rng.random())
        genotype = given.decisions.genotype({"kind": "rare", "place": place})
        told.append(Trial(number, genotype, TrialState.FINISHED, metrics={"loss": abs(place - 0.3)}))
    optimizer.tell(told)
    found = [optimizer.ask([number], [])[0].genotype.slots for number in range(100, 140)]
    assert all(slots[0] == "rare" for slots in found)
    assert np.mean([abs(slots[1] - 0.3) for slots in found]) < 0.12


def test_several_objectives_spread_along_the_front():
    given = numbers(2)
    given.objectives = (Objective("one", "minimize"), Objective("two", "minimize"))

    def end(given, number, proposal):
        first, second = proposal.genotype.slots
        metrics = {"one": first**2 + (second - 0.5) ** 2, "two": (first - 1) ** 2 + (second - 0.5) ** 2}
        return Trial(number, proposal.genotype, TrialState.FINISHED, metrics=metrics)

    search = Search(TreeParzen(Config(), given), given, 1, end).run(120)
    late = np.array([search.proposals[number].genotype.slots for number in range(60, 120)])
    assert np.abs(late[:, 1] - 0.5).mean() < 0.12
    assert np.histogram(late[:, 0], bins=4, range=(0.0, 1.0))[0].min() >= 5


def test_it_comes_close_to_the_minimum_of_a_bowl():
    """Random search is at 0.06 on average after as many trials."""
    best = []
    for seed in range(3):
        given = numbers(5, seed)

        def end(given, number, proposal):
            loss = sum((value - 0.2 - index / 8) ** 2 for index, value in enumerate(proposal.genotype.slots))
            return Trial(number, proposal.genotype, TrialState.FINISHED, metrics={"loss": loss})

        search = Search(TreeParzen(Config(), given), given, 1, end).run(100)
        best.append(min(one.metrics["loss"] for one in search.past()))
    assert max(best) < 0.01


def test_batches_told_equal_trials_told_one_by_one_when_the_past_is_thinned():
    given = problem("mixed", BOTH)
    one, other = (TreeParzen(Config(training=10, best=5), given) for _ in range(2))
    past = sampled(given, 333)
    one.tell(past)
    for each in past:
        other.tell([each])
    assert one.ask([900, 901], []) == other.ask([900, 901], [])


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("initial", 0, "'initial' must be >= 1: 0"),
        ("gamma", 0.0, "'gamma' must be > 0.0: 0.0"),
        ("gamma", 1.0, "'gamma' must be < 1.0: 1.0"),
        ("best", 0, "'best' must be >= 1: 0"),
        ("candidates", 0, "'candidates' must be >= 1: 0"),
        ("smoothing", 0.0, "'smoothing' must be > 0.0: 0.0"),
        ("smoothing", 1.0, "'smoothing' must be < 1.0: 1.0"),
        ("bandwidth", 0.0, "'bandwidth' must be > 0.0: 0.0"),
        ("prior", 0.0, "'prior' must be > 0.0: 0.0"),
        ("training", 9, "'training' must be >= 10: 9"),
    ],
)
def test_options_out_of_range(option, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        Config(**{option: value})
