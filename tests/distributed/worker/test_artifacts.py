"""The master's artifacts through a socket."""

import threading
import time

import cloudpickle
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.testing.artifacts import ArtifactsSuite
from morphml_distributed.security.settings import Security
from morphml_distributed.worker.artifacts import MasterArtifacts, SessionKey


def store(master, tmp_path, patience=20.0):
    key = SessionKey(tmp_path / "session")
    key.write(master.script.key)
    return MasterArtifacts(master.address, Security(), key, patience)


class TestMasterArtifacts(ArtifactsSuite):
    @pytest.fixture
    def make(self, master, tmp_path):
        return lambda: store(master, tmp_path)


def test_a_name_that_is_none(master, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MorphMLError) as caught:
        store(master, tmp_path).put("../etc/passwd", tmp_path / "file")
    assert str(caught.value) == (
        "the artifact '../etc/passwd' cannot be stored with the master: '../etc/passwd' is not the name of an artifact; names are words "
        "joined by slashes, such as 17/checkpoint"
    )


def test_a_file_that_is_not_there(master, tmp_path):
    with pytest.raises(MorphMLError) as caught:
        store(master, tmp_path).put("1/model", tmp_path / "nowhere")
    assert (
        str(caught.value)
        == f"the artifact '1/model' cannot be read from {tmp_path / 'nowhere'}: No such file or directory"
    )


def test_it_waits_for_the_next_master_and_its_key(master, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    key = SessionKey(tmp_path / "session")
    key.write(master.script.key)
    artifacts = cloudpickle.loads(cloudpickle.dumps(store(master, tmp_path)))
    master.shut()
    done = threading.Thread(target=artifacts.put, args=("1/model", tmp_path / "file"))
    done.start()
    time.sleep(0.2)
    master.script.term, before = 2, master.script.calls
    master.open()
    while master.script.calls == before:  # it tries with the key of the former session, in vain
        time.sleep(0.01)
    key.write(master.script.key)
    done.join(10)
    assert artifacts.names() == ["1/model"]


def test_patience_ends(master, tmp_path):
    master.script.term = 9
    SessionKey(tmp_path / "session").write("key of long ago")
    artifacts = MasterArtifacts(master.address, Security(), SessionKey(tmp_path / "session"), 0.3)
    with pytest.raises(MorphMLError) as caught:
        artifacts.names()
    assert str(caught.value) == "the artifacts of the master cannot be listed: this is no session of now"


def test_the_key_is_for_this_user_alone(tmp_path):
    SessionKey(tmp_path / "session").write("secret")
    assert (tmp_path / "session").stat().st_mode & 0o777 == 0o600
    assert SessionKey(tmp_path / "session").read() == "secret"
    assert SessionKey(tmp_path / "none").read() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["session"]
