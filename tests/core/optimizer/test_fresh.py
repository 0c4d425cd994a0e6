"""`Fresh`: what it finds where drawing at random does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.optimizer.fresh import Fresh
from morphml_core.problem import Constraint, Problem, Proposal
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Subset
from morphml_core.space.space import SearchSpace
from morphml_core.testing.problems import ACCURACY, FINITE, SPACES, finished, measure, problem, sampled


def every(decisions):
    """All genotypes of a small space."""
    rng = np.random.default_rng(0)
    return {decisions.sample(rng) for _ in range(3000)}


@pytest.mark.parametrize("space", FINITE)
def test_one_genotype_is_left(space):
    given = problem(space)
    genotypes = sorted(every(given.decisions), key=repr)
    assert len(genotypes) == given.decisions.size
    for left in genotypes:
        fresh = Fresh(given)
        fresh.tell(finished(given, number, Proposal(each)) for number, each in enumerate(genotypes) if each != left)
        rng = given.rng(0)
        assert fresh.draw(lambda: genotypes[0], set(), rng) == left
        assert fresh.draw(lambda: genotypes[0], {left}, rng) is None


def test_the_only_allowed_genotype_is_found():
    given = problem("small")
    costs = {genotype: measure(given.decisions, genotype)["cost"] for genotype in every(given.decisions)}
    cheapest = min(costs, key=costs.get)
    bound = Constraint("cost", "<=", costs[cheapest])
    refusing = problem("small", constraints=[bound])
    dearest = max(costs, key=costs.get)
    fresh = Fresh(refusing, samples=0)
    assert fresh.draw(lambda: dearest, set(), refusing.rng(0)) == cheapest
    assert fresh.draw(lambda: dearest, {cheapest}, refusing.rng(0)) is None


def test_a_refused_genotype_is_given_where_the_search_for_others_is_long():
    given = problem("flat", constraints=[Constraint("cost", "<=", -1.0)])
    found = Fresh(given, near=100).draw(lambda: given.decisions.sample(given.rng(3)), set(), given.rng(0))
    assert found is not None
    assert given.refusal(found) is not None


def test_a_refusal_is_asked_for_once():
    asked = []

    def known(candidate):
        asked.append(candidate.fingerprint)
        return {"cost": 1.0}

    given = Problem(SPACES["small"](), ACCURACY, [Constraint.parse("cost <= 0")], known=known)
    fresh = Fresh(given)
    for number in range(20):
        assert fresh.propose([number], [], given.decisions.sample) == []
    assert len(asked) == given.decisions.size


domains = st.one_of(
    st.integers(1, 3).map(lambda size: Choice(tuple("abc"[:size]))),
    st.integers(0, 2).map(lambda high: Integer(0, high)),
    st.integers(0, 2).map(lambda minimum: Subset(("p", "q"), minimum)),
)


@given(st.lists(domains, min_size=1, max_size=4), st.integers(0, 2**32))
def test_every_space_is_exhausted_without_repetition(domains, seed):
    space = SearchSpace(DecisionSpace(Decision(f"d{index}", domain) for index, domain in enumerate(domains)))
    given = Problem(space, ACCURACY, seed=seed)
    size = math.prod(domain.size for domain in domains)
    found = Fresh(given, draws=2).propose(range(size + 5), [], given.decisions.sample)
    assert len({proposal.genotype for proposal in found}) == len(found) == size


def test_what_is_told_and_refused_is_not_open():
    given = problem("flat", constraints=[Constraint("cost", "<=", 3.0)])
    fresh = Fresh(given)
    trials = sampled(given, 60)
    for trial in trials:
        assert fresh.is_open(trial.genotype) is (trial.metrics["cost"] <= 3.0)
    fresh.tell(trials)
    assert not any(fresh.is_open(trial.genotype) for trial in trials)
