"""Proofs hold for one token, nonce, role and name alone."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphml_distributed.security import tokens
from morphml_distributed.security.settings import Security, SecurityError

TOKEN, NONCE = b"a token of the cluster", b"n" * 32
CASES = st.tuples(st.binary(min_size=1, max_size=40), st.binary(min_size=32, max_size=32), st.sampled_from([tokens.WORKER, tokens.VIEWER]), st.text(max_size=20))  # fmt: skip


def test_the_proof_is_the_one_of_the_protocol():
    expected = hmac.new(TOKEN, NONCE + b"worker\0w1", hashlib.sha256).digest()
    assert tokens.proof(TOKEN, NONCE, tokens.WORKER, "w1") == expected


@given(CASES, CASES)
def test_a_proof_proves_what_it_was_made_for_and_nothing_else(one, two):
    assert tokens.proves(*one, tokens.proof(*one))
    if one != two:
        assert not tokens.proves(*two, tokens.proof(*one))


@pytest.mark.parametrize("wrong", [b"", b"x" * 32, tokens.proof(TOKEN, b"m" * 32, "worker", "w1")])
def test_other_proofs_prove_nothing(wrong):
    assert not tokens.proves(TOKEN, NONCE, "worker", "w1", wrong)


def test_without_a_token_nothing_has_to_be_proved():
    assert tokens.proof(b"", NONCE, "worker", "w1") == b""
    assert tokens.proves(b"", NONCE, "worker", "w1", b"")
    assert tokens.proves(b"", NONCE, "worker", "w1", b"x" * 32)


def test_nonces_and_tokens_are_fresh():
    assert len({tokens.new_nonce() for _ in range(100)}) == 100
    assert len({tokens.new_token() for _ in range(100)}) == 100
    assert len(tokens.new_nonce()) == 32


def test_a_token_is_read_without_white_space(tmp_path):
    file = tmp_path / "token"
    file.write_text("  0123456789abcdef\r\n")
    assert tokens.token_of(Security(token_file=file)) == b"0123456789abcdef"
    assert tokens.token_of(Security()) == b""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"short\n", "the token in {} has 5 characters; at least 16 are needed (`morphml cluster init` makes a good one)"),
        (b"x" * 5000, "the token file {} is longer than 4096 bytes; it should hold the token alone"),
        (None, "the token file {} cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_a_token_that_is_none_is_said(tmp_path, content, sentence):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecurityError) as caught:
        tokens.token_of(Security(token_file=file))
    assert str(caught.value) == sentence.format(file)
