from hypothesis import given
from hypothesis import strategies as st

from morphml_core.problem import Objective, Problem
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Real
from morphml_core.space.space import SearchSpace

SPACE = SearchSpace(DecisionSpace([Decision("rate", Real(0, 1))]))


@given(st.integers(-(2**70), 2**70), st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=5))
def test_a_lent_generator_draws_what_a_generator_of_its_own_draws(seed, numbers):
    problem = Problem(SPACE, [Objective("value")], seed=seed)
    for number in numbers:
        own, lent = problem.rng(number), problem.lent_rng(number)
        assert own.random(3).tolist() == lent.random(3).tolist()
        # An odd number of half words is kept for the next draw, and must not reach the next loan.
        assert own.integers(9, size=3, dtype="uint32").tolist() == lent.integers(9, size=3, dtype="uint32").tolist()


def test_a_genotype_is_judged_once():
    asked = []

    def known(candidate):
        asked.append(candidate)
        return {}

    problem = Problem(SPACE, [Objective("value")], known=known)
    genotype = problem.sample(problem.rng(0))
    assert [problem.refusal(genotype) for _ in range(3)] == [None] * 3
    assert len(asked) == 1
