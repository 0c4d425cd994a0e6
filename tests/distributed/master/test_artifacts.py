import hashlib

import grpc
import pytest

from morphml_distributed.wire import morphml_pb2 as pb

CHUNK = 2**20


@pytest.fixture
def worker(master, peer):
    return peer(master(artifact_size=3 * CHUNK)).join()


def keyed(worker):
    return {"metadata": (("morphml-session", worker.welcome.session_key),), "timeout": 10}


def chunks(name, *parts, digest=None):
    whole = hashlib.sha256(b"".join(parts)).digest() if digest is None else digest
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        yield pb.ArtifactChunk(name="" if index else name, data=part, sha256=whole if last else b"")


def fetch(worker, name):
    return list(worker.stub.GetArtifact(pb.ArtifactName(name=name), **keyed(worker)))


def failure(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def test_an_artifact_comes_back_as_it_went(worker, tmp_path):
    parts = [bytes([number]) * CHUNK for number in range(2)] + [b"the end"]
    stored = worker.stub.PutArtifact(chunks("3/checkpoint", *parts), **keyed(worker))
    assert stored.size == 2 * CHUNK + 7
    assert (tmp_path / "artifacts" / "3" / "checkpoint").read_bytes() == b"".join(parts)
    found = fetch(worker, "3/checkpoint")
    assert [chunk.data for chunk in found] == parts
    assert [chunk.name for chunk in found] == ["3/checkpoint", "", ""]
    assert [chunk.sha256 for chunk in found] == [b"", b"", hashlib.sha256(b"".join(parts)).digest()]


def test_an_empty_artifact_is_one(worker):
    worker.stub.PutArtifact(chunks("3/empty", b""), **keyed(worker))
    assert fetch(worker, "3/empty") == [pb.ArtifactChunk(name="3/empty", sha256=hashlib.sha256(b"").digest())]


def test_one_that_is_missing_is_said_to_be(worker):
    assert fetch(worker, "9/checkpoint") == [pb.ArtifactChunk(name="9/checkpoint", missing=True)]


def test_names_are_listed_and_forgotten(worker):
    for name in ("3/a", "3/b", "4/a"):
        worker.stub.PutArtifact(chunks(name, b"x"), **keyed(worker))
    assert worker.stub.ListArtifacts(pb.ArtifactPrefix(prefix="3/"), **keyed(worker)).names == ["3/a", "3/b"]
    worker.stub.DeleteArtifact(pb.ArtifactName(name="3/a"), **keyed(worker))
    assert worker.stub.ListArtifacts(pb.ArtifactPrefix(prefix=""), **keyed(worker)).names == ["3/b", "4/a"]


def test_who_has_no_session_gets_nothing(worker, until):
    said = (grpc.StatusCode.UNAUTHENTICATED, "the session of this call is none, or has ended")
    assert failure(lambda: worker.stub.ListArtifacts(pb.ArtifactPrefix())) == said
    wrong = (("morphml-session", "guessed"),)
    assert failure(lambda: worker.stub.DeleteArtifact(pb.ArtifactName(name="3/a"), metadata=wrong)) == said
    assert failure(lambda: list(worker.stub.GetArtifact(pb.ArtifactName(name="3/a"), metadata=wrong))) == said
    assert failure(lambda: worker.stub.PutArtifact(chunks("3/a", b"x"), metadata=wrong)) == said


def test_a_session_ends_with_its_stream(master, peer, until):
    executor = master()
    worker, other = peer(executor).join(), peer(executor, "other").join()
    worker.call.cancel()
    until(lambda: not executor.snapshot()["workers"] or len(executor.snapshot()["workers"]) < 3)

    def refused():
        try:
            other.stub.ListArtifacts(pb.ArtifactPrefix(), **keyed(worker))
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED
        return False

    assert until(refused)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "a//b"])
def test_no_name_leaves_the_store(worker, tmp_path, name):
    code, details = failure(lambda: worker.stub.PutArtifact(chunks(name, b"x"), **keyed(worker)))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert name in details
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("sent", "code", "details"),
    [
        ([], "INVALID_ARGUMENT", "names of artifacts have 1 to 1000 characters, and this one 0"),
        ([pb.ArtifactChunk(data=b"x")], "INVALID_ARGUMENT", "names of artifacts have 1 to 1000 characters, and this one 0"),
        (
            [pb.ArtifactChunk(name="n" * 1001, data=b"x")], "INVALID_ARGUMENT",
            "names of artifacts have 1 to 1000 characters, and this one 1001",
        ),
        ([pb.ArtifactChunk(name="3/a", data=b"x")], "DATA_LOSS", "the artifact '3/a' has not arrived whole"),
        ([pb.ArtifactChunk(name="3/a", data=b"x", sha256=b"wrong")], "DATA_LOSS", "the artifact '3/a' has not arrived whole"),
        (
            [pb.ArtifactChunk(name="3/a", sha256=b"x"), pb.ArtifactChunk(data=b"more")], "INVALID_ARGUMENT",
            "a chunk has come after the last one, which is the one with the digest",
        ),
        (
            [pb.ArtifactChunk(name="3/a", data=b"x" * (CHUNK + 1))], "INVALID_ARGUMENT",
            "a chunk has 1048577 bytes; 1048576 are allowed",
        ),
        (
            [pb.ArtifactChunk(name="3/a", data=b"x" * CHUNK)] * 4, "INVALID_ARGUMENT",
            "the artifact '3/a' is larger than 3145728 bytes, which the master allows (option 'artifact_size')",
        ),
    ],
)  # fmt: skip
def test_what_does_not_arrive_as_it_should_is_not_stored(worker, sent, code, details):
    assert failure(lambda: worker.stub.PutArtifact(iter(sent), **keyed(worker))) == (grpc.StatusCode[code], details)
    assert list(worker.stub.ListArtifacts(pb.ArtifactPrefix(), **keyed(worker)).names) == []


def test_what_is_no_protobuf_is_a_sentence(worker):
    call = worker.channel.unary_unary(
        "/morphml.v1.Master/ListArtifacts", lambda data: data, pb.ArtifactNames.FromString
    )
    assert failure(lambda: call(b"\xff\xff\xff", **keyed(worker))) == (
        grpc.StatusCode.INVALID_ARGUMENT, "the message cannot be read; it is no protobuf of this protocol",
    )  # fmt: skip
