from __future__ import annotations

import itertools

import pytest

from morphml_core.problem import Task
from morphml_core.protocols import QueuedTask
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.tasks import EVENTS, OVER, STATES, TABLE, DispatchError, Entry, Trial

FORBIDDEN = {
    ("waiting", event) for event in ("begin", "report", "return", "lose", "expire")
} | {("over", event) for event in EVENTS}  # fmt: skip


def entry_in(state: str) -> Entry:
    entry = Entry(QueuedTask(Task(7, Genotype((1,)), 0, attempt=2), 0.0), Trial(7), 1)
    entry.state = state
    return entry


@pytest.mark.parametrize(("state", "event"), list(itertools.product(STATES, EVENTS)))
def test_each_pair_of_state_and_event_is_in_the_table_or_forbidden(state: str, event: str) -> None:
    entry = entry_in(state)
    if (state, event) in FORBIDDEN:
        with pytest.raises(DispatchError):
            entry.move(event)
        assert entry.state == state
    else:
        entry.move(event)
        assert entry.state == TABLE[state, event]


def test_every_state_leads_to_an_end() -> None:
    for state in set(STATES) - {OVER}:
        assert OVER in {after for (before, _), after in TABLE.items() if before == state}


def test_an_error_tells_the_story_of_the_task() -> None:
    entry = entry_in("over")
    entry.trial.tell(1.5, "attempt 2 was submitted")
    entry.trial.tell(2.25, "trial 7 is given to w1")
    with pytest.raises(DispatchError) as error:
        entry.move("begin")
    assert str(error.value) == (
        "trial 7, attempt 2: the event 'begin' must not happen while it is over; its story:\n"
        "  1.500 attempt 2 was submitted\n"
        "  2.250 trial 7 is given to w1"
    )


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    trial = Trial(1)
    for time in range(1000):
        trial.tell(float(time), "something")
    lines = trial.lines()
    assert (len(lines), lines[0], lines[-1]) == (200, "0.000 something", "999.000 something")
