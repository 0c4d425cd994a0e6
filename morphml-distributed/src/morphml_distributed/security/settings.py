"""What secures the connections of a cluster: certificates and a token, the same options for the master and its workers."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import attrs

from morphml_core.errors import MorphMLError

_TLS = ("authority", "certificate", "key")


class SecurityError(MorphMLError):
    """The security of a connection is not as it has to be; the sentence says what to do."""


@attrs.frozen
class Security:
    """Options of both ends: files in PEM that `morphml cluster init` makes, and a file with the token of the cluster.

    `authority`: the certificate of the authority that has signed all the others.  `certificate`, `key`: one's own.  `token_file`: the secret
    that a worker proves to know.  `insecure`: allow connections without TLS from and to other machines.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    insecure: bool = False

    def __attrs_post_init__(self) -> None:
        missing = [name for name in _TLS if getattr(self, name) is None]
        if 0 < len(missing) < len(_TLS):
            raise SecurityError(
                f"TLS needs 'authority', 'certificate' and 'key', but {_listed(missing)} missing; `morphml cluster init` makes all of them"
            )
        if self.insecure and self.tls:
            raise SecurityError("'insecure' is true, and certificates are given as well; leave one of them out")

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted, and both ends show certificates."""
        return self.files is not None

    @property
    def files(self) -> tuple[Path, Path, Path] | None:
        """Authority, certificate and key; None where connections are plain."""
        if self.authority is None or self.certificate is None or self.key is None:
            return None
        return self.authority, self.certificate, self.key


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{quoted[0]} is" if len(quoted) == 1 else f"{' and '.join(quoted)} are"


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT (or a unix socket) can be reached from this machine alone.

    By what is written: `localhost`, 127.0.0.0/8, ::1.  No name is looked up, as the answer may change.
    """
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = host_of(address).rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def host_of(address: str) -> str:
    """The host of HOST:PORT, [HOST]:PORT or HOST."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.rpartition(":")
    return host if host and ":" not in host and port.isdigit() else address


def port_of(address: str) -> int | None:
    """The port of HOST:PORT; None where the text is no such address."""
    host, _, port = address.rpartition(":")
    return int(port) if host and port.isascii() and port.isdigit() and int(port) < 65536 else None


def check_listening(address: str, security: Security) -> None:
    """Raise `SecurityError` where a master may not listen there with this security."""
    _check(f"the master cannot listen on {address}", address, security)


def check_connecting(address: str, security: Security) -> None:
    """Raise `SecurityError` where nobody should connect there with this security."""
    _check(f"there is no connection to the master at {address}", address, security)


def _check(what: str, address: str, security: Security) -> None:
    if is_loopback(address) or security.insecure:
        return
    if not security.tls:
        raise SecurityError(
            f"{what} without TLS, as it is beyond this machine; give 'authority', 'certificate', 'key' and 'token_file' "
            "(`morphml cluster init` makes these files), or say 'insecure: true' where everybody on the network is trusted"
        )
    if security.token_file is None:
        raise SecurityError(
            f"{what} without a token, as it is beyond this machine; give 'token_file' (`morphml cluster init` makes it)"
        )
