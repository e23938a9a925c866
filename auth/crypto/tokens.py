"""Access tokens and refresh tokens: created, decoded, and derived from each other.

Both kinds are JWTs, and neither passes for the other: they differ in `typ`, in `aud` and in their keys.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from auth.crypto import jws
from auth.crypto.base64url import base64url, from_base64url
from auth.crypto.signing_keys import SigningKeyStore

# Tokens of this service have about 400 characters. Longer text is refused before it is parsed.
MAX_TOKEN_LENGTH = 2048
# How far two machines' clocks may differ before one refuses a token that the other has just issued (TOK-10).
CLOCK_SKEW = timedelta(seconds=30)
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TokenKind(StrEnum):
    """The `typ` of a token's header (RFC 8725 section 3.11)."""

    ACCESS = "at+jwt"  # RFC 9068 section 2.1
    REFRESH = "rt+jwt"


class InvalidToken(Exception):
    """Malformed, of another kind, or expired. The reason is not disclosed."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a genuine token."""

    user_id: UUID
    session_id: UUID
    jti: str
    issued_at: datetime
    expires_at: datetime
    generation: int
    # The key that derives its successor; empty for an access token, which has none.
    successors: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer of tokens (`iss`), its keys, and the audience of access tokens (`aud`)."""

    keys: SigningKeyStore
    name: str
    audience: str

    @property
    def refresh_audience(self) -> str:
        """The audience of refresh tokens: the issuer itself, so no other service accepts one."""
        return f"{self.name}#refresh"

    def parse_access_claims(self, claims: dict[str, Any]) -> Claims:
        """Parse the claims of an access token whose signature is valid. Raises as `parse_claims` does."""
        return self.parse_claims(claims, self.audience)

    def parse_claims(
        self, claims: dict[str, Any], audience: str, generation: int = 0, successors: bytes = b""
    ) -> Claims:
        """Parse the claims of a token whose signature is valid.

        Raises `InvalidToken`; `KeyError`, `TypeError` or `ValueError` for malformed claims.
        """
        # One audience, as a string: a token for several could be meant for another service (RFC 8725 section 3.9).
        if claims["iss"] != self.name or claims["aud"] != audience:
            raise InvalidToken
        # The successor is derived from the `jti`, so it must have one spelling.
        if not claims["jti"].isascii():
            raise InvalidToken
        return Claims(
            user_id=UUID(claims["sub"]),
            session_id=UUID(claims["sid"]),
            jti=claims["jti"],
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            generation=generation,
            successors=successors,
        )


def create_refresh_token(
    issuer: Issuer,
    *,
    user_id: UUID,
    session_id: UUID,
    generation: int,
    jti: str,
    issued_at: datetime,
    expires_at: datetime,
) -> str:
    """Create a refresh token. The same arguments give the same token, so the service can repeat an answer."""
    claims = {
        "iss": issuer.name,
        "aud": issuer.refresh_audience,
        "sub": str(user_id),
        "sid": str(session_id),
        "gen": generation,
        "jti": jti,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return jws.sign(claims, issuer.keys.secret.refresh_tokens, "HS256", typ=TokenKind.REFRESH)


def create_access_token(
    issuer: Issuer,
    *,
    user_id: UUID,
    session_id: UUID,
    jti: str,
    auth_time: datetime,
    issued_at: datetime,
    expires_at: datetime,
) -> str:
    """Create an access token (RFC 9068 section 2.2). `auth_time` is when the user last entered their password."""
    key = issuer.keys.ring.signing_key(issued_at)
    claims = {
        "iss": issuer.name,
        "aud": issuer.audience,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": jti,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "auth_time": int(auth_time.timestamp()),
    }
    return jws.sign(claims, key.private, key.algorithm, typ=TokenKind.ACCESS, kid=key.kid)


def decode_token(issuer: Issuer, token: str, kind: TokenKind, now: datetime) -> Claims:
    """Return the claims of a genuine token of this kind. Raises `InvalidToken` for any other text.

    An access token past its `exp` is refused here. A refresh token is not: only its family tells whether it expired
    unused or is a replay.
    """
    compact = _COMPACT.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if compact is None:
        raise InvalidToken
    try:
        decode = _decode_refresh_token if kind is TokenKind.REFRESH else _decode_access_token
        claims = decode(issuer, token, compact[1], now)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise InvalidToken from None
    if kind is TokenKind.ACCESS and not (claims.issued_at - CLOCK_SKEW <= now < claims.expires_at):
        raise InvalidToken
    return claims


# A token's header never chooses how the token is verified. It must equal the header that this service writes, letter
# by letter, or nothing after it is read. This stops `alg: none` and a swapped algorithm (RFC 8725 sections 3.1, 3.11).


def _decode_refresh_token(issuer: Issuer, token: str, header: str, _now: datetime) -> Claims:
    if header == jws.encode_header("HS256", typ=TokenKind.REFRESH):
        for secret in issuer.keys.secrets:  # newest first; several only while the server secret is being replaced
            if (claims := jws.verify(token, secret.refresh_tokens, "HS256")) is not None:
                generation = claims["gen"]
                if not _is_generation(generation):
                    raise InvalidToken
                return issuer.parse_claims(claims, issuer.refresh_audience, generation, secret.successors)
    raise InvalidToken


def _decode_access_token(issuer: Issuer, token: str, header: str, now: datetime) -> Claims:
    key = issuer.keys.ring.verification_key(_kid(header), now)
    if key is None or header != jws.encode_header(key.algorithm, typ=TokenKind.ACCESS, kid=key.kid):
        raise InvalidToken
    claims: Claims = issuer.keys.ring.verified_claims(token, key.kid, issuer.parse_access_claims)
    return claims


@lru_cache(maxsize=64)
def _kid(header: str) -> Any:
    """Return the key id in an access token's header. There are few different headers, so each is parsed once."""
    return orjson.loads(from_base64url(header))["kid"]


def _is_generation(claim: object) -> bool:
    return type(claim) is int and 1 <= claim < 2**63


def digest(jti: str) -> bytes:
    """Return what the database stores of a refresh token. A plain hash suffices for 256 random bits (ASVS 6.5.2)."""
    return hashlib.sha256(jti.encode()).digest()


def derive_successor(presented: Claims, idempotency_key: str) -> str:
    """Return the `jti` of the token that follows `presented` in the attempt with this idempotency key.

    It is derived, not drawn, so the service can repeat an answer that it did not store. An attacker cannot compute it,
    even with the presented token, the key and a copy of the database. It uses the server secret that signed the
    presented token, so a repeated attempt gets the same answer after the secret was replaced.
    """
    attempt = b"".join(
        (
            presented.session_id.bytes,
            presented.generation.to_bytes(8, "big"),
            # A digest has a fixed length. Only the last part may vary in length, or two attempts could collide.
            digest(presented.jti),
            idempotency_key.encode(),
        )
    )
    return base64url(hmac.digest(presented.successors, attempt, "sha256"))
