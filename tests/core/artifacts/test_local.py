import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.artifacts.local import Config, LocalArtifacts
from morphml_core.errors import MorphMLError
from morphml_core.testing.artifacts import ArtifactsSuite


class TestLocal(ArtifactsSuite):
    @pytest.fixture
    def make(self, tmp_path):
        return lambda: LocalArtifacts(Config(str(tmp_path / "store")), "digits")


@pytest.fixture
def store(tmp_path):
    return LocalArtifacts(Config(str(tmp_path / "store")), "digits")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def test_the_folder_is_named_after_the_experiment_and_made_late(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    store = LocalArtifacts(Config(), "digits")
    assert store.names() == []
    assert not Path("digits-artifacts").exists()
    store.put("1/model", source)
    assert (tmp_path / "digits-artifacts" / "1" / "model").read_bytes() == b"content"


def test_a_later_change_of_the_working_directory_does_not_matter(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    store = LocalArtifacts(Config("here"), "digits")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("model", source)
    assert (tmp_path / "here" / "model").exists()


@pytest.mark.parametrize(
    "name", ["", "/", "/etc/passwd", "..", "../model", "1/../../model", "1//model", "1/", ".", "a\\b", "a\0b"]
)
def test_names_that_leave_the_folder_are_refused(store, source, tmp_path, name):
    sentence = f"'{name}' is not the name of an artifact; names are words joined by slashes, such as 17/checkpoint"
    for action in (
        lambda: store.put(name, source),
        lambda: store.get(name, tmp_path / "target"),
        lambda: store.delete(name),
    ):
        with pytest.raises(MorphMLError) as error:
            action()
        assert str(error.value) == sentence
    assert store.names("../") == store.names("/") == []


@given(name=st.text(alphabet="./\\a\0", max_size=8))
def test_no_name_reaches_outside(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "inside"
    try:
        path = LocalArtifacts(Config(str(folder)), "digits")._path(name)
    except MorphMLError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(folder)
    assert path != folder


def test_a_source_that_is_not_there(store, tmp_path):
    with pytest.raises(MorphMLError) as error:
        store.put("model", tmp_path / "missing")
    assert str(error.value) == f"the artifact 'model' cannot be stored in {tmp_path}/store: No such file or directory"
    assert store.names() == []


def test_a_folder_that_is_a_file(tmp_path, source):
    with pytest.raises(MorphMLError) as error:
        LocalArtifacts(Config(str(source)), "digits").put("model", source)
    assert str(error.value) == f"the artifact 'model' cannot be stored in {source}: File exists"


def test_a_target_that_cannot_be_written(store, source, tmp_path):
    store.put("model", source)
    with pytest.raises(MorphMLError) as error:
        store.get("model", tmp_path / "nowhere" / "target")
    assert str(error.value) == (
        f"the artifact 'model' of {tmp_path}/store cannot be copied to {tmp_path}/nowhere/target: No such file or directory"
    )


LIMITED = """
import resource, signal, sys
from pathlib import Path
from morphml_core.artifacts.local import Config, LocalArtifacts
from morphml_core.errors import MorphMLError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LocalArtifacts(Config(sys.argv[1]), "digits").put("model", Path(sys.argv[2]))
except MorphMLError as error:
    print(error)
"""


def test_a_disk_without_room_keeps_the_old_content(store, tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"old")
    large.write_bytes(b"x" * 5000)
    store.put("model", small)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "store"), str(large)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"the artifact 'model' cannot be stored in {tmp_path}/store: File too large\n"
    assert store.get("model", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"old"
    assert os.listdir(tmp_path / "store") == ["model"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_named(store, source):
    store.put("model", source)
    with pytest.raises(MorphMLError) as error:
        store.get("model", Path("/dev/full"))
    assert str(error.value).endswith(
        "cannot be copied to /dev/full: No space left on device; free some space, then `morphml retry` runs the trial again"
    )


def test_what_a_killed_put_leaves_is_no_artifact(store, source, tmp_path):
    store.put("1/model", source)
    (tmp_path / "store" / "1" / ".unfinished-123-abc").write_bytes(b"half")
    assert store.names() == ["1/model"]


def test_empty_folders_go_with_their_last_artifact(store, source, tmp_path):
    for name in ("1/deep/model", "1/checkpoint"):
        store.put(name, source)
    store.delete("1/deep/model")
    assert sorted(os.listdir(tmp_path / "store" / "1")) == ["checkpoint"]
    store.delete("1/checkpoint")
    assert os.listdir(tmp_path / "store") == []


def test_files_have_the_rights_of_any_new_file(store, source, tmp_path):
    store.put("model", source)
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"")
    assert (tmp_path / "store" / "model").stat().st_mode == fresh.stat().st_mode
