"""The virtual network: latency, order, cuts, and how connections end."""

import random

import pytest

from morphml_distributed.simulation.network import KEEPALIVE, Connection, Route
from morphml_distributed.simulation.timeline import Timeline


class Ends:
    """A connection whose ends take down what arrives, and when."""

    def __init__(self, latency=0.5, jitter=0.0):
        self.timeline, self.seen = Timeline(), []
        self.route = Route(self.timeline, random.Random(7), latency, jitter)
        self.connection = Connection(self.route, lambda call: call(), lambda _: self.note("worker lost"))
        self.connection.master_lost = lambda: self.note("master lost")

    def note(self, what):
        self.seen.append((round(self.timeline.now, 6), what))

    def up(self, what):
        self.connection.up(lambda: self.note(what))

    def down(self, what):
        self.connection.down(lambda: self.note(what))

    def run(self):
        while self.timeline.step():
            pass
        return self.seen


@pytest.fixture
def ends():
    return Ends()


def test_a_message_takes_the_latency_each_way(ends):
    ends.up("one")
    ends.down("two")
    assert ends.run() == [(0.5, "one"), (0.5, "two")]


def test_jitter_never_changes_the_order_within_a_connection():
    ends = Ends(jitter=2.0)
    for number in range(50):
        ends.up(number)
    moments = ends.run()
    assert [what for _, what in moments] == list(range(50))
    assert moments[-1][0] > 1.0


def test_what_arrives_during_a_cut_waits_for_its_end(ends):
    ends.up("before")
    ends.timeline.after(0.4, lambda: ends.route.block(10.0))
    ends.timeline.after(5.0, lambda: ends.up("within"))
    ends.timeline.after(10.1, lambda: ends.up("after"))
    ends.timeline.after(5.0, lambda: ends.down("to the worker"))
    assert ends.run() == [(10.4, "before"), (10.4, "within"), (10.4, "to the worker"), (10.6, "after")]


def test_a_long_cut_ends_the_connection_at_both_ends(ends):
    ends.route.block(100.0)
    ends.up("lost")
    assert ends.run() == [(KEEPALIVE, "master lost"), (KEEPALIVE, "worker lost")]
    ends.up("nobody")
    ends.down("nobody")
    assert len(ends.run()) == 2


def test_the_master_hears_of_a_closed_connection_after_what_was_on_its_way(ends):
    ends.up("last words")
    ends.connection.close_worker()
    ends.down("too late")
    assert ends.run() == [(0.5, "last words"), (0.5, "master lost")]


def test_a_dead_machine_is_noticed_by_its_silence(ends):
    ends.up("last words")
    ends.connection.close_worker(silently=True)
    assert ends.run() == [(0.5, "last words"), (KEEPALIVE, "master lost")]


def test_the_worker_hears_of_a_closed_connection(ends):
    ends.down("last words")
    ends.connection.close_master()
    ends.up("too late")
    assert ends.run() == [(0.5, "last words"), (0.5, "worker lost")]


def test_a_lag_delays_what_goes_to_the_master_only(ends):
    ends.route.slow(1.0, lag=20.0)
    ends.up("late")
    ends.down("in time")
    ends.timeline.after(2.0, lambda: ends.up("behind it"))
    assert ends.run() == [(0.5, "in time"), (20.5, "late"), (20.5, "behind it")]


def test_an_end_that_was_not_told_of_the_others_closing_gives_up_too(ends):
    ends.route.block(100.0)
    ends.connection.close_master()
    assert ends.run() == [(KEEPALIVE, "worker lost")]
