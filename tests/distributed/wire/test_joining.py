"""Challenge, hello and welcome: what they carry arrives, and what they may not say is refused."""

import contextlib
import math
from importlib.metadata import version

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

import morphml_distributed
from morphml_distributed import __version__
from morphml_distributed.dispatch import messages as m
from morphml_distributed.wire import joining
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.codec import WireError
from morphml_distributed.wire.joining import Greeting, Reception

GREETING = Greeting(
    "gpu1-17", b"p" * 32, m.Capacity(8.0, 2**34, (m.Gpu("0", 2**33),), frozenset({"a100"})),
    {"morphml-core": "0.1.0"}, (m.Held(3, 1, m.Lease(1, 9), True, 4),), "abc",
)  # fmt: skip
RECEPTION = Reception("key", "abc", 7, {"space": {"name": "chain"}}, 1.0, True, True)


def test_the_version_is_that_of_the_distribution():
    assert morphml_distributed.__version__ == version("morphml-distributed")


def test_a_greeting_arrives():
    said = pb.Hello.FromString(joining.hello_message(GREETING).SerializeToString())
    assert joining.greeting_of(said) == GREETING


def test_a_reception_arrives():
    said = pb.Welcome.FromString(joining.welcome_message(RECEPTION).SerializeToString())
    assert joining.reception_of(said) == RECEPTION


def test_a_nonce_arrives():
    assert joining.nonce_of(joining.challenge_message(b"n" * 32)) == b"n" * 32


def hello(**said):
    return pb.Hello(**{"protocol": 1, "worker": "w1", "version": "0.1.0"} | said)


def other(who, protocol, version):
    both = f"{who} speaks protocol {protocol} (morphml-distributed {version}), and this side protocol 1 (morphml-distributed {__version__})"
    return f"{both}; install the same version of morphml-distributed on both"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            hello(protocol=2, version="0.9.0"),
            other("'w1'", 2, "0.9.0"),
        ),
        (
            pb.Hello(worker="w1"),
            other("'w1'", 0, "of no version"),
        ),
        (hello(worker=""), "the name of a worker is '', but names are 1 to 200 printable characters"),
        (hello(worker="a\nb"), "the name of a worker is 'a\\nb', but names are 1 to 200 printable characters"),
        (hello(worker="w" * 201), f"the name of a worker is '{'w' * 56}..., but names are 1 to 200 printable characters"),
        (hello(version="v" * 201), "the version of a peer has 201 characters; 200 are allowed"),
        (hello(proof=b"short"), "the proof of 'w1' has 5 bytes; it has 32, or none"),
        (hello(experiment="e" * 201), "the digest of an experiment has 201 characters; 200 are allowed"),
        (hello(distributions={str(n): "1" for n in range(2001)}), "there are 2001 distributions; 2000 are allowed"),
        (hello(distributions={"": "1"}), "the name of a distribution is '', but names are 1 to 200 printable characters"),
        (hello(distributions={"a": "1" * 201}), "the version of a distribution has 201 characters; 200 are allowed"),
        (hello(capacity=pb.Capacity(cpus=-1)), "the number of CPUs is -1, but is a finite number from 0 to 1e+06"),
        (hello(held=[pb.Held(attempt=1)]), "a message Held has no lease; each names the lease of its task"),
    ],
)  # fmt: skip
def test_what_a_hello_may_not_say(said, sentence):
    with pytest.raises(WireError) as caught:
        joining.greeting_of(said)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (pb.Challenge(protocol=1, nonce=b"n"), "the nonce of the master has 1 bytes; it has 32"),
        (
            pb.Challenge(protocol=3, nonce=b"n" * 32, version="3.0"),
            other("the master", 3, "3.0"),
        ),
    ],
)  # fmt: skip
def test_what_a_challenge_may_not_say(said, sentence):
    with pytest.raises(WireError) as caught:
        joining.nonce_of(said)
    assert str(caught.value) == sentence


def welcome(**said):
    return pb.Welcome(**{"workload": "{}", "heartbeat": 1.0} | said)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (welcome(workload="[]"), "the workload is [], but is an object"),
        (welcome(workload="{"), "the workload cannot be read: it is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        (welcome(workload=" " * (2**21 + 1)), "the workload has 2097153 characters; 2097152 are allowed"),
        (welcome(heartbeat=0.0), "the time between heartbeats is 0, but is a finite number from 0.01 to 3600"),
        (welcome(heartbeat=math.nan), "the time between heartbeats is nan, but is a finite number from 0.01 to 3600"),
        (welcome(term=2**63), "the term of a master is 9223372036854775808, but is from 0 to 9223372036854775807"),
    ],
)  # fmt: skip
def test_what_a_welcome_may_not_say(said, sentence):
    with pytest.raises(WireError) as caught:
        joining.reception_of(said)
    assert str(caught.value) == sentence


def test_a_workload_that_cannot_be_sent_is_said():
    with pytest.raises(
        WireError, match=r"^the workload cannot be written as JSON: Object of type object is not JSON serializable$"
    ):
        joining.welcome_message(Reception("key", "abc", 7, {"space": object()}, 1.0))


@given(st.binary(max_size=80))
@pytest.mark.parametrize(
    ("message", "read"),
    [(pb.Hello, joining.greeting_of), (pb.Welcome, joining.reception_of), (pb.Challenge, joining.nonce_of)],
)
def test_no_bytes_do_harm(message, read, data):
    with contextlib.suppress(DecodeError, WireError):
        read(message.FromString(data))
