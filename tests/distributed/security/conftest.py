"""A cluster's files, made once, and another cluster's, which must open nothing."""

from pathlib import Path

import attrs
import pytest

from morphml_distributed.security.files import write_cluster
from morphml_distributed.security.settings import Security


@attrs.frozen
class Cluster:
    """The security of the master and of its workers."""

    folder: Path
    master: Security
    worker: Security


def cluster_in(folder):
    write_cluster(folder, ["10.1.2.3", "desk.example"], 30)
    ends = (
        Security(folder / "ca.pem", folder / f"{end}.pem", folder / f"{end}.key", folder / "token")
        for end in ("master", "worker")
    )
    return Cluster(folder, *ends)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    return cluster_in(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture(scope="session")
def other_cluster(tmp_path_factory):
    return cluster_in(tmp_path_factory.mktemp("certificates") / "theirs")
