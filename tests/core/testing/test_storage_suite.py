"""`StorageSuite` holds for a list with a lock, and catches what breaks its promises."""

from __future__ import annotations

import time

import attrs
import pytest

from morphml_core.errors import ConflictError
from morphml_core.experiment import events
from morphml_core.storage.memory import Memory
from morphml_core.testing import StorageSuite

from .probe import failing


class Plain:
    """A list of its own a name, shared by all openings."""

    def __init__(self, logs, name):
        self.log = logs.setdefault(name, [])

    def read(self, after=0):
        return self.log[after:]

    def append(self, added, expected):
        if len(self.log) != expected:
            raise ConflictError
        self.log.extend(added)

    def close(self):
        """Nothing to release."""


class Unfenced(Plain):
    def append(self, added, expected):
        self.log.extend(added)


class FencedBehindOnly(Plain):
    def append(self, added, expected):
        if expected < len(self.log):
            raise ConflictError
        self.log.extend(added)


class Partial(Plain):
    def append(self, added, expected):
        if len(self.log) != expected:
            self.log.extend(added[:1])
            raise ConflictError
        self.log.extend(added)


class Racy(Plain):
    def append(self, added, expected):
        if len(self.log) != expected:
            raise ConflictError
        time.sleep(0.002)
        self.log.extend(added)


class Forgetful(Plain):
    def close(self):
        self.log.clear()


class Mixing(Plain):
    def __init__(self, logs, name):
        super().__init__(logs, "the only one")


class ReadsEverything(Plain):
    def read(self, after=0):
        return list(self.log)


class Rounding(Plain):
    def append(self, added, expected):
        def rounded(event):
            if isinstance(event, events.Finished):
                return attrs.evolve(event, metrics={name: round(value, 6) for name, value in event.metrics.items()})
            return event

        super().append([rounded(event) for event in added], expected)


class ClosesOnce(Plain):
    def close(self):
        del self.log


def test_the_suite_holds_for_the_storage_in_memory(tmp_path):
    assert failing(StorageSuite, Memory().open, tmp_path) == set()


@pytest.mark.parametrize(
    ("storage", "caught"),
    [
        (Unfenced, "an_append_at_another_index_is_refused"),
        (FencedBehindOnly, "an_append_to_a_new_experiment_begins_at_zero"),
        (Partial, "an_append_at_another_index_is_refused"),
        (Racy, "exactly_one_of_many_appends_wins"),
        (Forgetful, "what_was_appended_outlives_the_storage"),
        (Mixing, "experiments_do_not_mix"),
        (ReadsEverything, "reading_goes_on_after_an_index"),
        (Rounding, "what_is_appended_is_read_back_equal"),
        (ClosesOnce, "it_can_be_closed_twice"),
    ],
)
def test_the_suite_catches_a_broken_storage(tmp_path, storage, caught):
    logs = {}
    assert caught in failing(StorageSuite, lambda name: storage(logs, name), tmp_path, among=(caught,))
