"""gRPC's ends of a secured connection."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from morphml_distributed.security.settings import (
    Security,
    SecurityError,
    check_connecting,
    check_listening,
    host_of,
    is_loopback,
)
from morphml_distributed.wire.limits import MESSAGE

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "OPTIONS",
    "bind",
    "client_credentials",
    "is_loopback",
    "open_aio_channel",
    "open_channel",
    "server_credentials",
]

OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MESSAGE + 2**16),
    ("grpc.max_send_message_length", MESSAGE + 2**16),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
)
"""What both ends tell gRPC; a server is made with them: `grpc.aio.server(options=OPTIONS)`."""
_REASONS = {
    errno.EADDRINUSE: "the port is taken; end what listens there, or name another port (0: any that is free)",
    errno.EADDRNOTAVAIL: "the address is none of this machine; 0.0.0.0 stands for all that it has",
    errno.EACCES: "ports below 1024 belong to root; name a higher one",
    socket.EAI_NONAME: "there is no such host; write an address of this machine, or 0.0.0.0 for all that it has",
}
_CLIENT: Sequence[tuple[str, Any]] = (
    *OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 20_000),  # in effect how long a new connection may take
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    # Each channel has a connection of its own: a client that has renewed its certificate must not go on with the old one.
    ("grpc.use_local_subchannel_pool", 1),
)


def server_credentials(security: Security) -> grpc.ServerCredentials | None:
    """The master's credentials, by which clients without a certificate of the authority are refused; None for plain connections."""
    if security.files is None:
        return None
    authority, certificate, key = _contents(security.files)
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=authority, require_client_auth=True)


def client_credentials(security: Security) -> grpc.ChannelCredentials | None:
    """A worker's or a viewer's credentials; None for plain connections."""
    if security.files is None:
        return None
    authority, certificate, key = _contents(security.files)
    return grpc.ssl_channel_credentials(authority, key, certificate)


def bind(server: grpc.Server | grpc.aio.Server, address: str, security: Security) -> int:
    """Let a server listen on HOST:PORT, and return its port.  Raises `SecurityError` where it may not, or cannot."""
    check_listening(address, security)
    credentials = server_credentials(security)
    _try(address)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except (RuntimeError, ValueError):
        raise SecurityError(f"the master cannot listen on {address}; name a free port of this machine") from None


def _try(address: str) -> None:
    """Listen there for a moment: where that fails, gRPC would print a line of its own, and could not say why."""
    host, port = host_of(address), int(address.rpartition(":")[2])
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        why = _REASONS.get(error.errno or 0, error.strerror)
        raise SecurityError(f"the master cannot listen on {address}: {why}") from None


def open_channel(address: str, security: Security) -> grpc.Channel:
    """A channel to the master; connects when it is used.  Raises `SecurityError` where a plain one goes beyond this machine."""
    check_connecting(address, security)
    credentials = client_credentials(security)
    if credentials is None:
        return grpc.insecure_channel(address, _CLIENT)
    return grpc.secure_channel(address, credentials, _CLIENT)


def open_aio_channel(address: str, security: Security) -> grpc.aio.Channel:
    """The same for asyncio; to be called where the loop runs."""
    check_connecting(address, security)
    credentials = client_credentials(security)
    if credentials is None:
        return grpc.aio.insecure_channel(address, _CLIENT)
    return grpc.aio.secure_channel(address, credentials, _CLIENT)


def unreachable(details: str, address: str, security: Security) -> str:
    """A sentence for a person on why no stream could be opened there, from what gRPC says of it (`error.details()`)."""
    what = f"there is no connection to the master at {address}"
    if "Hostname Verification Check failed" in details:
        return f"{what}: its certificate is for other names; `morphml cluster init` wants each with --host"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return f"{what}: its certificate is not that of a master of this authority, or has expired"
    if "WRONG_VERSION_NUMBER" in details:
        return f"{what}: it speaks without TLS, but certificates are given here"
    if "Socket closed" in details and security.tls:
        return f"{what}: it has closed the connection; is the certificate here one for workers, of its authority, and not expired?"
    if "Socket closed" in details:
        return f"{what}: it has closed the connection; where it wants TLS, give --authority, --certificate and --key (and --token-file)"
    if "Connection refused" in details:
        return f"{what}: nobody listens there"
    return f"{what}: {details.rpartition('last error: ')[2] or 'it does not answer'}"


# one's own files ------------------------------------------------------------------------------------


def _contents(files: tuple[Path, Path, Path]) -> tuple[bytes, bytes, bytes]:
    """Authority, certificate and key, which fit together: gRPC would say of any mistake only that the handshake failed."""
    authority, certificate, key = (_read(path) for path in files)
    _check_files(*files, (authority, certificate, key))
    return authority, certificate, key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecurityError(f"the file {path} cannot be read: {error.strerror}") from None


def _check_files(authority: Path, certificate: Path, key: Path, content: tuple[bytes, bytes, bytes]) -> None:
    authorities, chain = _certificates(authority, content[0]), _certificates(certificate, content[1])
    _check_key(key, certificate, content[2], chain[0])
    for path, found in ((authority, authorities[0]), (certificate, chain[0])):
        until = found.not_valid_after_utc
        if until < datetime.now(UTC):
            raise SecurityError(
                f"the certificate {path} has expired on {until:%Y-%m-%d}; make new ones with `morphml cluster init`"
            )
    if not any(_issued(chain[-1], each) for each in authorities):
        raise SecurityError(
            f"the certificate {certificate} is not signed by the authority {authority}; both come from one `morphml cluster init`"
        )


def _certificates(path: Path, content: bytes) -> Sequence[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise SecurityError(f"the file {path} holds no certificate in PEM") from None


def _check_key(path: Path, certificate: Path, content: bytes, owner: x509.Certificate) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise SecurityError(f"the file {path} holds no key in PEM without a password") from None
    if key.public_key() != owner.public_key():
        raise SecurityError(f"the key {path} does not belong to the certificate {certificate}")


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    if certificate == authority:
        return True
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
