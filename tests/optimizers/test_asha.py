"""ASHA: the suite, promotions, failures, several objectives and constraints, trials of others, and what it costs."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

import attrs
import pytest

from morphml_core.errors import ConfigurationError
from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import component as random_component
from morphml_core.plugins.component import ComponentRef, Part
from morphml_core.problem import Budget, Cause, Constraint, Proposal
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import ACCURACY, BOTH, Search, failed, finished, pending, problem, stopped
from morphml_optimizers import asha, hyperband, local_search, regularized_evolution
from morphml_optimizers.asha import Asha, Config


def wrapped(module, **options):
    name = module.__name__.rpartition(".")[2]
    return Part(ComponentRef("optimizer", name), module.component, module.Config(**options))


CONFIGS = {
    "default": Config(),
    "halves": Config(reduction=2, maximum=4),
    "local search": Config(optimizer=wrapped(local_search), enough=5),
    "evolution": Config(optimizer=wrapped(regularized_evolution, population=6), budgets=[2, 9], enough=6),
}


class TestAsha(OptimizerSuite):
    repeats = True

    @pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
    def make(self, request, with_epochs):
        return lambda problem: Asha(request.param, with_epochs(problem))


def began(given, count, first=0):
    """Finished trials of the smallest rung, by numbers, and the optimizer that was told them."""
    optimizer = Asha(Config(), given)
    proposals = optimizer.ask(range(first, first + count), [])
    trials = [finished(given, first + index, proposal) for index, proposal in enumerate(proposals)]
    return optimizer, trials


def test_a_third_of_each_rung_goes_on_from_its_trial_the_best_first(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 7)
    assert {trial.budget for trial in trials} == {Budget(1)}
    optimizer.tell(trials)
    best = sorted(trials, key=given.rank_key)
    found = optimizer.ask(range(7, 10), [])
    assert [proposal.continues for proposal in found] == [best[0].number, best[1].number, None]
    assert [proposal.budget for proposal in found] == [Budget(3), Budget(3), Budget(1)]
    assert [proposal.priority for proposal in found] == [1.0, 1.0, 0.0]
    assert [proposal.origin for proposal in found] == [
        f"random | promotion of {best[0].number}",
        f"random | promotion of {best[1].number}",
        "random",
    ]
    assert [proposal.genotype for proposal in found[:2]] == [trial.genotype for trial in best[:2]]


def test_the_highest_rung_goes_first(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 9)
    optimizer.tell(trials)
    second = [finished(given, 9 + index, proposal) for index, proposal in enumerate(optimizer.ask(range(9, 12), []))]
    optimizer.tell(second)
    proposal = optimizer.ask([12], [])[0]
    assert proposal.budget == Budget(9)
    assert proposal.continues == min(second, key=given.rank_key).number


def test_what_is_pending_is_not_promoted_again(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 6)
    optimizer.tell(trials)
    first = optimizer.ask([6], [])[0]
    second = optimizer.ask([7], [pending(given, 6, first)])[0]
    assert {first.continues, second.continues} == {trial.number for trial in sorted(trials, key=given.rank_key)[:2]}
    assert optimizer.ask([8], [pending(given, 6, first), pending(given, 7, second)])[0].continues is None


@pytest.mark.parametrize("end", [failed, stopped])
def test_failed_and_stopped_trials_count_as_the_worst_and_are_not_promoted(end, with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 6)
    best = min(trials, key=given.rank_key)
    bad = [end(given, trial.number, trial) for trial in trials if trial is not best]
    optimizer.tell(bad)
    assert optimizer.ask([6], [])[0].continues is None
    optimizer.tell([best])
    found = optimizer.ask([6, 7], [])
    assert [proposal.continues for proposal in found] == [best.number, None]


def test_a_promoted_trial_that_fails_leaves_its_place_to_others(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 3)
    optimizer.tell(trials)
    promoted = optimizer.ask([3], [])[0]
    optimizer.tell([failed(given, 3, promoted, Cause.OUT_OF_MEMORY)])
    assert optimizer.ask([4], [])[0].continues is None


def test_the_best_is_found_with_a_seventh_of_the_epochs(with_epochs):
    given = with_epochs(problem("small"), 27)
    search = Search(Asha(Config(), given), given, 4).run(1000)
    assert search.ended
    trials = list(search.past())
    assert len({trial.genotype for trial in trials}) == 48
    best = min((trial for trial in trials if trial.budget.epochs == 27), key=given.rank_key)
    assert given.rank_key(best) == min(map(given.rank_key, trials))
    epochs = {trial.number: trial.budget.epochs for trial in trials}
    spent = sum(trial.budget.epochs - epochs.get(trial.continues, 0) for trial in trials)
    assert spent < 48 * 27 / 7


def test_equal_networks_are_promoted_once_and_go_on_from_the_checkpoint_that_there_is(with_epochs):
    given = with_epochs(problem("cell"))
    optimizer, trials = began(given, 4)
    best = min(trials, key=given.rank_key)
    other = next(trial for trial in trials if trial is not best)
    twin = attrs.evolve(other, fingerprint=best.fingerprint, metrics=best.metrics, duplicate_of=best.number)
    optimizer.tell([twin, *(trial for trial in trials if trial not in (other, best))])
    found = optimizer.ask([4, 5], [])
    assert [proposal.continues for proposal in found] == [best.number, None]
    optimizer.tell([best])
    assert [proposal.continues for proposal in optimizer.ask([4, 5], [])] == [best.number, None]


def test_trials_of_others_fill_the_rungs_whose_budget_they_had(with_epochs):
    given = with_epochs(problem("flat"))
    optimizer, trials = began(given, 6)
    ranked = sorted(trials, key=given.rank_key)
    full = attrs.evolve(ranked[0], number=100, budget=Budget(), origin="elsewhere")
    half = attrs.evolve(ranked[2], number=101, budget=Budget(3, fraction=0.5), origin="elsewhere")
    other = attrs.evolve(ranked[3], number=102, budget=Budget(5), origin="elsewhere")
    optimizer.tell([*trials, full, half, other])
    found = optimizer.ask([6, 7], [])
    assert [proposal.continues for proposal in found] == [ranked[1].number, None]


def test_a_search_that_ends_early_takes_its_best_to_the_largest_budget(with_epochs):
    given = with_epochs(problem("single"), 27)
    search = Search(Asha(Config(), given), given, 3).run(100)
    trials = list(search.past())
    assert search.ended
    assert sorted(trial.budget.epochs for trial in trials) == [1, 1, 1, 1, 3, 9, 27]
    assert trials[-1].budget.epochs == 27
    several = problem("single", BOTH)
    assert len(list(Search(Asha(Config(), with_epochs(several, 27)), several, 3).run(100).past())) >= 7


def with_metrics(trial, accuracy, cost):
    return attrs.evolve(trial, metrics={"accuracy": accuracy, "cost": cost})


def test_several_objectives_promote_the_front_and_then_what_is_far_apart(with_epochs):
    given = with_epochs(problem("flat", BOTH))
    optimizer, trials = began(given, 12)
    front = [(0.90, 9.0), (0.899, 8.9), (0.898, 8.8), (0.5, 5.0), (0.1, 1.0)]
    points = front + [(0.05, 9.0 + place) for place in range(7)]
    optimizer.tell([with_metrics(trial, *point) for trial, point in zip(trials, points, strict=True)])
    found = optimizer.ask(range(12, 17), [])
    assert {proposal.continues for proposal in found[:4]} == {0, 4, 3, 2}
    assert found[4].continues is None


def test_infeasible_trials_are_promoted_last(with_epochs):
    given = with_epochs(problem("flat", BOTH))
    given.constraints = (Constraint("cost", "<=", 2.0),)
    optimizer, trials = began(given, 3)
    points = [(0.9, 3.0), (0.2, 1.9), (0.95, 2.5)]
    optimizer.tell([with_metrics(trial, *point) for trial, point in zip(trials, points, strict=True)])
    assert optimizer.ask([3], [])[0].continues == 1
    single = with_epochs(problem("flat", ACCURACY))
    single.constraints = given.constraints
    optimizer = Asha(Config(), single)
    optimizer.tell([with_metrics(trial, *point) for trial, point in zip(trials, points, strict=True)])
    assert optimizer.ask([3], [])[0].continues == 1


def test_a_search_with_two_objectives_reaches_the_largest_budget_with_a_part_of_the_trials(with_epochs):
    given = with_epochs(problem("flat", BOTH))
    search = Search(Asha(Config(), given), given, 4).run(400)
    counts = Counter(proposal.budget.epochs for proposal in search.proposals.values())
    assert counts[1] > 240
    assert 60 < counts[3] < 120
    assert 15 < counts[9] < 60


def test_what_cannot_be_wrapped(with_epochs):
    part = wrapped(hyperband)
    with pytest.raises(ConfigurationError) as error:
        Asha(Config(optimizer=part), with_epochs(problem("flat")))
    assert str(error.value) == (
        "optimizer.optimizer: 'asha' cannot wrap 'hyperband', which gives trials budgets of its own; "
        "name an optimizer that only proposes, such as 'random'"
    )


def test_no_epochs():
    with pytest.raises(ConfigurationError) as error:
        Asha(Config(), problem("flat"))
    assert str(error.value) == (
        "optimizer.maximum: optimizer 'asha': 'maximum' is not set, and the evaluator knows no epochs, of which trials could get more or fewer; "
        "set the evaluator's option 'epochs', or 'maximum'"
    )


def test_a_random_search_is_what_it_wraps_by_default(with_epochs):
    given = with_epochs(problem("flat"))
    named = Part(ComponentRef("optimizer", "random"), random_component, RandomConfig())
    found = [Search(Asha(config, given), given, 3).run(60).proposals for config in (Config(), Config(optimizer=named))]
    assert found[0] == found[1]


@pytest.mark.parametrize("objectives", [ACCURACY, BOTH], ids=["one objective", "two objectives"])
def test_asking_and_telling_cost_as_much_after_many_trials(objectives, with_epochs):
    given = with_epochs(problem("flat", objectives))
    optimizer, times = Asha(Config(), given), []
    for number in range(3000):
        since = perf_counter()
        found = optimizer.ask([number], [])
        asked = perf_counter() - since
        trial = finished(given, number, found[0] if found else Proposal(given.decisions.sample(given.rng(number))))
        since = perf_counter()
        optimizer.tell([trial])
        times.append(asked + perf_counter() - since)
    assert sum(times[-1000:]) < 3 * sum(times[500:1500])
    assert asha.component.kind == "optimizer"
