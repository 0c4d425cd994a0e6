"""Who gets in, with real sockets: the right certificate and proof do, everybody else is refused."""

import asyncio
import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import grpc
import grpc.aio
import pytest

from morphml_distributed.security import channels, tokens
from morphml_distributed.security.authority import issue_master, issue_worker, make_authority
from morphml_distributed.security.settings import Security, SecurityError
from morphml_distributed.wire import joining
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire import morphml_pb2_grpc as service
from morphml_distributed.wire.joining import Greeting

HERE = "127.0.0.1:0"


class Doorkeeper(service.MasterServicer):
    """Challenges, and lets in who proves to know the token."""

    def __init__(self, token):
        self._token = token

    def Join(self, said, context):  # noqa: N802
        nonce = tokens.new_nonce()
        yield pb.ToWorker(challenge=joining.challenge_message(nonce))
        peer = joining.greeting_of(next(said).hello)
        if tokens.proves(self._token, nonce, tokens.WORKER, peer.worker, peer.proof):
            yield pb.ToWorker(welcome=pb.Welcome(session_key="in"))
        else:
            yield pb.ToWorker(refusal=pb.Refusal(reason="no proof", final=True))


@contextlib.contextmanager
def listening(security):
    server = grpc.server(ThreadPoolExecutor(2), options=channels.OPTIONS)
    service.add_MasterServicer_to_server(Doorkeeper(tokens.token_of(security)), server)
    port = channels.bind(server, HERE, security)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture(scope="module")
def master(cluster):
    with listening(cluster.master) as address:
        yield address


def knock(channel, answer):
    """Join over a channel, as "w1"; `answer(nonce)` is the proof."""
    said = SimpleQueue()
    try:
        with channel:
            heard = service.MasterStub(channel).Join(iter(said.get, None), timeout=10)
            proof = answer(joining.nonce_of(next(heard).challenge))
            said.put(pb.FromWorker(hello=joining.hello_message(Greeting("w1", proof))))
            return next(heard)
    finally:
        said.put(None)


def knowing(security):
    return lambda nonce: tokens.proof(tokens.token_of(security), nonce, tokens.WORKER, "w1")


def with_identity(address, authority, identity):
    """A channel of someone who does not look at the own certificate first."""
    credentials = grpc.ssl_channel_credentials(authority.certificate_pem, identity.key_pem, identity.certificate_pem)
    return grpc.secure_channel(address, credentials)


