import io
import time

import pytest

from morphml_core.cli.progress import Config, Progress, plugin
from morphml_core.experiment.events import Ended, Failed, Finished, Opened, Proposed, Started, Submitted
from morphml_core.experiment.state import State
from morphml_core.plugins.hooks import Context, Hooks
from morphml_core.problem import Cause, Objective, Problem
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Real
from morphml_core.space.space import SearchSpace


class Telling:
    """A state whose events go to the hook, with a clock that is turned by hand."""

    def __init__(self, make):
        self.problem = Problem(SearchSpace(DecisionSpace([Decision("x", Real(0, 1))])), [Objective("accuracy")])
        self.state, self.time, self.spent = State(self.problem), 100.0, 0.0
        self.genotype = self.problem.decisions.sample(self.problem.rng(0))
        self.hooks = Hooks(
            [("progress", make(Context("digits", self.problem.objectives, trials=100), lambda: self.time))]
        )

    def tell(self, event):
        self.state.apply(event)
        start = time.perf_counter()
        self.hooks.notify(event, self.state)
        self.spent += time.perf_counter() - start

    def open(self):
        if self.state.started is None:
            self.tell(Started({}, {}, self.time))
        self.tell(Opened("host", 1, 0.0, self.time))

    def trial(self, accuracy):
        number = len(self.state.trials)
        self.tell(Proposed(number, self.genotype, str(number), self.time))
        self.tell(Submitted(number, 1, self.time))
        if accuracy is None:
            self.tell(Failed(number, Cause.ERROR, "ValueError: bad", self.time))
        else:
            self.tell(Finished(number, {"accuracy": accuracy}, self.time, 0.5))


@pytest.fixture
def lines():
    return []


@pytest.fixture
def plain(lines):
    telling = Telling(
        lambda context, clock: Progress(Config(live=False), context, write=lines.append, clock=clock, now=clock)
    )
    telling.open()
    return telling


def test_plain_lines_tell_improvements_and_a_line_every_ten_seconds(plain, lines):
    plain.trial(0.5)
    plain.trial(0.4)
    plain.time += 1
    plain.trial(0.6)
    plain.time += 10
    plain.trial(None)
    assert lines == [
        "digits: searching",
        "trial 0: accuracy 0.5000 (best so far)",
        "trial 2: accuracy 0.6000 (best so far)",
        "11 s: 4 of 100 trials, 1 failed, 21.8 trials/min, about 4 min 24 s left, best accuracy 0.6000 (trial 2)",
    ]


def test_many_improvements_at_once_are_one_line(plain, lines):
    for step in range(50):
        plain.trial(step / 100)
    plain.time += 1
    plain.trial(0.1)
    assert lines == [
        "digits: searching",
        "trial 0: accuracy 0 (best so far)",
        "trial 49: accuracy 0.4900 (best so far)",
    ]


def test_the_end_tells_the_last_news_once(plain, lines):
    plain.trial(0.5)
    plain.trial(0.6)
    plain.tell(Ended("enough", plain.time))
    plain.hooks.close()
    assert lines[2:] == [
        "trial 1: accuracy 0.6000 (best so far)",
        "0 ms: 2 of 100 trials, best accuracy 0.6000 (trial 1)",
    ]


def test_going_on_is_told(plain, lines):
    plain.trial(0.5)
    plain.open()
    assert lines[-1] == "digits: going on after 1 trial"


def test_an_event_costs_microseconds(lines):
    telling = Telling(lambda context, clock: Progress(Config(live=False), context, write=lines.append))
    telling.open()
    for number in range(5000):
        telling.trial(number % 7 / 10)
    assert telling.spent / 15_000 < 50e-6
    assert len(lines) < 10


def test_the_live_view_is_drawn_and_given_back(monkeypatch):
    from rich.console import Console

    from morphml_core.cli import live

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=30)
    real = live.LiveView
    monkeypatch.setattr(live, "LiveView", lambda tally: real(tally, console))
    telling = Telling(lambda context, clock: Progress(Config(live=True), context, clock=clock, now=clock))
    telling.open()
    for accuracy in (0.5, 0.7, None):
        telling.trial(accuracy)
    telling.time += 30
    telling.hooks.close()
    text = stream.getvalue()
    for part in (
        "digits",
        "3 of 100 trials",
        "2 finished",
        "1 failed",
        "accuracy 0.7000",
        "1 error: ValueError: bad",
        "▁█",
    ):
        assert part in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_a_narrow_terminal_cuts_lines_instead_of_wrapping_them(monkeypatch):
    from rich.console import Console

    from morphml_core.cli.live import LiveView

    telling = Telling(
        lambda context, clock: Progress(Config(live=False), context, write=lambda line: None, clock=clock, now=clock)
    )
    telling.open()
    for accuracy in (0.5, 0.7, None):
        telling.trial(accuracy)
    progress = Progress(Config(live=False), Context("digits", telling.problem.objectives))
    progress.tally.open(telling.state)
    console = Console(file=io.StringIO(), width=40, force_terminal=True)
    lines = console.render_lines(LiveView(progress.tally, console).render())
    assert len(lines) == 5


def test_it_is_a_hook_component():
    assert (plugin.kind, plugin.config) == ("hook", Config)


def test_the_interval_is_positive():
    with pytest.raises(ValueError, match="'every' must be > 0"):
        Config(every=0)
