"""A database and a list, given the same appends, stay equal whatever happens in between."""

import sqlite3
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from morphml_core.errors import ConflictError
from morphml_core.experiment import events
from morphml_core.experiment.state import TRANSITIONS, State
from morphml_core.problem import Cause
from morphml_core.storage.memory import Memory
from morphml_core.storage.sql import Config, component
from morphml_core.testing.storage import GENOTYPE

METRICS = st.dictionaries(st.sampled_from(("accuracy", "loss", "latency ms")), st.floats(allow_nan=False), max_size=3)


class Storages(RuleBasedStateMachine):
    """Appends legal events in batches of any size, through several openings, and compares."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.place = Memory()
        self.openings = [self.open() for _ in range(2)]
        self.state = State()
        self.batch = []
        self.add(events.Started({}, {}, 0.0))
        self.commit(0)

    def open(self):
        sql = component.create(Config(f"sqlite:///{self.folder.name}/x.db"), "x")
        return sql, self.place.open("x")

    def add(self, event):
        self.state.apply(event)
        self.batch.append(event)

    @rule(data=st.data(), metrics=METRICS, step=st.integers(1, 5), text=st.text(max_size=8))
    def trial(self, data, metrics, step, text):
        numbers = range(len(self.state.trials) + 1)
        number = data.draw(st.sampled_from(numbers))
        if number == len(self.state.trials):
            self.add(events.Proposed(number, GENOTYPE, text, 1.0, origin=text))
            return
        before = self.state.state_of(number)
        legal = [kind for kind, table in TRANSITIONS.items() if before in table]
        if not legal:
            return
        attempt = self.state.attempts_of(number) + 1
        make = {
            events.Submitted: lambda: events.Submitted(number, attempt, 2.0),
            events.Reported: lambda: events.Reported(number, step, metrics, 3.0),
            events.Finished: lambda: events.Finished(number, metrics, 4.0, 1.0, text),
            events.Failed: lambda: events.Failed(number, Cause.ERROR, text, 4.0, 1.0, metrics),
            events.Stopped: lambda: events.Stopped(number, metrics, text, 4.0),
            events.Lost: lambda: events.Lost(number, text, 5.0),
            events.Retried: lambda: events.Retried(number, 6.0),
        }
        self.add(make[data.draw(st.sampled_from(legal))]())

    @rule(reason=st.text(max_size=5))
    def hold(self, reason):
        if self.state.holder is None:
            self.add(events.Opened("host", 1, 0.0, 7.0))
        else:
            self.add(events.Ended(reason or "done", 8.0))
            self.add(events.Closed(8.0))

    @precondition(lambda self: self.batch)
    @rule(who=st.integers(0, 1))
    def commit(self, who):
        for storage in self.openings[who]:
            storage.append(self.batch, self.state.index - len(self.batch))
        self.batch = []

    @rule(who=st.integers(0, 1), offset=st.integers(-3, 3).filter(bool))
    def wrong_place(self, who, offset):
        expected = self.state.index - len(self.batch) + offset
        for storage in self.openings[who]:
            try:
                storage.append([events.Closed(0.0)], expected)
            except ConflictError:
                continue
            raise AssertionError("an append at a wrong place went through")

    @rule(who=st.integers(0, 1))
    def reopen(self, who):
        for storage in self.openings[who]:
            storage.close()
        self.openings[who] = self.open()

    @rule(after=st.integers(0, 30), who=st.integers(0, 1))
    def read(self, after, who):
        sql, memory = self.openings[who]
        assert list(sql.read(after)) == list(memory.read(after))

    @invariant()
    def tables_agree(self):
        if self.batch:
            return
        state = State.of(self.openings[0][1].read())
        connection = sqlite3.connect(Path(self.folder.name) / "x.db")
        trials = connection.execute("select number, state, attempt from trials order by number").fetchall()
        found = connection.execute("select trial, step, name, value from metrics").fetchall()
        status = connection.execute("select status, events from experiments").fetchall()
        connection.close()
        assert trials == [(n, str(t.state), state.attempts_of(n)) for n, t in state.trials.items()]
        results = [(n, 0, name, value) for n, t in state.trials.items() for name, value in t.metrics.items()]
        curves = [
            (n, step, name, value)
            for n, trial in state.trials.items()
            for step, metrics in trial.curve
            for name, value in metrics.items()
        ]
        assert sorted(found) == sorted(results + curves)
        assert status == [(state.status, state.index)]

    def teardown(self):
        for sql, _ in self.openings:
            sql.close()
        self.folder.cleanup()


Storages.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_storages = Storages.TestCase
