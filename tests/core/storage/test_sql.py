import sqlite3

import pytest

from morphml_core.experiment import events
from morphml_core.problem import Cause
from morphml_core.storage.sql import Config, component
from morphml_core.testing import StorageSuite
from morphml_core.testing.storage import GENOTYPE, log


@pytest.fixture
def make(tmp_path):
    opened = []

    def make(name, **options):
        opened.append(component.create(Config(f"sqlite:///{tmp_path}/x.db", **options), name))
        return opened[-1]

    yield make
    for storage in opened:
        storage.close()


def rows(tmp_path, question):
    connection = sqlite3.connect(tmp_path / "x.db")
    found = connection.execute(question).fetchall()
    connection.close()
    return found


class TestSql(StorageSuite):
    @pytest.fixture
    def make(self, make):
        return make


class TestSqlWithFullSynchronisation(StorageSuite):
    @pytest.fixture
    def make(self, make):
        return lambda name: make(name, synchronous="full")


def test_nothing_is_made_before_the_first_append(make, tmp_path):
    storage = make("x")
    assert storage.read() == []
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_new_database(make, tmp_path):
    (tmp_path / "x.db").touch()
    make("x").append(log(), 0)
    assert make("x").read() == log()


@pytest.mark.parametrize("at_once", [True, False])
def test_the_tables_tell_what_the_log_tells(make, tmp_path, at_once):
    storage = make("x")
    if at_once:
        storage.append(log(), 0)
    else:
        for index, event in enumerate(log()):
            storage.append([event], index)
    assert rows(tmp_path, "select name, status, reason, events, started, updated from experiments") == [
        ("x", "ended", "4 trials are done", len(log()), 1.0, 12.5)
    ]
    assert rows(
        tmp_path,
        "select number, state, cause, message, attempt, proposed, ended, duration, worker, continues, duplicate_of, repeat_of from trials",
    ) == [
        (0, "finished", None, "", 2, 2.0, 5.5, 3.25, "worker-1", None, None, None),
        (1, "finished", None, "", 0, 6.0, 6.0, 0.0, "", None, 0, None),
        (2, "stopped", None, "below the median", 2, 7.0, 10.0, 0.5, "", 0, None, None),
        (3, "pending", None, "", 1, 11.0, None, None, "", None, None, 0),
    ]
    assert rows(tmp_path, "select trial, step, name, value from metrics order by trial, step, name") == [
        (0, 0, "accuracy", 0.1 + 0.2),
        (0, 1, "accuracy", 0.1),
        (1, 0, "accuracy", 0.1 + 0.2),
        (2, 0, "accuracy", 0.0),
    ]
    assert rows(tmp_path, "select epochs, fraction, origin, fingerprint from trials where number = 0") == [
        (3, 0.25, "random", "f0")
    ]
    assert len(rows(tmp_path, "select json from events")) == len(log())


def test_a_step_that_comes_again_replaces_what_came_from_there_on(make, tmp_path):
    storage = make("x")
    start = [
        log()[0],
        events.Opened("h", 1, 0.0, 0.0),
        events.Proposed(0, GENOTYPE, "", 1.0),
        events.Submitted(0, 1, 1.0),
    ]
    storage.append([*start, *(events.Reported(0, step, {"a": float(step)}, 1.0) for step in (1, 2, 3))], 0)
    storage.append([events.Reported(0, 3, {"a": 33.0}, 1.0), events.Lost(0, "", 1.0)], 7)
    storage.close()
    storage = make("x")
    storage.append([events.Submitted(0, 2, 1.0), events.Reported(0, 2, {"a": 22.0}, 1.0)], 9)
    assert rows(tmp_path, "select step, value from metrics order by step") == [(1, 1.0), (2, 22.0)]
    storage.append([events.Failed(0, Cause.ERROR, "no", 1.0, metrics={"a": 1.5})], 11)
    storage.append([events.Retried(0, 1.0)], 12)
    assert rows(tmp_path, "select step, value from metrics order by step") == []
    assert rows(tmp_path, "select state, cause, message, ended from trials") == [("pending", None, "", None)]


def test_the_status_follows_opening_and_closing(make, tmp_path):
    storage = make("x")
    storage.append(log()[:2], 0)
    assert rows(tmp_path, "select status from experiments") == [("running",)]
    storage.append([events.Closed(2.0)], 2)
    assert rows(tmp_path, "select status from experiments") == [("interrupted",)]
    storage.append([events.Opened("h", 1, 0.0, 3.0), events.Ended("done", 4.0)], 3)
    storage.append([events.Closed(4.0)], 5)
    assert rows(tmp_path, "select status, reason from experiments") == [("ended", "done")]


def test_the_database_is_in_wal_mode(make, tmp_path):
    make("x").append(log(), 0)
    assert rows(tmp_path, "pragma journal_mode") == [("wal",)]


def test_it_can_be_read_while_another_writes(make, tmp_path):
    storage = make("x")
    storage.append(log()[:2], 0)
    writer = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    writer.execute("begin immediate")
    assert make("x").read() == log()[:2]
    writer.execute("rollback")
    writer.close()


def test_an_unknown_choice_of_synchronous_is_refused():
    with pytest.raises(ValueError, match="synchronous"):
        Config(synchronous="off")
