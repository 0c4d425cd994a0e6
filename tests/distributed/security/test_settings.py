"""Which security will do for which address."""

from pathlib import Path

import pytest

from morphml_core.errors import ConfigurationError
from morphml_distributed.security.settings import (
    Security,
    SecurityError,
    check_connecting,
    check_listening,
    host_of,
    is_loopback,
)

TLS = {"authority": Path("ca.pem"), "certificate": Path("me.pem"), "key": Path("me.key")}


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "LOCALHOST:1", "localhost.:1", "127.0.0.1:1", "127.9.9.9:0", "[::1]:1", "::1", "[::ffff:127.0.0.1]:1", "unix:/tmp/s", "unix-abstract:s", "127.0.0.1"],
)  # fmt: skip
def test_loopback(address):
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "a.localhost:1", "[::]:1", "10.0.0.1:1", "desk:1", "localhost.example.org:1", "127.0.0.1.example.org:1", "notlocalhost:1", "[::ffff:10.0.0.1]:1", "128.0.0.1:1", "", ":4567", "2130706433:1", "127.1:1"],
)  # fmt: skip
def test_beyond_loopback(address):
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("address", "host"),
    [("desk:1", "desk"), ("[::1]:80", "::1"), ("::1", "::1"), ("desk", "desk"), ("[fe80::1%eth0]:1", "fe80::1%eth0"), (":1", ":1")],
)  # fmt: skip
def test_hosts(address, host):
    assert host_of(address) == host


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:4567"])
def test_on_loopback_nothing_is_needed(address):
    check_listening(address, Security())
    check_connecting(address, Security())


def test_beyond_loopback_tls_is_needed():
    advice = (
        " without TLS, as it is beyond this machine; give 'authority', 'certificate', 'key' and 'token_file' (`morphml cluster init` makes "
        "these files), or say 'insecure: true' where everybody on the network is trusted"
    )
    with pytest.raises(SecurityError) as caught:
        check_listening("0.0.0.0:4567", Security(token_file=Path("token")))
    assert str(caught.value) == "the master cannot listen on 0.0.0.0:4567" + advice
    with pytest.raises(SecurityError) as caught:
        check_connecting("desk:4567", Security())
    assert str(caught.value) == "there is no connection to the master at desk:4567" + advice


def test_beyond_loopback_a_token_is_needed():
    advice = " without a token, as it is beyond this machine; give 'token_file' (`morphml cluster init` makes it)"
    with pytest.raises(SecurityError) as caught:
        check_listening("0.0.0.0:4567", Security(**TLS))
    assert str(caught.value) == "the master cannot listen on 0.0.0.0:4567" + advice
    with pytest.raises(SecurityError) as caught:
        check_connecting("desk:4567", Security(**TLS))
    assert str(caught.value) == "there is no connection to the master at desk:4567" + advice


def test_with_all_of_it_or_where_someone_says_so_any_address_will_do():
    for security in (Security(**TLS, token_file=Path("token")), Security(insecure=True)):
        check_listening("0.0.0.0:4567", security)
        check_connecting("desk:4567", security)


@pytest.mark.parametrize(
    ("given", "missing"),
    [(["authority"], "'certificate' and 'key' are"), (["authority", "key"], "'certificate' is"), (["certificate", "key"], "'authority' is")],
)  # fmt: skip
def test_half_of_tls_is_refused(given, missing):
    with pytest.raises(SecurityError) as caught:
        Security(**{name: TLS[name] for name in given})
    assert str(caught.value) == (
        f"TLS needs 'authority', 'certificate' and 'key', but {missing} missing; `morphml cluster init` makes all of them"
    )


def test_insecure_with_certificates_is_refused():
    with pytest.raises(SecurityError) as caught:
        Security(**TLS, insecure=True)
    assert str(caught.value) == "'insecure' is true, and certificates are given as well; leave one of them out"


def test_a_security_error_is_one_that_the_command_line_prints():
    assert not issubclass(SecurityError, ConfigurationError)
    assert SecurityError.exit_code == 2
