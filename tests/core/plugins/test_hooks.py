import logging

import attrs
import pytest

from morphml_core.errors import BrokenComponentError
from morphml_core.experiment import events
from morphml_core.plugins import hookspecs
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import ComponentRef, hook
from morphml_core.plugins.hooks import Context, Hooks
from morphml_core.plugins.hookspecs import hookimpl
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Cause, Trial
from morphml_core.space.decisions import Genotype

GENOTYPE = Genotype((1,))
EVENTS = [
    events.Started({}, {}, 0.0),
    events.Opened("host", 1, 0.0, 0.0),
    events.Proposed(0, GENOTYPE, "f", 0.0, Budget()),
    events.Submitted(0, 1, 0.0),
    events.Reported(0, 1, {"accuracy": 0.5}, 0.0),
    events.Finished(0, {"accuracy": 0.5}, 0.0),
    events.Failed(0, Cause.ERROR, "no", 0.0),
    events.Stopped(0, {"accuracy": 0.5}, "no hope", 0.0),
    events.Lost(0, "gone", 0.0),
    events.Retried(0, 0.0),
    events.Ended("enough", 0.0),
    events.Closed(0.0),
]


@attrs.frozen
class State:
    """As much of the state as the facade reads."""

    trials: dict = attrs.field(factory=lambda: {0: Trial(0, GENOTYPE)})


HOOKS = sorted(name for name, found in vars(hookspecs).items() if name.startswith("morphml_") and callable(found))


class Everything:
    """Implements every hook, and keeps what it was told."""

    def __init__(self):
        self.calls = []


def _listen(name):
    if name.startswith("morphml_trial"):

        def method(self, event, trial, state):
            self.calls.append((name, event, trial, state))
    elif name.startswith("morphml_experiment"):

        def method(self, event, state):
            self.calls.append((name, event, state))
    else:

        def method(self):
            self.calls.append((name,))

    return hookimpl(method)


for _name in HOOKS:
    if _name != "morphml_components":
        setattr(Everything, _name, _listen(_name))


def test_every_event_has_its_hook():
    listener, state = Everything(), State()
    hooks = Hooks([("all", listener)])
    for event in EVENTS:
        hooks.notify(event, state)
    hooks.close()
    assert [call[0] for call in listener.calls] == [
        "morphml_experiment_started", "morphml_experiment_opened", "morphml_trial_proposed", "morphml_trial_submitted",
        "morphml_trial_reported", "morphml_trial_finished", "morphml_trial_failed", "morphml_trial_stopped", "morphml_trial_lost",
        "morphml_trial_retried", "morphml_experiment_ended", "morphml_experiment_closed", "morphml_close",
    ]  # fmt: skip
    assert sorted(call[0] for call in listener.calls) == sorted(set(HOOKS) - {"morphml_components"})
    assert listener.calls[5] == ("morphml_trial_finished", EVENTS[5], state.trials[0], state)
    assert {type(event) for event in EVENTS} == set(events.Event.__args__)


class Few:
    def __init__(self):
        self.numbers = []

    @hookimpl
    def morphml_trial_finished(self, trial):
        self.numbers.append(trial.number)


class Raises:
    @hookimpl
    def morphml_trial_finished(self, trial):
        raise ValueError("no luck")

    @hookimpl
    def morphml_close(self):
        raise OSError("gone")


def test_a_raising_listener_loses_nothing_and_is_reported_once_a_hook():
    few, said = Few(), []
    hooks = Hooks([("raises", Raises()), ("few", few)], said.append)
    for _ in range(3):
        hooks.notify(EVENTS[5], State())
    hooks.close()
    assert few.numbers == [0, 0, 0]
    assert said == [
        "hook 'raises' failed in morphml_trial_finished: ValueError: no luck; the search goes on without it",
        "hook 'raises' failed in morphml_close: OSError: gone; the search goes on without it",
    ]


def test_warnings_go_to_the_log_by_default(caplog):
    with caplog.at_level(logging.WARNING, "morphml"):
        Hooks([("raises", Raises())]).notify(EVENTS[5], State())
    assert caplog.messages == [
        "hook 'raises' failed in morphml_trial_finished: ValueError: no luck; the search goes on without it"
    ]


class Interrupts:
    @hookimpl
    def morphml_trial_finished(self):
        raise KeyboardInterrupt


def test_ctrl_c_in_a_listener_is_still_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        Hooks([("interrupts", Interrupts())]).notify(EVENTS[5], State())


class Misspelt:
    @hookimpl
    def morphml_trial_finishd(self, trial):
        pass


class Greedy:
    @hookimpl
    def morphml_trial_finished(self, trail):
        pass


def test_hooks_that_do_not_exist_or_misfit():
    with pytest.raises(
        BrokenComponentError, match=r"^hook 'm' does not fit: unknown hook 'morphml_trial_finishd' in plugin"
    ):
        Hooks([("m", Misspelt())])
    with pytest.raises(
        BrokenComponentError, match=r"^hook 'g' does not fit: Plugin 'g' for hook 'morphml_trial_finished'"
    ):
        Hooks([("g", Greedy())])


@attrs.frozen
class Config:
    every: int = 1


class Logbook(Few):
    def __init__(self, config, context):
        super().__init__()
        self.config, self.context = config, context


def test_listeners_of_a_configuration():
    loader = Loader(Catalogue())
    made = []

    def create(config, context):
        made.append(Logbook(config, context))
        return made[-1]

    loader.registry.add("hook", "logbook", hook(Config, create))
    part = loader.load(ComponentRef("hook", "logbook", {"every": 2}))
    hooks = Hooks.create([part], Context("digits"))
    hooks.notify(EVENTS[5], State())
    assert (made[0].config, made[0].context.experiment, made[0].numbers) == (Config(2), "digits", [0])
