"""The messages by which a worker or a viewer joins, checked: challenge, hello, welcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from morphml_distributed import __version__
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import checks, limits
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.checks import WireError
from morphml_distributed.wire.values import capacity_message, capacity_of, held_message, held_of


@attrs.frozen
class Greeting:
    """What a peer says of itself.  `distributions`: versions by name; `experiment`: the digest that its held tasks belong to, or empty."""

    worker: str
    proof: bytes = b""
    capacity: m.Capacity = attrs.field(factory=lambda: m.Capacity(0.0, 0))
    distributions: Mapping[str, str] = attrs.field(factory=dict)
    held: tuple[m.Held, ...] = ()
    experiment: str = ""
    version: str = __version__


@attrs.frozen
class Reception:
    """What a worker learns when it is let in; the fields of `Welcome` in morphml.proto, with the workload read from its JSON."""

    session_key: str
    experiment: str
    term: int
    workload: Mapping[str, Any]
    heartbeat: float
    shared_artifacts: bool = False
    keep_held: bool = False


def challenge_message(nonce: bytes) -> pb.Challenge:
    """The master's first word on a stream."""
    return pb.Challenge(protocol=limits.PROTOCOL, nonce=nonce, version=__version__)


def nonce_of(said: pb.Challenge) -> bytes:
    """The nonce of a challenge.  Raises `WireError`, also for a master of another protocol."""
    _same_protocol("the master", said.protocol, said.version)
    if len(said.nonce) != limits.NONCE:
        raise WireError(f"the nonce of the master has {len(said.nonce)} bytes; it has {limits.NONCE}")
    return said.nonce


def hello_message(greeting: Greeting) -> pb.Hello:
    """The answer to a challenge."""
    with checks.sending("the hello"):
        return pb.Hello(
            protocol=limits.PROTOCOL,
            worker=greeting.worker,
            proof=greeting.proof,
            version=greeting.version,
            distributions=dict(greeting.distributions),
            capacity=capacity_message(greeting.capacity),
            held=map(held_message, greeting.held),
            experiment=greeting.experiment,
        )


def greeting_of(said: pb.Hello) -> Greeting:
    """What a hello says.  Raises `WireError` for anything out of range, also for a peer of another protocol."""
    worker = checks.name(said.worker, "the name of a worker")
    _same_protocol(f"'{worker}'", said.protocol, said.version)
    if len(said.proof) not in (0, limits.NONCE):
        raise WireError(f"the proof of '{worker}' has {len(said.proof)} bytes; it has {limits.NONCE}, or none")
    return Greeting(
        worker,
        said.proof,
        capacity_of(said.capacity),
        _distributions(said.distributions),
        held_of(said.held),
        checks.text(said.experiment, "the digest of an experiment", limits.NAME),
        said.version,
    )


def _same_protocol(who: str, protocol: int, version: str) -> None:
    checks.text(version, "the version of a peer", limits.NAME)
    if protocol != limits.PROTOCOL:
        raise WireError(
            f"{who} speaks protocol {protocol} (morphml-distributed {checks.shown(version)[1:-1] or 'of no version'}), and this side protocol "
            f"{limits.PROTOCOL} (morphml-distributed {__version__}); install the same version of morphml-distributed on both"
        )


def _distributions(said: Mapping[str, str]) -> Mapping[str, str]:
    found = dict(checks.few(said, limits.DISTRIBUTIONS, "distributions"))
    for distribution, version in found.items():
        checks.name(distribution, "the name of a distribution")
        checks.text(version, "the version of a distribution", limits.NAME)
    return found


def welcome_message(reception: Reception) -> pb.Welcome:
    """What lets a worker in.  Raises `WireError` where the workload cannot be sent."""
    try:
        workload = json.dumps(reception.workload)
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"the workload cannot be written as JSON: {error}") from None
    checks.text(workload, "the workload", limits.WORKLOAD)
    with checks.sending("the welcome"):
        return pb.Welcome(
            session_key=reception.session_key,
            experiment=reception.experiment,
            term=reception.term,
            workload=workload,
            heartbeat=reception.heartbeat,
            shared_artifacts=reception.shared_artifacts,
            keep_held=reception.keep_held,
        )


def reception_of(said: pb.Welcome) -> Reception:
    """What a welcome says.  Raises `WireError` for anything out of range."""
    return Reception(
        checks.text(said.session_key, "the key of a session", limits.NAME),
        checks.text(said.experiment, "the digest of an experiment", limits.NAME),
        checks.within(said.term, limits.SERIAL, "the term of a master"),
        _workload(checks.text(said.workload, "the workload", limits.WORKLOAD)),
        checks.real(said.heartbeat, "the time between heartbeats", 0.01, 3600.0),
        said.shared_artifacts,
        said.keep_held,
    )


def _workload(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the workload cannot be read: it is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise WireError(f"the workload is {checks.shown(found)}, but is an object")
    return found
