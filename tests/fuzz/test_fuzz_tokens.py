"""`decode_token` with generated input: it accepts a genuine token, and raises `InvalidToken` for anything else."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from auth.clock import SystemClock
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import InvalidToken, Issuer, TokenKind, create_access_token, create_refresh_token, decode_token
from tests.fuzz.inputs import fuzzed

SEGMENT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Where a token is changed, how many characters are cut out, and what replaces them.
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 600), st.integers(0, 40), st.one_of(st.text(SEGMENT + ".=", max_size=8), st.text(max_size=4))
    ),
    min_size=1,
    max_size=4,
)


def genuine(issuer: Issuer) -> dict[TokenKind, str]:
    """Return a token of each kind."""
    now = SystemClock().now()
    whose: dict[str, Any] = {"user_id": Entropy().id(now), "session_id": Entropy().id(now)}
    when: dict[str, Any] = {"issued_at": now, "expires_at": now + timedelta(days=1)}
    return {
        TokenKind.ACCESS: create_access_token(issuer, **whose, **when, jti="a" * 43, auth_time=now),
        TokenKind.REFRESH: create_refresh_token(issuer, **whose, **when, jti="r" * 43, generation=1),
    }


def test_a_changed_token_raises_only_invalid_token(fuzzed_app: tuple[FastAPI, asyncio.Runner]) -> None:
    issuer = fuzzed_app[0].state.services.rotation.token_pairs.issuer
    tokens = genuine(issuer)
    now = SystemClock().now()
    for kind, token in tokens.items():
        assert decode_token(issuer, token, kind, now)

    @fuzzed
    @given(st.sampled_from(TokenKind), st.sampled_from(TokenKind), CHANGES)
    def change(of: TokenKind, read_as: TokenKind, changes: list[tuple[int, int, str]]) -> None:
        token = tokens[of]
        for start, length, text in changes:
            start = min(start, len(token))
            token = token[:start] + text + token[start + length :]
        with suppress(InvalidToken):
            decode_token(issuer, token, read_as, now)
            assert (token, of) == (tokens[of], read_as)

    change()


def test_input_that_was_never_a_token_raises_only_invalid_token(fuzzed_app: tuple[FastAPI, asyncio.Runner]) -> None:
    issuer = fuzzed_app[0].state.services.rotation.token_pairs.issuer
    now = SystemClock().now()
    parts = st.text(SEGMENT, max_size=60)
    anything = st.one_of(
        st.text(max_size=3000),
        st.binary(max_size=3000).map(lambda data: data.decode("latin-1")),
        st.binary(max_size=300).map(lambda data: data.decode("utf-8", "surrogateescape")),
        st.tuples(parts, parts, parts).map(".".join),
    )

    @fuzzed
    @given(anything, st.sampled_from(TokenKind))
    def read(token: str, kind: TokenKind) -> None:
        with suppress(InvalidToken):
            decode_token(issuer, token, kind, now)
            raise AssertionError(token)

    read()
