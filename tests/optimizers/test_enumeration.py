"""The numbered genotypes of a space: each once, in order, at any number; and a random order of them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.testing.problems import FINITE, SPACES
from morphml_optimizers.enumeration import Enumeration, Permutation, points


@st.composite
def spaces(draw):
    """Few decisions of finite domains, some of them below earlier ones."""
    decisions = []
    for index in range(draw(st.integers(0, 5))):
        domain = draw(
            st.sampled_from(
                [
                    Choice(("a", "b", "c")),
                    Choice((False, True)),
                    Choice((7,)),
                    Integer(2, 4),
                    Subset(("p", "q", "r")),
                    Subset(("p", "q", "r", "s"), minimum=1, maximum=2),
                    Subset(("p", "q"), minimum=2),
                ]
            )
        )
        parent, when = None, ()
        if decisions and draw(st.booleans()):
            above = draw(st.sampled_from(decisions))
            values = getattr(above.domain, "values", None) or range(above.domain.low, above.domain.high + 1)
            parent = above.path
            when = draw(st.lists(st.sampled_from(list(values)), min_size=1, unique=True))
        decisions.append(Decision(f"d{index}", domain, parent, when))
    return DecisionSpace(decisions)


def everything(decisions):
    """Every genotype, found without numbers: by trying all values of all decisions in turn."""
    found = [[]]
    for index, decision in enumerate(decisions.decisions):
        grown = []
        for slots in found:
            held = slots[decisions.index(decision.parent)] if decision.parent else None
            active = decision.parent is None or any(
                held is not None and value in (held if isinstance(held, tuple) else (held,)) for value in decision.when
            )
            grown += [[*slots, value] for value in (values(decisions.decisions[index].domain) if active else [None])]
        found = grown
    return [tuple(slots) for slots in found]


def values(domain):
    if isinstance(domain, Subset):
        return [
            held
            for mask in range(2 ** len(domain.values))
            if domain.contains(held := tuple(v for place, v in enumerate(domain.values) if mask >> place & 1))
        ]
    return points(domain, 5)


@settings(max_examples=200, deadline=None)
@given(spaces())
def test_each_genotype_has_one_number(decisions):
    expected = everything(decisions)
    numbered = Enumeration(decisions, 5)
    assert numbered.size == len(expected) == decisions.size
    found = [numbered.genotype(number) for number in range(min(numbered.size, 3000))]
    for genotype in found:
        decisions.validate(genotype)
    assert len(set(found)) == len(found)
    if numbered.size <= 3000:
        assert {genotype.slots for genotype in found} == set(expected)


@pytest.mark.parametrize("name", FINITE)
def test_the_known_spaces(name):
    decisions = SPACES[name]().decisions
    numbered = Enumeration(decisions, 3)
    assert len({numbered.genotype(number) for number in range(numbered.size)}) == numbered.size == decisions.size


def test_the_last_decision_changes_first_within_its_branch():
    decisions = DecisionSpace(
        [
            Decision("kind", Choice(("plain", "deep"))),
            Decision("layers", Integer(1, 2), "kind", ("deep",)),
            Decision("width", Choice((4, 8)), "kind", ("plain",)),
            Decision("rate", Choice((0.1, 0.2))),
        ]
    )
    numbered = Enumeration(decisions, 10)
    assert [numbered.genotype(number).slots for number in range(numbered.size)] == [
        ("plain", None, 4, 0.1),
        ("plain", None, 4, 0.2),
        ("plain", None, 8, 0.1),
        ("plain", None, 8, 0.2),
        ("deep", 1, None, 0.1),
        ("deep", 1, None, 0.2),
        ("deep", 2, None, 0.1),
        ("deep", 2, None, 0.2),
    ]


def test_points_are_on_the_scale_of_the_domain():
    assert points(Real(0.0, 1.0), 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert points(Real(1e-4, 1.0, log=True), 5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert points(Real(1e-4, 0.3, log=True), 4)[::3] == [1e-4, 0.3]
    assert points(Real(0.0, 1.0), 2) == [0.0, 1.0]
    assert points(Real(0.0, 1.0), 1) == [0.5]
    assert points(Real(0.5, 0.5), 10) == [0.5]
    assert points(Integer(1, 100), 3) == list(range(1, 101))
    assert points(Integer(0, 1000), 5) == [0, 250, 500, 750, 1000]
    assert points(Integer(1, 1024, log=True), 6) == [1, 2, 11, 49, 223, 1024]
    assert points(Integer(0, 2**39), 3) == [0, 2**38, 2**39]


def test_a_huge_space_is_numbered_exactly_and_quickly():
    decisions = DecisionSpace(Decision(f"d{index}", Choice(range(10))) for index in range(30))
    begin = time.perf_counter()
    numbered = Enumeration(decisions, 10)
    assert numbered.size == 10**30
    assert "".join(str(slot) for slot in numbered.genotype(31415926535897932384626433832)) == (
        "031415926535897932384626433832"
    )
    assert time.perf_counter() - begin < 0.1


def test_large_subsets_are_not_listed():
    features = tuple(f"f{index}" for index in range(400))
    decisions = DecisionSpace(
        [
            Decision("any", Subset(features)),
            Decision("some", Subset(features, minimum=3, maximum=390)),
            Decision("pair", Subset(features[:60], minimum=2, maximum=2)),
            *(Decision(f"of {name}", Choice((1, 2)), "pair", (name,)) for name in features[:60]),
            Decision("early", Choice((1, 2)), "pair", features[:30]),
        ]
    )
    numbered = Enumeration(decisions, 10)
    inner = 30 * 29 // 2 * 4 + (60 * 59 // 2 - 30 * 29 // 2) * 4 * 2
    assert numbered.size % (2**400 * inner) == 0
    for number in (0, 1, 12345678901234567890, numbered.size // 3, numbered.size - 1):
        decisions.validate(numbered.genotype(number))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 600), st.binary(min_size=1, max_size=16))
def test_a_permutation_has_each_number_once(size, key):
    order = Permutation(size, key)
    found = [order[place] for place in range(size)]
    assert sorted(found) == list(range(size))


def test_permutations_differ_by_key_and_spread_evenly():
    one, other = Permutation(10**30, b"a"), Permutation(10**30, b"b")
    first = [one[place] for place in range(2000)]
    assert first == [one[place] for place in range(2000)]
    assert not set(first) & {other[place] for place in range(2000)}
    tenths = [0] * 10
    for number in first:
        tenths[number * 10 // 10**30] += 1
    assert min(tenths) > 150
    assert max(tenths) < 250
    assert len({Permutation(6, bytes([seed]))[0] for seed in range(60)}) == 6


def test_a_permutation_of_more_numbers_than_a_hash_has():
    size = 7**3000
    order = Permutation(size, b"a")
    found = {order[place] for place in range(20)}
    assert len(found) == 20
    assert max(found) < size
    assert max(found) > size // 10
