"""What is special about SQLite: opening the file, the pragmas, the lock, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from morphml_core.errors import StorageError


class Sqlite:
    """One SQLite file.  Raises `StorageError` where there can be none."""

    error = sqlite3.Error
    """The base of the driver's errors."""

    def __init__(self, url: URL, synchronous: str, patience: float) -> None:
        if not url.database or url.database == ":memory:":
            raise StorageError(
                f"'sqlite:///{url.database or ''}' names no file; write sqlite:///FILE.db, or use the storage 'memory'"
            )
        self._url = url
        self._path = Path(url.database)
        self._synchronous = synchronous
        self._patience = patience
        self._refuse_impossible()

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self._path)

    def _refuse_impossible(self) -> None:
        path, folder = self._path, self._path.absolute().parent
        if path.is_dir():
            raise StorageError(f"{path} is a folder; name a file in it, such as sqlite:///{path / 'results.db'}")
        file = next((each for each in (folder, *folder.parents) if each.exists()), folder)
        if not file.is_dir():
            raise StorageError(f"{path} cannot be made: {file} is a file, not a folder; name another")
        if not folder.is_dir():
            raise StorageError(f"{path} cannot be made: there is no folder {folder}; make it, or name another")
        if not path.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(f"{path} cannot be made: the folder {folder} cannot be written to; name another")

    def exists(self) -> bool:
        """Whether there is anything to read."""
        try:
            return self._path.stat().st_size > 0
        except OSError:
            return False

    def engine(self) -> Engine:
        """An engine with one connection, which may be used by one thread at a time."""
        options = {"timeout": self._patience, "check_same_thread": False, "isolation_level": None}
        engine = create_engine(self._url, poolclass=StaticPool, connect_args=options, paramstyle="named")
        event.listen(engine, "connect", self._configure)
        return engine

    def _configure(self, connection: Any, record: Any) -> None:
        # WAL lets others read while the search writes, and needs no flush for an append to survive the process.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous.upper()}")
        # Copying the log back flushes the disk: every 16 MB instead of every 4 MB makes small appends a tenth faster.
        connection.execute("PRAGMA wal_autocheckpoint=4000")

    def begin_writing(self, cursor: Any) -> None:
        """Begin a transaction that will write: it takes the lock now, and so never fails half way."""
        cursor.execute("BEGIN IMMEDIATE")

    def explain(self, error: Exception, done: str) -> str:
        """What an error, of SQLAlchemy or the driver, means, and what to do."""
        origin = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(origin, "sqlite_errorname", "")
        for start, sentence in _MEANING.items():
            if code.startswith(start):
                return sentence.format(path=self._path, done=done, patience=f"{self._patience:g}")
        return f"{self._path} could not be {done}: {origin}"


_MEANING = {
    "SQLITE_NOTADB": "{path} is not an SQLite database; name another file, or move this one away",
    "SQLITE_CORRUPT": "{path} is damaged: SQLite finds its pages malformed; restore a copy",
    "SQLITE_CANTOPEN": "{path} cannot be {done}: it, or its folder, cannot be opened for writing; check their permissions",
    "SQLITE_READONLY": "{path} cannot be {done}: it, or its folder, is read-only; check their permissions",
    "SQLITE_PERM": "{path} cannot be {done}: access is not permitted; check its permissions",
    "SQLITE_BUSY": "{path} cannot be {done}: another program has locked it for {patience} s; close that program, and run this again",
    "SQLITE_LOCKED": "{path} cannot be {done}: another program has locked it for {patience} s; close that program, and run this again",
    "SQLITE_FULL": "{path} cannot be {done}: the disk is full; free some space and run this again: all that was stored before is there",
    "SQLITE_IOERR": "{path} cannot be {done}: the disk reports an error; check it, and its free space",
}
"""Sentences by the beginning of SQLite's name of the error."""
