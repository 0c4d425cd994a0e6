"""A small certificate authority: one for a cluster, with a certificate for the master and one for all workers.

Elliptic curve P-256, X.509 version 3.  The master's certificate names the hosts where it is reached and serves servers alone, the workers' serves clients
alone: a stolen key of a worker does not make a master.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from morphml_distributed.security.settings import SecurityError

_SKEW = timedelta(hours=1)
_LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(
    r"(?=.{1,253}$)(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
)


@attrs.frozen
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = attrs.field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as a file."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as a file, without a password."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_authority(days: int, *, start: datetime | None = None) -> Identity:
    """An authority that can sign certificates of the cluster, and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("MorphML cluster authority")
    builder = _builder(name, name, key, days, start)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Identity(builder.sign(key, hashes.SHA256()), key)


def issue_master(authority: Identity, hosts: Sequence[str], days: int, *, start: datetime | None = None) -> Identity:
    """The master's certificate, for the hosts (names and addresses) and for this machine itself."""
    names = x509.SubjectAlternativeName([_host(host) for host in dict.fromkeys((*hosts, *_LOCAL))])
    return _issue(authority, "MorphML master", ExtendedKeyUsageOID.SERVER_AUTH, days, start, names)


def issue_worker(
    authority: Identity, days: int, *, name: str = "MorphML worker", start: datetime | None = None
) -> Identity:
    """The workers' certificate, which also serves who looks on."""
    return _issue(authority, name, ExtendedKeyUsageOID.CLIENT_AUTH, days, start, None)


def _issue(
    authority: Identity,
    name: str,
    purpose: x509.ObjectIdentifier,
    days: int,
    start: datetime | None,
    hosts: x509.SubjectAlternativeName | None,
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_named(name), authority.certificate.subject, key, days, start)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if hosts is not None:
        builder = builder.add_extension(hosts, critical=False)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(signer, critical=False)
    return Identity(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, start: datetime | None
) -> x509.CertificateBuilder:
    # Valid from an hour ago: the clocks of a cluster differ.
    begin = (datetime.now(UTC) if start is None else start) - _SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _SKEW + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise SecurityError(
            f"{host!r} is no name or address of a host; write it without a port, as in gpu1.example.org or 10.0.0.5"
        )
    return x509.DNSName(host)
