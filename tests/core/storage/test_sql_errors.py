"""What may be wrong with a database file: each with its sentence."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from morphml_core.errors import ConflictError, StorageError
from morphml_core.experiment import events
from morphml_core.storage.sql import Config, component
from morphml_core.testing.storage import log


@pytest.fixture
def open_at():
    opened = []

    def opening(path, name="x", **options):
        opened.append(component.create(Config(f"sqlite:///{path}", **options), name))
        return opened[-1]

    yield opening
    for storage in opened:
        storage.close()


def refused(function, *arguments, **options):
    with pytest.raises(StorageError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"experiment: digits\n" * 100, b"\0" * 5000, b"SQLite format 3\0 or not"])
def test_a_file_that_is_no_database(open_at, tmp_path, content):
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert refused(open_at, path) == f"{path} is not an SQLite database; name another file, or move this one away"
    assert path.read_bytes() == content


def test_a_database_of_another_program(open_at, tmp_path):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    for name in ("studies", "study_attributes", "trials", "version"):
        connection.execute(f"create table {name} (id integer)")
    connection.close()
    assert refused(open_at, path) == (
        f"{path} is a database of another program (it has studies, study_attributes, trials, ...); name another file for the experiment"
    )


def test_a_database_of_a_newer_version(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path)
    storage.append(log(), 0)
    storage.close()
    connection = sqlite3.connect(path)
    connection.execute("update morphml set schema = 2")
    connection.commit()
    connection.close()
    assert refused(open_at, path) == (
        f"{path} has tables of version 2, and this MorphML knows versions up to 1: a newer MorphML wrote it; install that version or a later one"
    )


def test_an_event_of_a_newer_version(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path)
    storage.append(log(), 0)
    connection = sqlite3.connect(path)
    connection.execute("""update events set json = '{"type":"pruned","version":1}' where position = 3""")
    connection.commit()
    assert refused(storage.read) == (
        f"experiment 'x' in {path}, event 3: an event of type 'pruned' in format 1 cannot be read (known are formats up to 1): a newer MorphML wrote "
        "it; install that version or a later one"
    )
    assert len(storage.read(4)) == len(log()) - 4
    connection.execute("delete from events where position = 3")
    connection.commit()
    connection.close()
    assert refused(storage.read) == f"experiment 'x' in {path}: event 3 is missing; the log is damaged"


def test_a_folder_that_is_not_there(open_at, tmp_path):
    path = tmp_path / "results" / "x.db"
    assert (
        refused(open_at, path)
        == f"{path} cannot be made: there is no folder {tmp_path}/results; make it, or name another"
    )


@pytest.mark.parametrize("below", ["x.db", "deep/x.db"])
def test_a_file_in_place_of_a_folder(open_at, tmp_path, below):
    file = tmp_path / "results"
    file.write_text("mine")
    found = refused(open_at, file / below)
    assert found == f"{file / below} cannot be made: {file} is a file, not a folder; name another"


def test_a_folder_in_place_of_a_file(open_at, tmp_path):
    assert (
        refused(open_at, tmp_path)
        == f"{tmp_path} is a folder; name a file in it, such as sqlite:///{tmp_path}/results.db"
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite://", "'sqlite:///' names no file; write sqlite:///FILE.db, or use the storage 'memory'"),
        (
            "sqlite:///:memory:",
            "'sqlite:///:memory:' names no file; write sqlite:///FILE.db, or use the storage 'memory'",
        ),
        ("results.db", "'results.db' is not the URL of a database; write sqlite:///FILE.db"),
        (
            "mysql://host/x",
            "'mysql://host/x' names a database of another kind; this storage has sqlite:///FILE.db",
        ),
    ],
)
def test_an_url_that_names_no_file(url, sentence):
    assert refused(component.create, Config(url), "x") == sentence


def test_a_locked_database(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path, patience=0.1)
    storage.append(log()[:2], 0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    assert refused(storage.append, log()[2:3], 2) == (
        f"{path} cannot be written: another program has locked it for 0.1 s; close that program, and run this again"
    )
    other.execute("rollback")
    other.close()
    storage.append(log()[2:3], 2)
    assert storage.read() == log()[:3]
    storage.close()


def test_a_damaged_database(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path)
    storage.append(log(), 0)
    storage.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    assert (
        refused(lambda: open_at(path).read()) == f"{path} is damaged: SQLite finds its pages malformed; restore a copy"
    )


FILL = """
import sys
from morphml_core.errors import StorageError
from morphml_core.storage.sql import Config, component
from morphml_core.testing.storage import log
from morphml_core.experiment import events
storage = component.create(Config("sqlite:///" + sys.argv[1]), "x")
storage.append(log()[:2], 0)
for index in range(2, 2000):
    try:
        storage.append([events.Proposed(index - 2, log()[2].genotype, "f" * 1000, 1.0)], index)
    except StorageError as error:
        print(index, error, sep="\\n")
        break
