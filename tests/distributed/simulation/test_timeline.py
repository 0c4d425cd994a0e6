"""The virtual clock."""

from hypothesis import given
from hypothesis import strategies as st

from morphml_distributed.simulation.timeline import Timeline


@given(st.lists(st.integers(0, 20)))
def test_events_happen_in_order_and_those_of_one_moment_as_they_were_planned(moments):
    timeline, seen = Timeline(), []
    for index, moment in enumerate(moments):
        timeline.at(float(moment), lambda index=index: seen.append((timeline.now, index)))
    while timeline.step():
        pass
    assert seen == sorted((float(moment), index) for index, moment in enumerate(moments))
    assert timeline.events == len(moments)


def test_what_is_cancelled_does_not_happen_and_the_clock_does_not_go_there():
    timeline, seen = Timeline(), []
    timer = timeline.after(5.0, lambda: seen.append("never"))
    timeline.after(1.0, lambda: seen.append("once"))
    timer.cancel()
    assert timeline.step()
    assert not timeline.step()
    assert (seen, timeline.now) == (["once"], 1.0)


def test_the_clock_never_goes_back():
    timeline, seen = Timeline(), []
    timeline.after(3.0, lambda: timeline.at(1.0, lambda: seen.append(timeline.now)))
    while timeline.step():
        pass
    assert seen == [3.0]
