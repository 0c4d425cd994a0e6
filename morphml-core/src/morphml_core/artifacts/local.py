"""Artifacts `local`: models and checkpoints as files in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.plugins.component import artifacts

_UNFINISHED = ".unfinished-"


@attrs.frozen
class Config:
    """Where the files are kept: a folder, made when something is first stored (default: `<experiment>-artifacts`)."""

    folder: str | None = None


_FULL = (errno.ENOSPC, errno.EDQUOT)


class LocalArtifacts:
    """Keeps each artifact as one file of that name; slashes in a name are folders.

    `put` writes a file beside the final one, makes it durable (fsync) and renames it: another process reads the old content or the
    new, also when this one, or the machine, dies meanwhile.  What a killed `put` leaves is no artifact, and is never listed.
    """

    def __init__(self, config: Config, experiment: str) -> None:
        self._folder = Path(config.folder or f"{experiment}-artifacts").absolute()

    def put(self, name: str, source: Path) -> None:
        """Store a copy of the file.  Raises `MorphMLError` when it cannot be read, or the folder not be written."""
        target = self._path(name)
        with _explained(f"the artifact '{name}' cannot be stored in {self._folder}"):
            with open(source, "rb") as read:
                _write(read, target)
            _sync(target.parent)

    def get(self, name: str, target: Path) -> bool:
        """Copy the artifact to `target`; False where there is none of that name."""
        source = self._path(name)
        with _explained(f"the artifact '{name}' of {self._folder} cannot be copied to {target}"):
            try:
                read = open(source, "rb")  # noqa: SIM115 - closed below
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return False
            with read, open(target, "wb") as written:
                shutil.copyfileobj(read, written, 2**20)
        return True

    def names(self, prefix: str = "") -> Sequence[str]:
        """The names that begin with `prefix`, sorted."""
        start = self._folder / prefix.rpartition("/")[0]
        if ".." in PurePosixPath(prefix).parts or prefix.startswith("/"):
            return []
        with _explained(f"the artifacts in {self._folder} cannot be listed"):
            found = [
                Path(folder, file).relative_to(self._folder).as_posix()
                for folder, _, files in os.walk(start)
                for file in files
                if not file.startswith(_UNFINISHED)
            ]
        return sorted(name for name in found if name.startswith(prefix))

    def delete(self, name: str) -> None:
        """Forget the artifact, and the folders that are then empty; nothing happens where there is none."""
        path = self._path(name)
        with _explained(f"the artifact '{name}' of {self._folder} cannot be deleted"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
        with contextlib.suppress(OSError):  # until one is not empty
            for folder in path.relative_to(self._folder).parents:
                if folder != Path():
                    (self._folder / folder).rmdir()

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if (
            any(part in ("", ".", "..") or part.startswith(_UNFINISHED) for part in parts)
            or "\\" in name
            or "\0" in name
        ):
            raise MorphMLError(
                f"'{name}' is not the name of an artifact; names are words joined by slashes, such as 17/checkpoint"
            )
        return self._folder.joinpath(*parts)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = "; free some space, then `morphml retry` runs the trial again" if error.errno in _FULL else ""
        raise MorphMLError(f"{what}: {error.strerror or error}{cure}") from error


def _write(read: BinaryIO, target: Path) -> None:
    written = _beside(target)
    try:
        with written:
            shutil.copyfileobj(read, written, 2**20)
            written.flush()
            os.fsync(written.fileno())
        os.replace(written.name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(written.name)
        raise


def _beside(target: Path) -> BinaryIO:
    unfinished = target.with_name(f"{_UNFINISHED}{os.getpid()}-{uuid.uuid4().hex}")
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            return open(unfinished, "xb")
        except FileNotFoundError:
            continue  # a `delete` has just removed the folder, which was empty


def _sync(folder: Path) -> None:
    # Makes the rename itself durable; not every file system lets a folder be synchronised.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


component = artifacts(Config, LocalArtifacts)
