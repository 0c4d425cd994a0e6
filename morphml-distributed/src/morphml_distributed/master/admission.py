"""Who is let in: the checks of a hello, and the sentences for those that are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from morphml_core.errors import MorphMLError
from morphml_distributed.security.tokens import proves
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.joining import Greeting, greeting_of

_OF_MASTER = ("folder", "output", "distributions")


class RefusedError(MorphMLError):
    """A peer is not let in; the sentence says why.  `final`: trying again will not help."""

    def __init__(self, reason: str, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


@attrs.frozen
class Offer:
    """What a master offers to workers: the workload without any path of its own, and what it takes to build it.

    `digest` identifies the experiment, for the tasks that workers have kept from a former master.
    """

    workload: Mapping[str, Any]
    distributions: Mapping[str, str]
    digest: str

    @classmethod
    def of(cls, specification: Mapping[str, Any]) -> Offer:
        """What a workload's specification offers.  Raises `MorphMLError` where it is no JSON."""
        workload = {name: value for name, value in specification.items() if name not in _OF_MASTER}
        try:
            text = json.dumps(workload, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise MorphMLError(f"the executor 'grpc' cannot send this configuration to workers: {error}") from None
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
        return cls(workload, dict(specification.get("distributions") or {}), digest)

    def check(self, worker: str, installed: Mapping[str, str]) -> None:
        """Raise `RefusedError` where the worker's installation is another one, with what to install."""
        missing = [f"{name} {version}" for name, version in self.distributions.items() if name not in installed]
        others = [
            f"{name} {installed[name]} in place of {version}"
            for name, version in self.distributions.items()
            if installed.get(name, version) != version
        ]
        if not (missing or others):
            return
        parts = ((missing, "lacks"), (others, "has"))
        found = " and ".join(f"{verb} {_listed(names)}" for names, verb in parts if names)
        wrong = [name for name, version in self.distributions.items() if installed.get(name) != version]
        wanted = " ".join(f"'{name}=={self.distributions[name]}'" for name in wrong)
        raise RefusedError(f"the worker '{worker}' {found}; on its machine, pip install {wanted}")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def checked(hello: pb.Hello, token: bytes, nonce: bytes, role: str) -> Greeting:
    """The greeting of a hello whose sender has proved to know the token.  Raises `RefusedError`, `WireError`."""
    greeting = greeting_of(hello)
    if not proves(token, nonce, role, greeting.worker, greeting.proof):
        what = "gave no proof of the token" if not greeting.proof else "does not know the token of this cluster"
        raise RefusedError(
            f"the {role} '{greeting.worker}' {what}; give it the token file that the master has, with --token-file"
        )
    return greeting
