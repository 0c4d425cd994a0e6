"""Hill climbing: the suite, from where it steps, and when it starts again."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.testing import OptimizerSuite
from morphml_core.testing.problems import problem, sampled
from morphml_optimizers.hill_climbing import Config, HillClimbing


class TestHillClimbing(OptimizerSuite):
    @pytest.fixture(params=[Config(), Config(2, 3, 0)], ids=["default", "impatient"])
    def make(self, request):
        return lambda problem: HillClimbing(request.param, problem)


def climbing(given, **options):
    return HillClimbing(Config(**options), given)


def starts(given, count):
    return [attrs.evolve(trial, origin="start") for trial in sampled(given, count)]


def origins(optimizer):
    return {proposal.origin for proposal in optimizer.ask(range(500, 510), [])}


def test_steps_from_the_best_told():
    given = problem("flat")
    optimizer = climbing(given)
    trials = starts(given, 12)
    assert origins(optimizer) == {"start"}
    optimizer.tell(trials)
    best = min(trials, key=given.rank_key)
    assert origins(optimizer) == {f"step from {best.number}"}
    for proposal in optimizer.ask(range(600, 620), []):
        assert sum(one != other for one, other in zip(proposal.genotype, best.genotype, strict=True)) == 1


@pytest.mark.parametrize(("kick", "start"), [(0, "start"), (3, "start from {}")])
def test_a_new_start_when_patience_is_over(kick, start):
    given = problem("flat")
    optimizer = climbing(given, patience=3, kick=kick)
    best, *others = sorted(starts(given, 5), key=given.rank_key)
    start = start.format(best.number)
    optimizer.tell([best, *others[:2]])
    assert origins(optimizer) == {f"step from {best.number}"}
    optimizer.tell([others[2]])
    assert origins(optimizer) == {start}
    optimizer.tell([attrs.evolve(others[3], origin="step from 0")])
    assert origins(optimizer) == {start}
    optimizer.tell([attrs.evolve(others[3], origin=start)])
    assert origins(optimizer) == {f"step from {others[3].number}"}


def test_a_kick_changes_so_many_decisions_of_the_best_of_all():
    given = problem("flat")
    optimizer = climbing(given, patience=1, kick=3)
    best, worse = sorted(starts(given, 2), key=given.rank_key)
    optimizer.tell([best, worse])
    for proposal in optimizer.ask(range(600, 620), []):
        assert sum(one != other for one, other in zip(proposal.genotype, best.genotype, strict=True)) == 3


def test_a_kick_below_zero():
    with pytest.raises(ValueError, match="'kick' must be >= 0: -1"):
        Config(kick=-1)
