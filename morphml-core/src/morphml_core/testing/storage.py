"""What every storage promises: `StorageSuite`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from morphml_core.errors import ConflictError
from morphml_core.experiment import events
from morphml_core.experiment.events import Event
from morphml_core.experiment.state import State
from morphml_core.problem import Budget, Cause
from morphml_core.protocols import Storage
from morphml_core.space.decisions import Genotype

Make = Callable[[str], Storage]

GENOTYPE = Genotype(("relu", 3, 0.1, 1e-300, None, True, ("a", 2), (), "ünï\n\0\ud800", math.inf))
"""Every kind of value that a slot can have."""


def log() -> list[Event]:
    """A legal log with every event, and every kind of value that they hold."""
    return [
        events.Started({"seed": 7, "objectives": [{"name": "accuracy"}], "none": None}, {"morphml-core": "0.1.0"}, 1.0),
        events.Opened("host", 12, 0.5, 1.5),
        events.Proposed(0, GENOTYPE, "f0", 2.0, Budget(3, 0.25), origin="random", priority=2.5, told=0),
        events.Submitted(0, 1, 2.5),
        events.Reported(0, 1, {"accuracy": 0.1, "loss": 1e300}, 3.0),
        events.Reported(0, 2, {"accuracy": 0.2}, 3.5),
        events.Lost(0, "the worker died", 4.0),
        events.Submitted(0, 2, 4.5),
        events.Reported(0, 1, {"accuracy": 0.1}, 5.0),
        events.Finished(0, {"accuracy": 0.1 + 0.2}, 5.5, 3.25, "worker-1"),
        events.Proposed(1, GENOTYPE, "f0", 6.0, duplicate_of=0),
        events.Finished(1, {"accuracy": 0.1 + 0.2}, 6.0),
        events.Proposed(2, GENOTYPE, "f2", 7.0, continues=0),
        events.Submitted(2, 1, 7.5),
        events.Failed(2, Cause.OUT_OF_MEMORY, "needs 3 GB\n\0\ud800", 8.0, 1.0, {"parameters": 12.0}),
        events.Retried(2, 9.0),
        events.Submitted(2, 2, 9.5),
        events.Stopped(2, {"accuracy": 0.0}, "below the median", 10.0, 0.5),
        events.Proposed(3, GENOTYPE, "f0", 11.0, repeat_of=0),
        events.Submitted(3, 1, 11.5),
        events.Lost(3, "cut off", 11.5, counted=False),
        events.Ended("4 trials are done", 12.0),
        events.Closed(12.5),
    ]


class StorageSuite:
    """Tests of one storage.  Give it a fixture `make` that returns a function from an experiment's name to its storage.

    Called again with a name, it opens the same experiment on the same place, as another process would.  `appenders` is how many
    append at once in the test of that.
    """

    appenders = 4

    @pytest.fixture
    def make(self) -> Make:
        """A function from the name of an experiment to its storage."""
        raise NotImplementedError("a StorageSuite needs a fixture 'make' that returns a function of (experiment name)")

    def test_a_new_experiment_is_empty(self, make: Make) -> None:
        """Nothing is there before the first append."""
        assert list(make("new").read()) == []

    def test_what_is_appended_is_read_back_equal(self, make: Make) -> None:
        """Every event with every kind of value, in one append and in many."""
        storage = make("all")
        storage.append(log(), 0)
        assert list(storage.read()) == log()
        one_by_one = make("one by one")
        for index, event in enumerate(log()):
            one_by_one.append([event], index)
        assert list(one_by_one.read()) == log()

    def test_the_log_of_the_suite_is_legal(self) -> None:
        """The suite's own events make a state."""
        assert State.of(log()).index == len(log())

    def test_reading_goes_on_after_an_index(self, make: Make) -> None:
        """`read(after)` leaves the first events out."""
        storage = make("after")
        storage.append(log(), 0)
        for after in (0, 1, len(log()) - 1, len(log()), len(log()) + 5):
            assert list(storage.read(after)) == log()[after:]

    @pytest.mark.parametrize("wrong", [0, 1, 2, 4, 100])
    def test_an_append_at_another_index_is_refused(self, make: Make, wrong: int) -> None:
        """Before the end and after it: a conflict, and nothing is stored."""
        storage = make(f"fenced {wrong}")
        storage.append(log()[:3], 0)
        with pytest.raises(ConflictError):
            storage.append(log()[3:5], wrong)
        assert list(storage.read()) == log()[:3]
        storage.append(log()[3:5], 3)
        assert list(storage.read()) == log()[:5]

    def test_an_append_to_a_new_experiment_begins_at_zero(self, make: Make) -> None:
        """Also the first append is fenced."""
        storage = make("first")
        with pytest.raises(ConflictError):
            storage.append(log()[:1], 1)
        assert list(storage.read()) == []

    def test_experiments_do_not_mix(self, make: Make) -> None:
        """Two names, two logs."""
        one, other = make("one"), make("other")
        one.append(log()[:3], 0)
        other.append(log()[:1], 0)
        one.append(log()[3:4], 3)
        assert list(one.read()) == log()[:4]
        assert list(other.read()) == log()[:1]

    def test_another_opening_sees_and_fences(self, make: Make) -> None:
        """Two openings of one experiment share one log."""
        first, second = make("shared"), make("shared")
        first.append(log()[:2], 0)
        assert list(second.read()) == log()[:2]
        second.append(log()[2:4], 2)
        with pytest.raises(ConflictError):
            first.append(log()[2:4], 2)
        assert list(first.read()) == log()[:4]

    def test_what_was_appended_outlives_the_storage(self, make: Make) -> None:
        """It is there when the experiment is opened again."""
        storage = make("again")
        storage.append(log(), 0)
        storage.close()
        assert list(make("again").read()) == log()

    def test_it_can_be_closed_twice(self, make: Make) -> None:
        """Closing what is closed does nothing."""
        storage = make("closed")
        storage.append(log()[:1], 0)
        storage.close()
        storage.close()

    def test_exactly_one_of_many_appends_wins(self, make: Make) -> None:
        """At every index exactly one of the concurrent appends succeeds, and the log is made of the winners."""
        rounds = 8

        def compete(who: int) -> list[int]:
            storage, won = make("race"), []
            for index in range(rounds):
                try:
                    storage.append([events.Ended(f"{who}", float(index))], index)
                    won.append(index)
                except ConflictError:
                    while len(storage.read()) <= index:
                        pass
            storage.close()
            return won

        make("race").close()
        with ThreadPoolExecutor(self.appenders) as pool:
            won: Sequence[list[int]] = list(pool.map(compete, range(self.appenders)))
        assert sorted(index for indices in won for index in indices) == list(range(rounds))
        kept = list(make("race").read())
        expected = {index: f"{who}" for who, indices in enumerate(won) for index in indices}
        assert [event.reason for event in kept if isinstance(event, events.Ended)] == [
            expected[i] for i in range(rounds)
        ]