def refused(channel, security, address):
    """What gRPC says, and what a person is told."""
    with pytest.raises(grpc.RpcError) as caught:
        knock(channel, lambda nonce: pytest.fail("somebody was let in"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    return channels.unreachable(caught.value.details(), address, security)


# the right ones -------------------------------------------------------------------------------------


def test_certificate_and_token_open_the_door(cluster, master):
    answer = knock(channels.open_channel(master, cluster.worker), knowing(cluster.worker))
    assert answer.welcome.session_key == "in"


def test_names_of_this_machine_are_names_of_the_master(cluster, master):
    named = master.replace("127.0.0.1", "localhost")
    answer = knock(channels.open_channel(named, cluster.worker), knowing(cluster.worker))
    assert answer.welcome.session_key == "in"


def test_asyncio_opens_the_same_door(cluster, master):
    async def first():
        async with channels.open_aio_channel(master, cluster.worker) as channel:
            stream = service.MasterStub(channel).Join(timeout=10)
            heard = await stream.read()
            stream.cancel()
            return heard

    assert len(joining.nonce_of(asyncio.run(first()).challenge)) == 32


def test_on_loopback_nothing_is_needed():
    with listening(Security()) as address:
        assert knock(channels.open_channel(address, Security()), lambda nonce: b"").welcome.session_key == "in"


def test_on_loopback_a_token_is_wanted_where_there_is_one(cluster):
    security = Security(token_file=cluster.worker.token_file)
    with listening(security) as address:
        assert knock(channels.open_channel(address, security), knowing(security)).welcome.session_key == "in"
        assert knock(channels.open_channel(address, Security()), lambda nonce: b"").refusal.reason == "no proof"


# the others -----------------------------------------------------------------------------------------


def test_without_a_token_nobody_gets_in(cluster, master):
    assert knock(channels.open_channel(master, cluster.worker), lambda nonce: b"").refusal.final


def test_with_another_token_nobody_gets_in(cluster, other_cluster, master):
    answer = knock(channels.open_channel(master, cluster.worker), knowing(other_cluster.worker))
    assert answer.refusal.reason == "no proof"


def test_a_replayed_proof_opens_nothing(cluster, master):
    seen = []

    def listener(nonce):
        seen.append(knowing(cluster.worker)(nonce))
        return seen[0]

    assert knock(channels.open_channel(master, cluster.worker), listener).welcome.session_key == "in"
    assert knock(channels.open_channel(master, cluster.worker), listener).refusal.reason == "no proof"
    assert seen[0] != seen[1]


def test_a_proof_for_another_role_opens_nothing(cluster, master):
    token = tokens.token_of(cluster.worker)
    answer = knock(
        channels.open_channel(master, cluster.worker), lambda nonce: tokens.proof(token, nonce, "viewer", "w1")
    )
    assert answer.refusal.reason == "no proof"


CLOSED = "there is no connection to the master at {}: it has closed the connection; "
OURS = "is the certificate here one for workers, of its authority, and not expired?"


def test_without_a_certificate_nobody_gets_in(cluster, master):
    credentials = grpc.ssl_channel_credentials(cluster.worker.authority.read_bytes())
    assert refused(grpc.secure_channel(master, credentials), cluster.worker, master) == CLOSED.format(master) + OURS


def test_a_plain_connection_is_refused(cluster, master):
    channel = channels.open_channel(master, Security(token_file=cluster.worker.token_file))
    assert refused(channel, Security(), master) == CLOSED.format(master) + (
        "where it wants TLS, give --authority, --certificate and --key (and --token-file)"
    )


def test_a_certificate_of_another_authority_is_refused():
    ours, theirs = make_authority(3), make_authority(3)
    with own_master(ours) as (address, security):
        stranger = with_identity(address, ours, issue_worker(theirs, 3))
        assert refused(stranger, security, address) == CLOSED.format(address) + OURS


def test_an_expired_certificate_is_refused():
    ours = make_authority(3)
    with own_master(ours) as (address, security):
        late = with_identity(address, ours, issue_worker(ours, 1, start=datetime.now(UTC) - timedelta(days=2)))
        assert refused(late, security, address) == CLOSED.format(address) + OURS


def test_a_certificate_of_a_master_makes_no_worker():
    ours = make_authority(3)
    with own_master(ours) as (address, security):
        assert (
            refused(with_identity(address, ours, issue_master(ours, [], 3)), security, address)
            == CLOSED.format(address) + OURS
        )


def test_a_master_of_another_authority_is_refused(other_cluster, master):
    said = refused(channels.open_channel(master, other_cluster.worker), other_cluster.worker, master)
    assert (
        said
        == f"there is no connection to the master at {master}: its certificate is not that of a master of this authority, or has expired"
    )


def test_a_certificate_of_a_worker_makes_no_master(cluster):
    with listening(cluster.worker) as address:
        said = refused(channels.open_channel(address, cluster.worker), cluster.worker, address)
    assert (
        said
        == f"there is no connection to the master at {address}: its certificate is not that of a master of this authority, or has expired"
    )


def test_a_master_under_another_name_is_refused(cluster, master):
    credentials = channels.client_credentials(cluster.worker)
    named = grpc.secure_channel(master, credentials, [("grpc.ssl_target_name_override", "other.example")])
    said = refused(named, cluster.worker, master)
    assert (
        said
        == f"there is no connection to the master at {master}: its certificate is for other names; `morphml cluster init` wants each with --host"
    )


def test_a_master_without_tls_is_not_spoken_to(cluster):
    with listening(Security()) as address:
        said = refused(channels.open_channel(address, cluster.worker), cluster.worker, address)
    assert (
        said
        == f"there is no connection to the master at {address}: it speaks without TLS, but certificates are given here"
    )


def test_where_nobody_listens_that_is_said():
    address = f"127.0.0.1:{free_port()}"
    said = refused(channels.open_channel(address, Security()), Security(), address)
    assert said == f"there is no connection to the master at {address}: nobody listens there"


@contextlib.contextmanager
def own_master(authority):
    """A master whose authority the test has the key of."""
    with TemporaryDirectory() as name:
        folder, identity = Path(name), issue_master(authority, [], 3)
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
        (folder / "me.pem").write_bytes(identity.certificate_pem)
        (folder / "me.key").write_bytes(identity.key_pem)
        security = Security(folder / "ca.pem", folder / "me.pem", folder / "me.key")
        with listening(security) as address:
            yield address, security


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# before a socket is opened --------------------------------------------------------------------------


def test_no_plain_connection_goes_beyond_this_machine():
    for tried in (channels.open_channel, channels.open_aio_channel):
        with pytest.raises(SecurityError, match=r"^there is no connection to the master at desk:4567 without TLS"):
            tried("desk:4567", Security())
    server = grpc.server(ThreadPoolExecutor(1))
    with pytest.raises(SecurityError, match=r"^the master cannot listen on 0.0.0.0:0 without TLS"):
        channels.bind(server, "0.0.0.0:0", Security())
    server.stop(None)


def test_a_port_that_is_taken_is_said(capfd):
    with listening(Security()) as address:
        server = grpc.server(ThreadPoolExecutor(1), options=channels.OPTIONS)
        with pytest.raises(SecurityError) as caught:
            channels.bind(server, address, Security())
        server.stop(None)
    assert (
        str(caught.value)
        == f"the master cannot listen on {address}: the port is taken; end what listens there, or name another port (0: any that is free)"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.1", "the address is none of this machine; 0.0.0.0 stands for all that it has"),
        (
            "no-such-host.invalid",
            "there is no such host; write an address of this machine, or 0.0.0.0 for all that it has",
        ),
    ],
)
def test_an_address_of_another_machine_is_said(host, why, capfd):
    server = grpc.server(ThreadPoolExecutor(1))
    with pytest.raises(SecurityError) as caught:
        channels.bind(server, f"{host}:4567", Security(insecure=True))
    server.stop(None)
    assert str(caught.value) == f"the master cannot listen on {host}:4567: {why}"
    assert capfd.readouterr() == ("", "")


def changed(cluster, **files):
    return Security(**{"authority": cluster.worker.authority, "certificate": cluster.worker.certificate, "key": cluster.worker.key} | files)  # fmt: skip


def mistakes(cluster, other, folder):
    late = issue_worker(make_authority(1), 1, start=datetime(2020, 1, 1, tzinfo=UTC))
    (folder / "late.pem").write_bytes(late.certificate_pem)
    (folder / "late.key").write_bytes(late.key_pem)
    (folder / "text").write_text("no PEM")
    ours, theirs = cluster.worker, other.worker
    yield {"key": theirs.key}, f"the key {theirs.key} does not belong to the certificate {ours.certificate}"
    yield (
        {"authority": theirs.authority},
        (
            f"the certificate {ours.certificate} is not signed by the authority {theirs.authority}; both come from one `morphml cluster init`"
        ),
    )
    yield (
        {"certificate": folder / "late.pem", "key": folder / "late.key"},
        (f"the certificate {folder}/late.pem has expired on 2020-01-02; make new ones with `morphml cluster init`"),
    )
    yield {"certificate": folder / "text"}, f"the file {folder}/text holds no certificate in PEM"
    yield {"authority": folder / "none"}, f"the file {folder}/none cannot be read: No such file or directory"
    yield {"key": folder / "text"}, f"the file {folder}/text holds no key in PEM without a password"
    yield {"key": ours.certificate}, f"the file {ours.certificate} holds no key in PEM without a password"


def test_mistakes_with_files_are_said_before_a_connection_is_tried(cluster, other_cluster, tmp_path):
    for files, sentence in mistakes(cluster, other_cluster, tmp_path):
        security = changed(cluster, **files)
        for tried in (channels.server_credentials, channels.client_credentials):
            with pytest.raises(SecurityError) as caught:
                tried(security)
            assert str(caught.value) == sentence


def test_without_certificates_there_are_no_credentials():
    assert channels.server_credentials(Security()) is None
    assert channels.client_credentials(Security()) is None
