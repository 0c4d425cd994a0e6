"""Private folders are removed at the end, also those of processes that were killed."""

import os
import subprocess
import sys
import tempfile

import pytest

from morphml_distributed.folders import PrivateFolder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def left(here):
    """The folder of a process that was killed."""
    code = "import os; from morphml_distributed.folders import PrivateFolder; PrivateFolder('test'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    (folder,) = here.iterdir()
    return folder


def test_it_is_removed_at_the_end(here):
    folder = PrivateFolder("test")
    (folder.path / "file").write_text("x")
    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    folder.close()
    assert list(here.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(here):
    killed = left(here)
    living, other = PrivateFolder("test"), here / "morphml-test-mine"
    other.mkdir()
    assert killed.exists()  # it is too young to tell
    for folder in (killed, living.path, other):
        os.utime(folder, (0, 0))
    PrivateFolder("test").close()
    assert sorted(here.iterdir()) == sorted([living.path, other])
    living.close()
