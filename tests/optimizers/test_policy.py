"""The policy: categories of every domain, draws as likely as they should be, and the gradient."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.testing.problems import SPACES
from morphml_optimizers.policy import Policy

DOMAINS = [
    Choice(("a", "b", "c")),
    Choice((True, False)),
    Integer(1, 5),
    Integer(3, 40),
    Integer(0, 2**39),
    Integer(1, 1000, log=True),
    Integer(1, 9, log=True),
    Real(-2.0, 3.0),
    Real(1e-5, 1.0, log=True),
    Real(0.5, 0.5),
    Subset(("p", "q", "r")),
    Subset(("p", "q", "r", "s"), minimum=1, maximum=2),
]


def of(*domains, bins=6):
    return Policy(DecisionSpace(Decision(f"d{index}", domain) for index, domain in enumerate(domains)), bins)


def learned(policy, seed=0, width=2.0):
    """The policy with logits that are not zero."""
    policy.change(np.random.default_rng(seed).normal(0.0, width, len(policy.probabilities)))
    return policy


def objective(policy, lessons, entropy):
    """What `gradient` is the gradient of, with the entropy written out."""
    total = 0.0
    for categories, advantage in lessons:
        total += advantage * sum(math.log(policy.probabilities[each]) for each in categories)
        for number in {int(policy._owner[each]) for each in categories}:
            shares = policy.probabilities[policy._owner == number]
            total -= entropy * sum(share * math.log(share) for share in shares)
    return total / len(lessons)


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_draws_are_of_the_space_and_have_one_category_a_number(name, share):
    decisions = SPACES[name]().decisions
    policy = learned(Policy(decisions, 6))
    rng = np.random.default_rng(1)
    for _ in range(100):
        genotype = policy.draw(rng, share)
        decisions.validate(genotype)
        active = sum(decisions.decisions[index].domain.width for index in decisions.active(genotype))
        found = policy.categories(genotype)
        assert len(found) == len({int(policy._owner[each]) for each in found}) == active


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_draws_come_as_often_as_they_are_likely(domain):
    policy = learned(of(Choice((1, 2)), domain, Choice((1, 2))), width=1.0)
    if isinstance(domain, Subset) and domain.minimum:
        pytest.skip("its values depend on each other")
    rng = np.random.default_rng(2)
    found = Counter(each for _ in range(4000) for each in policy.categories(policy.draw(rng)))
    for category, probability in enumerate(policy.probabilities.tolist()):
        spread = math.sqrt(max(probability * (1 - probability), 1e-9) / 4000)
        assert abs(found[category] / 4000 - probability) < 5 * spread + 1e-4


def test_even_draws_are_even():
    policy = learned(of(Choice((1, 2, 3, 4))))
    rng = np.random.default_rng(2)
    found = Counter(policy.draw(rng, 1.0).slots[0] for _ in range(2000))
    assert min(found.values()) > 400
    half = Counter(policy.categories(policy.draw(rng, 0.5))[0] for _ in range(4000))
    for category, probability in enumerate(policy.probabilities.tolist()):
        assert half[category] / 4000 == pytest.approx(0.5 * probability + 0.125, abs=0.04)


def test_values_of_a_category_are_neighbours_and_none_is_empty():
    for domain in (Integer(1, 40), Integer(1, 1000, log=True), Integer(1, 7, log=True)):
        policy = of(domain)
        decisions = policy._decisions
        found = [policy.categories(decisions.genotype({"d0": value}))[0] for value in range(1, domain.high + 1)]
        assert found == sorted(found)
        assert set(found) == set(range(len(policy.probabilities)))
        assert len(policy.probabilities) <= 6 or domain.size == len(policy.probabilities)


def test_reals_are_drawn_evenly_within_their_bins_on_their_own_scale():
    policy = of(Real(1e-6, 1.0, log=True), bins=3)
    rng = np.random.default_rng(0)
    drawn = np.log10([policy.draw(rng).slots[0] for _ in range(6000)])
    counts, _ = np.histogram(drawn, np.arange(-6.0, 0.1, 0.5))
    assert counts.min() > 400
    assert counts.max() < 600


def test_bounds_of_a_subset_hold_and_are_reached():
    for minimum, maximum in ((1, 2), (0, 1), (2, 4), (2, 2)):
        policy = learned(of(Subset(("p", "q", "r", "s"), minimum, maximum)), width=1.5)
        rng = np.random.default_rng(3)
        sizes = {len(policy.draw(rng).slots[0]) for _ in range(500)}
        assert sizes == set(range(minimum, maximum + 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SPACES)), st.floats(0.0, 2.0))
def test_the_gradient_is_that_of_what_it_says(seed, name, entropy):
    policy = learned(Policy(SPACES[name]().decisions, 4), seed, 0.5)
    rng = np.random.default_rng(seed)
    lessons = [(policy.categories(policy.draw(rng)), float(rng.normal())) for _ in range(3)]
    gradient = policy.gradient(lessons, entropy)
    for category in range(len(gradient)):
        step = np.zeros(len(gradient))
        step[category] = 1e-5
        values = []
        for sign in (1.0, -2.0, 1.0):
            policy.change(sign * step)
            values.append(objective(policy, lessons, entropy))
        assert gradient[category] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-5)


def test_decisions_that_were_inactive_have_no_gradient():
    decisions = SPACES["conditional"]().decisions
    policy = learned(Policy(decisions, 4))
    plain = policy.categories(decisions.genotype({"kind": "plain", "width": 8}))
    gradient = policy.gradient([(plain, 1.0)], 0.5)
    touched = {int(policy._owner[each]) for each in np.flatnonzero(gradient)}
    assert touched == {decisions.index("kind"), decisions.index("width")}


def test_how_much_likelier_than_even():
    policy = of(Choice((1, 2)), Choice((1, 2, 3, 4)))
    assert policy.ratio([0, 3]) == pytest.approx(1.0)
    policy.change(np.array([math.log(3.0), 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert policy.ratio([1, 3]) == pytest.approx(0.5)
    assert policy.ratio([0, 3]) == 1.0
    assert policy.ratio([]) == 1.0


def test_steps_of_any_size_leave_probabilities():
    policy = of(*DOMAINS)
    rng = np.random.default_rng(0)
    for size in (1e-9, 1.0, 1e9, 1e300):
        policy.change(rng.normal(0.0, size, len(policy.probabilities)))
        assert np.all(policy.probabilities >= math.exp(-5.0) / 6)
        sums = np.add.reduceat(policy.probabilities, policy._first)
        assert sums == pytest.approx(np.ones(len(sums)))
        policy.draw(rng)


def test_a_space_without_decisions():
    policy = of()
    genotype = policy.draw(np.random.default_rng(0))
    assert genotype.slots == ()
    assert policy.categories(genotype) == []
    assert len(policy.gradient([([], 1.0)], 0.1)) == 0
