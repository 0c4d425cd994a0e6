import pytest

from morphml_core.cli.tally import Tally, sparkline, speed
from morphml_core.experiment.events import (
    Failed,
    Finished,
    Lost,
    Opened,
    Proposed,
    Reported,
    Started,
    Stopped,
    Submitted,
)
from morphml_core.experiment.state import State
from morphml_core.plugins.hooks import Context
from morphml_core.problem import Cause, Objective, Problem
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Real
from morphml_core.space.space import SearchSpace


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


class Watched:
    """A state with a tally that hears of its events."""

    def __init__(self, **limits):
        self.problem = Problem(SearchSpace(DecisionSpace([Decision("x", Real(0, 1))])), [Objective("accuracy")])
        self.state, self.clock = State(self.problem), Clock()
        self.tally = Tally(Context("digits", self.problem.objectives, **limits), self.clock, self.clock)
        self.tell(Started({}, {}, 100.0), Opened("host", 1, 0.0, 100.0))
        self.tally.open(self.state)

    def tell(self, *events):
        for event in events:
            self.state.apply(event)

    def begin(self):
        number = len(self.state.trials)
        self.tell(Proposed(number, self.problem.decisions.sample(self.problem.rng(number)), str(number), self.clock()))
        self.tell(Submitted(number, 1, self.clock()))
        return number

    def end(self, event):
        self.tell(event)
        return self.tally.over(self.state.trials[event.number], self.state)

    def finish(self, accuracy):
        return self.end(Finished(self.begin(), {"accuracy": accuracy, "loss": 1.0}, self.clock(), 1.0))


@pytest.fixture
def watched():
    return Watched(trials=10, time=600.0)


def test_improvements_are_noticed(watched):
    assert [watched.finish(accuracy) for accuracy in (0.5, 0.4, 0.6, 0.6)] == [True, False, True, False]
    assert watched.tally.bests == [0.5, 0.6]
    assert watched.tally.best.number == 2


def test_failures_are_counted_by_cause_with_the_last_message(watched):
    watched.end(Failed(watched.begin(), Cause.ERROR, "ValueError: one\n  File x", 100.0))
    watched.end(Failed(watched.begin(), Cause.ERROR, "ValueError: two", 100.0))
    watched.end(Failed(watched.begin(), Cause.TIMEOUT, "", 100.0))
    assert watched.tally.causes == {"error": 2, "timeout": 1}
    assert watched.tally.messages == {"error": "ValueError: two", "timeout": ""}


def test_running_trials_are_shown_until_they_are_over_or_lost(watched):
    number = watched.begin()
    watched.tell(Reported(number, 1, {"accuracy": 0.1}, 100.0))
    watched.tally.reported(watched.state.trials[number])
    assert list(watched.tally.running) == [number]
    watched.tell(Lost(number, "gone", 100.0))
    watched.tally.lost(watched.state.trials[number])
    assert watched.tally.running == {}


def test_rate_share_and_time_left(watched):
    assert (watched.tally.rate(), watched.tally.share(), watched.tally.left()) == (0.0, 0.0, 600.0)
    watched.clock.time += 10
    for _ in range(5):
        watched.finish(0.5)
    watched.tally.sample()
    assert (watched.tally.rate(), watched.tally.share(), watched.tally.left()) == (0.5, 0.5, 10.0)


def test_the_rate_is_that_of_the_last_minute(watched):
    for _ in range(10):
        watched.finish(0.5)
    for _ in range(200):
        watched.clock.time += 1
        watched.tally.sample()
    assert watched.tally.rate() == 0.0


def test_the_nearest_stop_condition_is_the_share():
    watched = Watched(trials=100, time=20.0)
    watched.finish(0.5)
    watched.clock.time += 5
    assert watched.tally.share() == 0.25


def test_without_a_stop_condition_there_is_no_share():
    watched = Watched()
    watched.finish(0.5)
    assert watched.tally.share() is None
    assert watched.tally.wanted() == "1 trial"


def test_an_experiment_that_goes_on_brings_its_past(watched):
    watched.finish(0.5)
    watched.end(Failed(watched.begin(), Cause.ERROR, "ValueError: one", 100.0))
    later = Tally(Context("digits", watched.problem.objectives), watched.clock, watched.clock)
    later.open(watched.state)
    assert later.causes == {"error": 1}
    assert later.best.number == 0
    assert later.rate() == 0.0


def test_the_line(watched):
    watched.finish(0.5)
    watched.end(Failed(watched.begin(), Cause.ERROR, "ValueError: one", 100.0))
    watched.end(Stopped(watched.begin(), {"accuracy": 0.1}, "hopeless", 100.0))
    watched.begin()
    watched.clock.time += 60
    watched.tally.sample()
    assert watched.tally.line() == (
        "1 min: 3 of 10 trials, 1 failed, 1 stopped, 1 running, 3.0 trials/min, about 2 min 20 s left, best accuracy 0.5000 (trial 0)"
    )


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.5, "30.0 trials/min"), (1.0, "1.0 trials/s"), (42.31, "42.3 trials/s"), (12345.6, "12,346 trials/s")],
)
def test_speed(rate, text):
    assert speed(rate) == text


def test_sparkline():
    assert sparkline([0.1, 0.2, 0.9]) == "▁▂█"
    assert sparkline([0.5]) == ""
    assert sparkline([0.5, 0.5]) == "▁▁"
    assert sparkline([float("nan"), 1.0, 2.0]) == "▁█"
    assert len(sparkline(range(100))) == 32
