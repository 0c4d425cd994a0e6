"""Who gets past certificates and token of a live master."""

import grpc
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.testing.executor import collect, outcomes, task
from morphml_distributed.master.viewer import snapshots
from morphml_distributed.security.files import write_cluster
from morphml_distributed.security.settings import Security


def files(folder, who):
    return {"authority": folder / "ca.pem", "certificate": folder / f"{who}.pem", "key": folder / f"{who}.key"}


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "cluster"
    write_cluster(folder, ["127.0.0.1", "localhost"], 30)
    return folder


@pytest.fixture
def secured(master, cluster):
    return master(**files(cluster, "master"), token_file=cluster / "token")


def test_a_worker_with_certificate_and_token_works(secured, peer, cluster):
    token = (cluster / "token").read_bytes().strip()
    worker = peer(secured, token=token, security=Security(**files(cluster, "worker"))).join()
    secured.submit(task(1))
    worker.work()
    assert outcomes(collect(secured, 1, 10.0))[1].metrics == {"value": 1.0}


def test_a_certificate_without_the_token_is_not_enough(secured, peer, cluster):
    refused = peer(secured, security=Security(**files(cluster, "worker"))).hello()
    assert refused.refusal.reason.startswith("the worker 'one' gave no proof of the token")


def test_without_a_certificate_nobody_is_heard(secured, peer):
    with pytest.raises(grpc.RpcError) as caught:
        peer(secured).challenge()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_another_authority_is_not_let_in(secured, peer, cluster, tmp_path, monkeypatch):
    # A thief does not check, as a worker does, whether certificate and authority fit together.
    monkeypatch.setattr("morphml_distributed.security.channels._check_files", lambda *arguments: None)
    other = tmp_path / "other"
    write_cluster(other, ["127.0.0.1"], 30)
    mixed = {**files(other, "worker"), "authority": cluster / "ca.pem"}
    with pytest.raises(grpc.RpcError) as caught:
        peer(secured, security=Security(**mixed)).challenge()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_who_looks_on_needs_both_too(secured, cluster):
    security = Security(**files(cluster, "worker"), token_file=cluster / "token")
    (found,) = snapshots(secured.address, security)
    assert found["master"]["listen"] == secured.address
    with pytest.raises(
        MorphMLError, match=r"the master refuses to be looked at: the viewer 'viewer-.*' gave no proof of the token"
    ):
        list(snapshots(secured.address, Security(**files(cluster, "worker"))))
    with pytest.raises(
        MorphMLError, match=f"there is no connection to the master at {secured.address}: it has closed the connection"
    ):
        list(snapshots(secured.address, Security()))


def test_snapshots_come_until_the_viewer_leaves(master, until):
    executor = master()
    stream = snapshots(executor.address, Security(), every=0.2)
    uptimes = [next(stream)["master"]["uptime"] for _ in range(3)]
    assert uptimes == sorted(uptimes)
    assert 0.3 < uptimes[2] - uptimes[0] < 3.0
    stream.close()
    until(lambda: executor._master._watching.viewers == 0)
