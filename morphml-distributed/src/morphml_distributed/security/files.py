"""Writes the files of a cluster: an authority, certificates, keys and a token, readable by their owner alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import attrs

from morphml_distributed.security.authority import issue_master, issue_worker, make_authority
from morphml_distributed.security.settings import SecurityError
from morphml_distributed.security.tokens import new_token

FOR_MASTER = ("ca.pem", "master.pem", "master.key", "token")
FOR_WORKERS = ("ca.pem", "worker.pem", "worker.key", "token")
FILES = tuple(dict.fromkeys((*FOR_MASTER, *FOR_WORKERS, "ca.key")))


@attrs.frozen
class Written:
    """The folder that the files went to, and when their certificates expire."""

    folder: Path
    until: datetime


def write_cluster(folder: Path, hosts: Sequence[str], days: int) -> Written:
    """Make everything and write it.  Raises `SecurityError`, before anything is written, where a file is there already."""
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there:
        raise SecurityError(
            f"{folder} already has {', '.join(there)}; name another folder, as a cluster in use would not know the new ones"
        )
    authority = make_authority(days)
    master, worker = issue_master(authority, hosts, days), issue_worker(authority, days)
    content = {
        "ca.pem": authority.certificate_pem, "ca.key": authority.key_pem,
        "master.pem": master.certificate_pem, "master.key": master.key_pem,
        "worker.pem": worker.certificate_pem, "worker.key": worker.key_pem,
        "token": f"{new_token()}\n".encode(),
    }  # fmt: skip
    _write(folder, content)
    return Written(folder, min(each.certificate.not_valid_after_utc for each in (authority, master, worker)))


def _write(folder: Path, content: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in content.items():
            # Never over a file that came meanwhile, nor for a moment readable by others.
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except OSError as error:
        raise SecurityError(f"the files of the cluster cannot be written to {folder}: {error.strerror}") from None
