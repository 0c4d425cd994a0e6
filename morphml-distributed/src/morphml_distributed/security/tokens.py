"""The token of a cluster, and the proof that a peer knows it.

The token itself is never sent.  The master opens each stream with a nonce, and the peer answers with HMAC-SHA256 over the nonce, its role and its name:
whoever listens can neither learn the token nor use the proof on another stream, in another role or under another name.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from morphml_distributed.security.settings import Security, SecurityError

WORKER, VIEWER = "worker", "viewer"
"""The roles of a peer."""
_NONCE = 32
_SHORTEST, _LONGEST = 16, 4096


def new_token() -> str:
    """A token of 256 random bits, as text."""
    return secrets.token_urlsafe(32)


def new_nonce() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(_NONCE)


def token_of(security: Security) -> bytes:
    """The token in `token_file`, without white space around it; empty where there is none.  Raises `SecurityError`."""
    path = security.token_file
    if path is None:
        return b""
    token = _content(path).strip()
    if len(token) < _SHORTEST:
        raise SecurityError(
            f"the token in {path} has {len(token)} characters; at least {_SHORTEST} are needed (`morphml cluster init` makes a good one)"
        )
    return token


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise SecurityError(f"the token file {path} cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise SecurityError(f"the token file {path} is longer than {_LONGEST} bytes; it should hold the token alone")
    return content


def proof(token: bytes, nonce: bytes, role: str, worker: str) -> bytes:
    """What the peer of that role and name answers to the nonce; empty where it has no token."""
    if not token:
        return b""
    said = b"\0".join((role.encode(), worker.encode("utf-8", "replace")))
    return hmac.digest(token, nonce + said, "sha256")


def proves(token: bytes, nonce: bytes, role: str, worker: str, given: bytes) -> bool:
    """Whether `given` is that answer, in a time that tells nothing; always true where the master wants no token."""
    return not token or hmac.compare_digest(proof(token, nonce, role, worker), given)
