"""What the certificates of a cluster say, and what the files are like."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from morphml_distributed.security import files
from morphml_distributed.security.authority import issue_master, issue_worker, make_authority
from morphml_distributed.security.settings import SecurityError


def extension(identity, kind):
    return identity.certificate.extensions.get_extension_for_class(kind).value


def test_the_masters_certificate_is_for_its_hosts_and_serves_servers():
    master = issue_master(make_authority(3), ["desk.example", "10.0.0.5", "desk.example", "fe80::5", "*.lan"], 3)
    names = extension(master, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["desk.example", "*.lan", "localhost"]
    addresses = ["10.0.0.5", "fe80::5", "127.0.0.1", "::1"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(address) for address in addresses]
    assert list(extension(master, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension(master, x509.BasicConstraints).ca


def test_the_workers_certificate_serves_clients_alone():
    worker = issue_worker(make_authority(3), 3)
    assert list(extension(worker, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extension(worker, x509.BasicConstraints).ca


def test_both_are_signed_by_the_authority_which_signs_no_further_ones():
    authority = make_authority(3)
    for identity in (issue_master(authority, [], 3), issue_worker(authority, 3)):
        identity.certificate.verify_directly_issued_by(authority.certificate)
    assert extension(authority, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)


def test_certificates_are_valid_from_an_hour_ago_for_so_many_days():
    start = datetime(2030, 1, 2, 3, tzinfo=UTC)
    found = make_authority(10, start=start).certificate
    assert found.not_valid_before_utc == start - timedelta(hours=1)
    assert found.not_valid_after_utc == start + timedelta(days=10)


@pytest.mark.parametrize(
    "host", ["", "desk:4567", "a b", "http://desk", "a..b", "-a", "x" * 254, "é.example", "10.0.0.5/8", "*"]
)
def test_a_host_that_is_none_is_said(host):
    with pytest.raises(SecurityError) as caught:
        issue_master(make_authority(3), [host], 3)
    assert str(caught.value) == (
        f"{host!r} is no name or address of a host; write it without a port, as in gpu1.example.org or 10.0.0.5"
    )


def test_the_files_are_for_their_owner_alone(tmp_path):
    folder = tmp_path / "new" / "cluster"
    written = files.write_cluster(folder, ["desk"], 5)
    assert written.folder == folder
    assert abs(written.until - datetime.now(UTC) - timedelta(days=5)) < timedelta(minutes=1)
    assert {path.name for path in folder.iterdir()} == set(files.FILES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_each_key_belongs_to_its_certificate(cluster):
    for name in ("ca", "master", "worker"):
        certificate = x509.load_pem_x509_certificate((cluster.folder / f"{name}.pem").read_bytes())
        key = load_pem_private_key((cluster.folder / f"{name}.key").read_bytes(), None)
        assert key.public_key() == certificate.public_key()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "token").write_text("precious")
    (tmp_path / "ca.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SecurityError) as caught:
        files.write_cluster(tmp_path, ["desk"], 5)
    assert str(caught.value) == (
        f"{tmp_path} already has token, ca.key; name another folder, as a cluster in use would not know the new ones"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "token"]
    assert (tmp_path / "token").read_text() == "precious"


def test_nothing_is_written_for_a_host_that_is_none(tmp_path):
    with pytest.raises(SecurityError):
        files.write_cluster(tmp_path / "cluster", ["no host"], 5)
    assert not (tmp_path / "cluster").exists()


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SecurityError) as caught:
        files.write_cluster(tmp_path / "file" / "cluster", ["desk"], 5)
    assert (
        str(caught.value) == f"the files of the cluster cannot be written to {tmp_path}/file/cluster: Not a directory"
    )
