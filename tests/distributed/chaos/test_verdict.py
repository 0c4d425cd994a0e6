"""The verdict finds what is wrong with a record."""

import attrs
import pytest

from morphml_core.experiment import events
from morphml_distributed.chaos.lab import Setup
from morphml_distributed.chaos.verdict import judge, losses, undisturbed

TRIALS = 40


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    setup = Setup(tmp_path_factory.mktemp("quiet"), 2, TRIALS, 7, "memory")
    return undisturbed(setup.configuration("127.0.0.1:0"))


def test_the_undisturbed_search_has_results_failures_and_duplicates(quiet):
    kinds = {type(event) for event in quiet}
    assert {events.Finished, events.Failed, events.Reported} <= kinds
    assert judge(quiet, quiet, TRIALS) == []
    assert losses(quiet) == 0


def test_a_search_that_has_not_ended(quiet):
    assert judge(quiet[:-2], quiet, TRIALS) == ["the search has not ended: it is running"]


def test_a_trial_too_few_and_one_without_result(quiet):
    last = max(index for index, event in enumerate(quiet) if isinstance(event, events.Finished))
    found = judge(quiet[:last], quiet, TRIALS)
    assert found[0] == "the search has not ended: it is running"
    assert "1 trials have no result: 39" in found


def test_another_result(quiet):
    place = next(index for index, event in enumerate(quiet) if isinstance(event, events.Finished))
    number = quiet[place].number
    changed = [*quiet[:place], attrs.evolve(quiet[place], metrics={"score": 99.0}), *quiet[place + 1 :]]
    assert judge(changed, quiet, TRIALS) == [f"1 trials differ from the undisturbed search: {number}"]


def test_attempts_that_were_lost_are_counted(quiet):
    place = next(index for index, event in enumerate(quiet) if isinstance(event, events.Submitted))
    number, time = quiet[place].number, quiet[place].time
    again = [events.Lost(number, "worker-1 died", time), events.Submitted(number, 2, time)]
    log = [*quiet[: place + 1], *again, *quiet[place + 1 :]]
    assert (losses(log), judge(log, quiet, TRIALS)) == (1, [])