"""


@pytest.fixture
def small_disk(tmp_path):
    """A mounted file system of one megabyte."""
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk(open_at, small_disk):
    path = small_disk / "x.db"
    run = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True)
    index, sentence = run.stdout.splitlines()
    assert sentence == (
        f"{path} cannot be written: the disk is full; free some space and run this again: all that was stored before is there"
    )
    kept = open_at(path)
    assert len(kept.read()) == int(index) > 20
    kept.close()


def test_a_full_database(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path)
    storage.append(log()[:2], 0)
    storage._connect().exec_driver_sql("pragma max_page_count = 20")
    storage._connect().rollback()
    index, sentence = 2, ""
    while not sentence:
        try:
            storage.append([events.Proposed(index - 2, log()[2].genotype, "f" * 1000, 1.0)], index)
            index += 1
        except StorageError as error:
            sentence = str(error)
    assert sentence == (
        f"{path} cannot be written: the disk is full; free some space and run this again: all that was stored before is there"
    )
    stored = storage.read()
    assert len(stored) == index
    storage.append([events.Proposed(index - 2, log()[2].genotype, "f" * 1000, 1.0)], index)
    storage.close()


@pytest.fixture
def public_folder():
    """A folder that other users can look into; those of pytest are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(path):
    """What a user without rights is told who opens and appends, in a child process."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            storage = component.create(Config(f"sqlite:///{path}"), "x")
            storage.append(log()[:1], len(storage.read()))
            os.write(writer, b"stored")
        except StorageError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as told:
        return told.read()


def test_a_folder_that_cannot_be_written_to(public_folder):
    path = public_folder / "x.db"
    assert as_nobody(path) == f"{path} cannot be made: the folder {public_folder} cannot be written to; name another"


def test_a_file_that_cannot_be_written_to(open_at, public_folder):
    path = public_folder / "x.db"
    storage = open_at(path)
    storage.append(log()[:1], 0)
    storage.close()
    path.chmod(0o644)
    found = as_nobody(path)
    assert re.fullmatch(
        f"{re.escape(str(path))} cannot be (opened|read|written): it, or its folder, (is read-only|cannot be opened for writing); "
        "check (its|their) permissions",
        found,
    ), found


def test_a_conflict_says_where_the_log_ends(open_at, tmp_path):
    path = tmp_path / "x.db"
    storage = open_at(path)
    storage.append(log()[:4], 0)
    with pytest.raises(ConflictError) as caught:
        storage.append(log()[4:5], 3)
    assert str(caught.value) == (
        f"events were to be stored from index 3 on, but the log of experiment 'x' in {path} ends at index 4: another process has appended "
        "to this experiment"
    )
    storage.close()


def test_what_is_no_json_is_refused_and_nothing_is_stored(open_at, tmp_path):
    storage = open_at(tmp_path / "x.db")
    storage.append(log()[:2], 0)
    bad = events.Started({"space": object}, {}, 1.0)
    assert refused(storage.append, [log()[2], bad], 2) == (
        "the event Started cannot be stored as JSON: <class 'object'> (a type) is no JSON value"
    )
    assert storage.read() == log()[:2]
    storage.close()
