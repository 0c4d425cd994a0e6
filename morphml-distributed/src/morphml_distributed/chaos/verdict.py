"""What must be true of the record when the chaos is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from morphml_core.experiment import events
from morphml_core.experiment.events import Event
from morphml_core.experiment.state import State
from morphml_core.problem import Trial

_ENDS = (events.Finished, events.Failed, events.Stopped)
_SHOWN = 5


def undisturbed(configuration: Mapping[str, Any]) -> Sequence[Event]:
    """The record of the same search in this process, with nothing that disturbs it."""
    from morphml_core.session import open_experiment

    evaluator = {**configuration["evaluator"], "function": configuration["evaluator"]["function"] + "_at_once"}
    quiet = {**configuration, "evaluator": evaluator, "executor": "inline", "storage": "memory"}
    experiment = open_experiment(quiet)
    try:
        experiment.run()
        return experiment.storage.read()
    finally:
        experiment.close()


def judge(log: Sequence[Event], quiet: Sequence[Event], trials: int) -> list[str]:
    """What is wrong with the record, each in a sentence; nothing where every promise was kept."""
    found = State.of(log)
    wrong = [] if found.status == "ended" else [f"the search has not ended: it is {found.status}"]
    if len(found.trials) != trials:
        wrong.append(f"there are {len(found.trials)} trials, not {trials}")
    open_ = [number for number, trial in found.trials.items() if not trial.state.over]
    wrong += [f"{len(open_)} trials have no result: {_some(open_)}"] if open_ else []
    ends = Counter(event.number for event in log if isinstance(event, _ENDS))
    twice = [number for number, count in ends.items() if count > 1]
    wrong += [f"{len(twice)} trials have more than one result: {_some(twice)}"] if twice else []
    expected = State.of(quiet).trials
    other = [number for number in found.trials if _kept(found.trials[number]) != _kept(expected.get(number))]
    wrong += [f"{len(other)} trials differ from the undisturbed search: {_some(other)}"] if other else []
    return wrong


def _kept(trial: Trial | None) -> tuple[object, ...] | None:
    """What must be the same whatever happens: not durations and attempts."""
    if trial is None:
        return None
    message = trial.message.split("\n")[0]
    return trial.genotype, trial.state, dict(trial.metrics), trial.curve, trial.cause, message, trial.duplicate_of


def _some(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return shown + (", ..." if len(numbers) > _SHOWN else "")


def losses(log: Sequence[Event]) -> int:
    """How many attempts were lost."""
    return sum(isinstance(event, events.Lost) for event in log)
