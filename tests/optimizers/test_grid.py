"""Grid search: the suite, the order, what is passed over, and that a huge space costs nothing."""

from __future__ import annotations

import re
import time

import attrs
import pytest

from morphml_core.artifacts.local import Config as ArtifactsConfig
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.evaluator.function import FunctionEvaluator
from morphml_core.executor.inline import Config as InlineConfig
from morphml_core.executor.inline import InlineExecutor
from morphml_core.experiment.loop import Loop
from morphml_core.experiment.settings import Settings
from morphml_core.problem import Constraint, Objective, Predicate, Problem, Trial
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real
from morphml_core.space.space import SearchSpace
from morphml_core.storage.memory import Memory
from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import BOTH, Search, failed, finished, pending, problem, sampled
from morphml_core.work import Work
from morphml_optimizers.grid import Config, Grid


class TestGrid(OptimizerSuite):
    @pytest.fixture(
        params=[Config(), Config(order="shuffled"), Config(3)], ids=["sequential", "shuffled", "resolution"]
    )
    def make(self, request):
        return lambda problem: Grid(request.param, problem)


def made(decisions, constraints=(), **options):
    space = SearchSpace(DecisionSpace(decisions))
    given = Problem(space, [Objective("accuracy")], constraints, seed=3)
    return given, Grid(Config(**options), given)


def digits(many=3):
    return [Decision(f"d{index}", Choice(range(10))) for index in range(many)]


def told(given, proposals, first=0):
    return [finished(given, number, proposal) for number, proposal in enumerate(proposals, first)]


def slots(proposals):
    return ["".join(str(slot) for slot in proposal.genotype) for proposal in proposals]


def test_in_order_and_on_where_it_was():
    given, grid = made(digits())
    first = grid.ask(range(4), [])
    assert slots(first) == ["000", "001", "002", "003"]
    assert [proposal.origin for proposal in first] == ["point 1", "point 2", "point 3", "point 4"]
    _, again = made(digits())
    again.tell(told(given, first))
    assert slots(again.ask([4, 5], [])) == ["004", "005"]


def test_pending_points_are_passed_over_and_left_to_others():
    given, grid = made(digits())
    first = grid.ask(range(5), [])
    grid.tell(told(given, first)[2:4])
    busy = [pending(given, number, first[number]) for number in (0, 4)]
    assert slots(grid.ask([5, 6], busy)) == ["001", "005"]
    assert slots(grid.ask([5, 6], [])) == ["000", "001"]


def test_failed_trials_were_tried():
    given, grid = made(digits())
    first = grid.ask([0], [])
    grid.tell([failed(given, 0, first[0])])
    assert slots(grid.ask([1], [])) == ["001"]


def test_the_seed_decides_the_shuffled_order():
    found = []
    for seed in (1, 2):
        given = problem("flat", seed=seed)
        grid = Grid(Config(order="shuffled"), given)
        found.append([proposal.genotype for proposal in grid.ask(range(50), [])])
        assert found[-1] == [p.genotype for p in Grid(Config(order="shuffled"), given).ask(range(50), [])]
        assert len({genotype.slots[0] for genotype in found[-1]}) == 5
    assert found[0] != found[1]


def test_refused_points_are_passed_over():
    odd = Predicate("odd", lambda candidate: candidate.values["d2"] % 2 == 1)
    _, grid = made(digits(), [odd])
    assert slots(grid.ask(range(4), [])) == ["001", "003", "005", "007"]


def test_a_small_space_is_searched_to_its_last_allowed_point():
    last = Predicate("last", lambda candidate: set(candidate.values.values()) == {9})
    given, grid = made(digits(4), [last])
    only = grid.ask([0, 1], [])
    assert slots(only) == ["9999"]
    grid.tell(told(given, only))
    assert grid.ask([1], []) == []


