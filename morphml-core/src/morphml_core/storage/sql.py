"""The storage `sql` (also `sqlite`): a database with the log of events, and tables for people and dashboards.

    storage: sqlite:///results/digits.db

Several experiments share one database.  What an append writes is one transaction, at the next index only: of processes that append
at the same moment, exactly one succeeds.

SQLite runs in WAL mode.  With `synchronous: normal` (the default) what was appended survives every death of the process, kill -9
too; a power cut may lose the last few appends, but never damages the rest, and lost trials are run again when the search is resumed.
With `synchronous: full` an append is on the disk when it returns, which takes one flush of the disk each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import attrs
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    case,
    delete,
    insert,
    inspect,
    literal_column,
    make_url,
    select,
    update,
)  # fmt: skip
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from morphml_core.errors import ConflictError, StorageError
from morphml_core.experiment.codec import decode, no_collection
from morphml_core.experiment.events import Event
from morphml_core.plugins.component import storage
from morphml_core.storage.sqlite import Sqlite
from morphml_core.storage.tables import EVENTS, EXPERIMENTS, MARK, METRICS, SCHEMA, TABLES, TRIALS, Changes


@attrs.frozen
class Config:
    """Where the database is, and how sure an append is."""

    url: str = "sqlite:///morphml.db"
    """The database: `sqlite:///FILE` (relative to the working directory), `sqlite:////FILE` with the whole path."""
    synchronous: Literal["normal", "full"] = attrs.field(
        default="normal", validator=attrs.validators.in_(("normal", "full"))
    )
    """normal: safe against every death of the process; full: against a power cut too, at the cost of a disk flush an append."""
    patience: float = attrs.field(default=30.0, validator=attrs.validators.ge(0))
    """Seconds to wait for another program that has locked the database."""


class SqlStorage:
    """The log of one experiment in a database.

    `dialect` makes the engine, begins transactions that write, and explains what the database's own errors mean.  Nothing is created
    before the first append.  Raises `StorageError` where the database is not one of ours, or of a newer version.
    """

    def __init__(self, dialect: Sqlite, experiment: str) -> None:
        self._dialect = dialect
        self._name = experiment
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._driver: Any = None
        self._statements: _Statements | None = None
        self._id: int | None = None
        self._steps: dict[int, int] = {}
        if dialect.exists():
            try:
                with self._errors("opened"):
                    self._check(self._connect())
            except StorageError:
                self._forget_connection()
                raise

    # reading and writing -------------------------------------------------------------------------------

    def read(self, after: int = 0) -> Sequence[Event]:
        """The events from index `after` on.  Raises `StorageError` where one cannot be read or is missing."""
        if not self._dialect.exists():
            return []
        with self._errors("read"):
            connection = self._connect()
            if not self._check(connection):
                return []
            rows = self._rows(connection, after)
            connection.rollback()
        with no_collection():
            return [self._decode(position, text, after + place) for place, (position, text) in enumerate(rows)]

    def _rows(self, connection: Connection, after: int) -> Sequence[Any]:
        number = self._find(connection)
        chosen = select(EVENTS.c.position, EVENTS.c.json).where(
            EVENTS.c.experiment == number, EVENTS.c.position >= after
        )
        return connection.execute(chosen.order_by(EVENTS.c.position)).all()

    def _decode(self, position: int, text: str, expected: int) -> Event:
        if position != expected:
            raise StorageError(f"{self._where}: event {expected} is missing; the log is damaged")
        try:
            return decode(text)
        except StorageError as error:
            raise StorageError(f"{self._where}, event {position}: {error}") from None

    @property
    def _where(self) -> str:
        return f"experiment '{self._name}' in {self._dialect.name}"

    def append(self, events: Sequence[Event], expected: int) -> None:
        """Store the events, the first at index `expected`.  Raises `ConflictError` when the log does not end there."""
        try:
            number = self._id if self._connection is not None and self._id is not None else self._ready(self._connect())
            changes = Changes(number, expected, dict(self._steps))
            for event in events:
                changes.add(event)
            self._store(changes, number, expected, len(events))
            self._steps = changes.steps
        except (SQLAlchemyError, self._dialect.error) as error:
            raise self._failed(error, "written") from None

    def _store(self, changes: Changes, number: int, expected: int, count: int) -> None:
        """One transaction, straight with the driver: statements of an append are compiled once, not each time."""
        driver = self._driver
        cursor = driver.cursor()
        try:
            self._dialect.begin_writing(cursor)
            self._take_place(cursor, number, expected, count)
            self._write(cursor, changes)
            driver.commit()
        except BaseException:
            driver.rollback()
            raise
        finally:
            cursor.close()

    def _take_place(self, cursor: Any, number: int, expected: int, count: int) -> None:
        """Move the end of the log on from `expected`: the one statement that decides who may append."""
        cursor.execute(self._sql.advance, {"count": count, "of_id": number, "expected": expected})
        if cursor.rowcount == 1:
            return
        cursor.execute(self._sql.end, {"of_id": number})
        raise ConflictError(
            f"events were to be stored from index {expected} on, but the log of experiment '{self._name}' in {self._dialect.name} "
            f"ends at index {cursor.fetchone()[0]}: another process has appended to this experiment"
        )

    def _write(self, cursor: Any, changes: Changes) -> None:
        sql = self._sql
        statements = [(sql.add_event, changes.events), (sql.add_trial, list(changes.new.values()))]
        statements += [(sql.change_trial(columns), rows) for columns, rows in changes.updates()]
        statements += [(sql.forget_metrics, changes.forgotten), (sql.add_metric, changes.metrics())]
        if changes.status:
            statements.append((sql.change_status(tuple(changes.status)), [{**changes.status, "of_id": self._id}]))
        if changes.closes:
            statements.append((sql.close, [{"of_id": self._id}]))
        for statement, rows in statements:
            if rows:
                cursor.executemany(statement, rows)

    def close(self) -> None:
        """Close the connection.  May be called twice; a later call of another method opens it again."""
        connection, engine = self._connection, self._engine
        self._connection = self._engine = self._statements = None
        if connection is not None:
            connection.close()
        if engine is not None:
            engine.dispose()

    # the database --------------------------------------------------------------------------------------

    @property
    def _sql(self) -> _Statements:
        assert self._engine is not None
        if self._statements is None:
            self._statements = _Statements(self._engine)
        return self._statements

    def _connect(self) -> Connection:
        if self._connection is None:
            self._engine = self._dialect.engine()
            self._connection = self._engine.connect()
            self._driver = self._connection.connection.dbapi_connection
        return self._connection

    def _check(self, connection: Connection) -> bool:
        """Whether our tables are there.  Raises `StorageError` where the database belongs to something else."""
        if self._id is not None:
            return True
        names = inspect(connection).get_table_names()
        version = connection.execute(select(MARK.c.schema)).scalar() if MARK.name in names else None
        connection.rollback()
        if version is None and names:
            raise StorageError(
                f"{self._dialect.name} is a database of another program (it has {_some(names)}); name another file for the experiment"
            )
        if version is not None and version > SCHEMA:
            raise StorageError(
                f"{self._dialect.name} has tables of version {version}, and this MorphML knows versions up to {SCHEMA}: a newer MorphML wrote it; "
                "install that version or a later one"
            )
        return version is not None

    def _ready(self, connection: Connection) -> int:
        """The number of the experiment; makes the tables and its row where they are missing."""
        if self._id is None:
            if not self._check(connection):
                with self._transaction(connection):
                    # Another process may have been faster; then nothing is made.
                    TABLES.create_all(connection)
                    if connection.execute(select(MARK.c.schema)).scalar() is None:
                        connection.execute(insert(MARK).values(schema=SCHEMA))
            with self._transaction(connection):
                if self._find(connection) is None:
                    connection.execute(insert(EXPERIMENTS).values(name=self._name, status="new", reason="", events=0))
            self._id = self._find(connection)
            connection.rollback()
        assert self._id is not None
        return self._id

    def _find(self, connection: Connection) -> int | None:
        if self._id is not None:
            return self._id
        found: int | None = connection.execute(
            select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.name == self._name)
        ).scalar()
        return found

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[None]:
        with connection.begin():
            self._dialect.begin_writing(connection.connection.cursor())
            yield

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._dialect.error) as error:
            raise self._failed(error, done) from None

    def _failed(self, error: Exception, done: str) -> StorageError:
        self._forget_connection()
        return StorageError(self._dialect.explain(error, done))

    def _forget_connection(self) -> None:
        try:
            self.close()
        except (SQLAlchemyError, self._dialect.error):
            self._connection = self._engine = self._statements = None


class _Statements:
    """The statements of an append, compiled once for the database's dialect."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.add_event = self._compile(insert(EVENTS))
        self.add_trial = self._compile(insert(TRIALS))
        self.add_metric = self._compile(insert(METRICS))
        this = EXPERIMENTS.c.id == bindparam("of_id")
        more = {"events": EXPERIMENTS.c.events + bindparam("count")}
        self.advance = self._compile(
            update(EXPERIMENTS).where(this & (EXPERIMENTS.c.events == bindparam("expected"))).values(more)
        )
        status = case(
            (EXPERIMENTS.c.reason != literal_column("''"), literal_column("'ended'")),
            else_=literal_column("'interrupted'"),
        )
        self.close = self._compile(update(EXPERIMENTS).where(this).values(status=status))
        self.end = self._compile(select(EXPERIMENTS.c.events).where(this))
        of_trial = (METRICS.c.experiment == bindparam("of_experiment")) & (METRICS.c.trial == bindparam("of_trial"))
        self.forget_metrics = self._compile(
            delete(METRICS).where(of_trial & (METRICS.c.step >= bindparam("from_step")))
        )
        self.change_trial: Callable[[tuple[str, ...]], str] = cache(self._change_trial)

    def _change_trial(self, columns: tuple[str, ...]) -> str:
        of_trial = (TRIALS.c.experiment == bindparam("of_experiment")) & (TRIALS.c.number == bindparam("of_number"))
        return self._compile(update(TRIALS).where(of_trial).values({column: bindparam(column) for column in columns}))

    def change_status(self, columns: tuple[str, ...]) -> str:
        """Set these columns of an experiment's row."""
        this = EXPERIMENTS.c.id == bindparam("of_id")
        return self._compile(update(EXPERIMENTS).where(this).values({column: bindparam(column) for column in columns}))

    def _compile(self, statement: Any) -> str:
        return str(statement.compile(dialect=self._engine.dialect))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def create(config: Config, experiment: str) -> SqlStorage:
    """The storage of an experiment.  Raises `StorageError` where the URL names no database that can be used."""
    try:
        url = make_url(config.url)
    except ArgumentError:
        raise StorageError(f"'{config.url}' is not the URL of a database; write sqlite:///FILE.db") from None
    if url.get_backend_name() != "sqlite":
        raise StorageError(f"'{config.url}' names a database of another kind; this storage has sqlite:///FILE.db")
    return SqlStorage(Sqlite(url, config.synchronous, config.patience), experiment)


component = storage(Config, create)
