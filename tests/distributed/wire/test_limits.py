"""The meter of rates, against what it says it allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_distributed.wire.limits import Meter


def test_a_burst_is_let_through_and_then_the_rate_holds():
    meter = Meter(rate=10.0, burst=20.0)
    assert meter.wait(20, now=0.0) == 0.0
    assert meter.wait(10, now=0.0) == 1.0
    assert meter.wait(0, now=1.0) == 0.0
    assert meter.wait(5, now=1.0) == 0.5


def test_a_pause_fills_no_more_than_a_burst():
    meter = Meter(rate=10.0, burst=20.0)
    meter.wait(20, now=0.0)
    assert meter.wait(20, now=1e6) == 0.0
    assert meter.wait(1, now=1e6) == pytest.approx(0.1)


def test_a_clock_that_goes_back_gives_nothing_away():
    meter = Meter(rate=10.0, burst=20.0)
    meter.wait(20, now=100.0)
    assert meter.wait(1, now=0.0) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=30))
def test_who_waits_as_told_never_goes_beyond_rate_and_burst(steps):
    meter, now, total = Meter(rate=4.0, burst=10.0), 0.0, 0.0
    for amount, pause in steps:
        total += amount
        now += meter.wait(amount, now)
        assert total <= 10.0 + 4.0 * now + 1e-6
        now += pause
