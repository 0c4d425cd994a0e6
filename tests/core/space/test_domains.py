import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.errors import SpaceError
from morphml_core.space.domains import Choice, Integer, Real, Subset

plain = st.one_of(st.integers(-9, 9), st.text("abc", max_size=3), st.floats(allow_nan=False, width=16))
distinct = st.lists(plain, min_size=1, max_size=6, unique=True)
choices = distinct.map(Choice)
integers = st.builds(
    lambda low, width, log: Integer(max(low, 1) if log else low, (max(low, 1) if log else low) + width, log),
    st.integers(-1000, 10**6),
    st.one_of(st.integers(0, 50), st.integers(0, 2**39)),
    st.booleans(),
)
reals = st.builds(
    lambda low, width, log: Real(abs(low) + 1e-6 if log else low, (abs(low) + 1e-6 if log else low) + width, log),
    st.floats(-1e6, 1e6),
    st.one_of(st.just(0.0), st.floats(1e-3, 1e9)),
    st.booleans(),
)


@st.composite
def subsets(draw):
    values = draw(distinct)
    low = draw(st.integers(0, len(values)))
    return Subset(values, low, draw(st.one_of(st.none(), st.integers(low, len(values)))))


domains = st.one_of(choices, subsets(), integers, reals)


def units(domain):
    return st.lists(st.floats(0, 1), min_size=domain.width, max_size=domain.width)


@given(st.data())
def test_decoding_is_total_and_encoding_undoes_it(data):
    domain = data.draw(domains)
    value = domain.decode(data.draw(units(domain)))
    assert domain.contains(value)
    encoded = domain.encode(value)
    assert len(encoded) == domain.width
    assert all(0 <= unit <= 1 for unit in encoded)
    if isinstance(domain, Real):
        assert domain.decode(encoded) == pytest.approx(value, rel=1e-9, abs=1e-6 * max(1e-9, domain.high - domain.low))
    else:
        assert domain.decode(encoded) == value


@given(st.data())
def test_a_decoder_reads_at_its_place(data):
    domain = data.draw(domains)
    numbers = data.draw(units(domain))
    assert domain.decoder(3)([0.1, 0.2, 0.3, *numbers, 0.4]) == domain.decode(numbers)


@given(st.data())
def test_neighbours_are_other_values_of_the_domain(data):
    domain = data.draw(domains)
    value = domain.decode(data.draw(units(domain)))
    neighbours = domain.neighbours(value)
    assert value not in neighbours
    assert len(set(neighbours)) == len(neighbours) or isinstance(domain, Real)
    assert all(domain.contains(neighbour) for neighbour in neighbours)
    assert bool(neighbours) == (domain.size != 1) or isinstance(domain, Subset | Real)


def test_shares_are_even():
    assert [Choice(["a", "b", "c"]).decode([u / 12]) for u in range(13)] == list("aaaabbbbccccc")
    assert [Integer(0, 2).decode([u / 12]) for u in range(13)] == [0] * 4 + [1] * 4 + [2] * 5
    assert Real(0, 8).decode([0.25]) == 2.0
    assert Real(1, 100, log=True).decode([0.5]) == pytest.approx(10.0)
    assert Integer(1, 100, log=True).decode([0.5]) == round(math.sqrt(0.5 * 100.5))


def test_sizes():
    assert Choice((1, 2, 3)).size == 3
    assert Integer(-2, 2).size == 5
    assert Real(0, 1).size is None
    assert Real(1, 1).size == 1
    assert Subset((1, 2, 3)).size == 8
    assert Subset((1, 2, 3), 1, 2).size == 6


def test_a_subset_fills_and_cuts_by_size_of_units():
    assert Subset(["a", "b", "c"], 1).decode([0.1, 0.3, 0.2]) == ("b",)
    assert Subset(["a", "b", "c"], 0, 1).decode([0.7, 0.6, 0.9]) == ("c",)
    assert Subset(["a", "b", "c"]).decode([0.6, 0.1, 0.9]) == ("a", "c")


@pytest.mark.parametrize(
    ("domain", "wrong"),
    [
        (Choice((1, 2)), True),
        (Choice((1, 2)), "1"),
        (Choice((False, True)), 1),
        (Subset((1, 2)), [1]),
        (Subset((1, 2)), (2, 1)),
        (Subset((1, 2)), (True,)),
        (Subset((1, 2)), (1, 1)),
        (Subset((1, 2), 1), ()),
        (Integer(0, 3), 1.0),
        (Integer(0, 3), True),
        (Integer(0, 3), 4),
        (Real(0, 1), True),
        (Real(0, 1), math.nan),
        (Real(0, 1), 1.5),
        (Real(0, 1), None),
    ],
)
def test_what_a_domain_does_not_contain(domain, wrong):
    assert not domain.contains(wrong)


def test_a_real_contains_whole_numbers():
    assert Real(0, 1).contains(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice(()), "a choice has no values; give it at least one"),
        (lambda: Choice("ab"), "a choice needs a list of values, but got 'ab'"),
        (lambda: Choice(3), "a choice needs a list of values, but got 3"),
        (
            lambda: Choice((1, 2, 1)),
            "a choice has the value 1 twice; values are distinct (True equals 1, False equals 0)",
        ),
        (
            lambda: Choice((1, True)),
            "a choice has the value True twice; values are distinct (True equals 1, False equals 0)",
        ),
        (lambda: Choice((1, [2])), "a choice has the value [2]; values are numbers, strings or booleans"),
        (lambda: Choice((None,)), "a choice has the value None; values are numbers, strings or booleans"),
        (lambda: Choice((math.nan,)), "a choice has the value nan; values are numbers, strings or booleans"),
        (lambda: Subset(()), "a subset has no values; give it at least one"),
        (
            lambda: Subset((1, 2), 3),
            "a subset of 2 values cannot hold 3 to 2 of them; needed is 0 <= minimum <= maximum <= 2",
        ),
        (lambda: Subset((1, 2), "1"), "a subset needs whole numbers as minimum and maximum, but got '1'"),
        (lambda: Integer(1.0, 2), "an integer needs whole numbers as bounds, but got 1.0"),
        (lambda: Integer(True, 2), "an integer needs whole numbers as bounds, but got True"),
        (lambda: Integer(3, 2), "an integer needs low <= high, but got 3 and 2"),
        (lambda: Integer(0, 2, log=True), "an integer on a log scale needs low >= 1, but got 0"),
        (
            lambda: Integer(0, 2**40),
            "an integer can have at most 2**40 values, but got 0 to 1099511627776; use a real for so wide a range",
        ),
        (lambda: Real("0", 1), "a real needs finite numbers as bounds, but got '0'"),
        (lambda: Real(0, math.inf), "a real needs finite numbers as bounds, but got inf"),
        (lambda: Real(2, 1), "a real needs low <= high, but got 2.0 and 1.0"),
        (lambda: Real(0, 1, log=True), "a real on a log scale needs low > 0, but got 0.0"),
        (
            lambda: Real(-1e308, 1e308),
            "a real needs a finite range, but -1e+308 to 1e+308 is wider than a number can say",
        ),
    ],
)
def test_what_is_no_domain(make, message):
    with pytest.raises(SpaceError) as caught:
        make()
    assert str(caught.value) == message