def test_where_very_many_points_are_refused_it_proposes_one_and_looks_on():
    late = Predicate("late", lambda candidate: candidate.values["d0"] > 0)
    given, grid = made(digits(9), [late])
    first = grid.ask([0, 1], [])
    assert slots(first) == ["000020000", "000021000"]
    _, again = made(digits(9), [late])
    for one in (grid, again):
        one.tell([failed(given, number, proposal) for number, proposal in enumerate(first)])
    grid.ask([2], [Trial(9, first[0].genotype)])  # looks further, which must not matter
    assert slots(grid.ask([2], [])) == slots(again.ask([2], [])) == ["000022000"]


def test_every_objective_and_constraint_will_do():
    given = problem("small", BOTH, [Constraint("cost", "<=", 3.0)])
    search = Search(Grid(Config(), given), given, 2).run(60)
    assert search.ended
    assert all(given.refusal(proposal.genotype) is None for proposal in search.proposals.values())


def test_an_exhausted_space_ends_the_search_in_words(tmp_path):
    space = SearchSpace(DecisionSpace([Decision("rate", Real(0.0, 1.0)), Decision("depth", Integer(1, 2))]))
    evaluator = FunctionEvaluator(lambda candidate: candidate.hyperparameters["rate"])
    given = Problem(space, [Objective("value")], known=evaluator.known)
    work = Work(space, evaluator, LocalArtifacts(ArtifactsConfig(str(tmp_path)), "x"))
    executor = InlineExecutor(InlineConfig(), work)
    loop = Loop(given, Grid(Config(5), given), executor, Memory().open("x"), Settings("x"))
    assert loop.run() == "the optimizer has no more to propose"
    found = [tuple(trial.genotype) for trial in loop.state.trials.values()]
    assert found == [(rate, depth) for rate in (0.0, 0.25, 0.5, 0.75, 1.0) for depth in (1, 2)]


@pytest.mark.parametrize("order", ["sequential", "shuffled"])
def test_a_huge_space_starts_at_once_and_asking_stays_quick(order):
    begin = time.perf_counter()
    given, grid = made(digits(30), order=order)
    assert len(grid.ask(range(10), [])) == 10
    assert time.perf_counter() - begin < 0.1
    proposal = grid.ask([0], [])[0]
    stuck = [pending(given, 0, proposal)]  # the first never ends
    times = []
    for number in range(1, 3000):
        begin = time.perf_counter()
        proposal = grid.ask([number], stuck)[0]
        times.append(time.perf_counter() - begin)
        grid.tell([Trial(number, proposal.genotype)])
    early, late = (sorted(part)[len(part) // 4] for part in (times[100:600], times[-500:]))
    assert late < 1.5 * early


def test_foreign_trials_between_are_passed_over_once():
    given = problem("flat")
    grid = Grid(Config(), given)
    others = sampled(given, 2000)
    grid.tell(others)
    known = {trial.genotype for trial in others}
    search = Search(grid, given, 3).run(3000)
    found = {proposal.genotype for proposal in search.proposals.values()}
    assert len(found) == 3000
    assert not found & known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "'resolution' must be >= 1: 0"),
        ({"resolution": 20_000}, "'resolution' must be <= 10000: 20000"),
    ],
)
def test_resolutions_out_of_range(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(**options)


def test_an_unknown_order():
    with pytest.raises(ValueError, match=re.escape("'order' must be in ('sequential', 'shuffled') (got 'random')")):
        Config(order="random")


def test_told_trials_off_the_grid_do_no_harm():
    given, grid = made([Decision("rate", Real(0.0, 1.0))], resolution=3)
    first = grid.ask([0], [])[0]
    trial = finished(given, 0, first)
    grid.tell([attrs.evolve(trial, genotype=given.decisions.genotype({"rate": 0.3}))])
    assert [proposal.genotype.slots for proposal in grid.ask(range(1, 9), [])] == [(0.0,), (0.5,), (1.0,)]
