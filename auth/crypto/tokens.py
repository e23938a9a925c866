"""Tokens: made, and told apart.

Both kinds are JWTs, and neither can stand in for the other: they differ in `typ`, in `aud` and in their keys.
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

# Ours are about 400 characters; what is longer is not worth a look.
MAX_TOKEN_LENGTH = 2048
# How far the clocks of two machines may differ before one refuses what the other has just issued (TOK-10).
CLOCK_SKEW = timedelta(seconds=30)
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TokenKind(StrEnum):
    """The `typ` of a token's header (RFC 8725 section 3.11)."""

    ACCESS = "at+jwt"  # RFC 9068 section 2.1
    REFRESH = "rt+jwt"


class InvalidToken(Exception):
    """Not a token of that kind from this service, or not one that still counts. Why is nobody's business."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says."""

    user_id: UUID
    session_id: UUID
    jti: str
    issued_at: datetime
    expires_at: datetime
    generation: int
    # What its successor is derived with; empty for an access token, which has none.
    successors: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues tokens, and for whom."""

    keys: SigningKeyStore
    name: str
    audience: str

    @property
    def refresh_audience(self) -> str:
        """Refresh tokens are for the issuer alone."""
        return f"{self.name}#refresh"

    def access_claims(self, claims: dict[str, Any]) -> Claims:
        """What an access token says whose signature is right; raises as `claims` does."""
        return self.claims(claims, self.audience)

    def claims(self, claims: dict[str, Any], audience: str, generation: int = 0, successors: bytes = b"") -> Claims:
        """What a token says whose signature is right. Raises `InvalidToken`, or what comes of claims that are none."""
        # One audience, as a string: a token for several could be for another one as well (RFC 8725 section 3.9).
        if claims["iss"] != self.name or claims["aud"] != audience:
            raise InvalidToken
        # A successor is derived from this, so it must be what it looks like, whoever signed it.
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
    """A refresh token. The same arguments give the same token, which is how an answer can be given twice."""
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
    """An access token (RFC 9068 section 2.2). `auth_time` is when the person last gave their password."""
    key = issuer.keys.ring.signing(issued_at)
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
    """What a genuine token of that kind says; raises `InvalidToken` for all else.

    An access token past its `exp` is refused here. A refresh token is not: whether it was not used in time, or was
    used and comes again, only its family can tell.
    """
    compact = _COMPACT.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if compact is None:
        raise InvalidToken
    try:
        read = _read_refresh_token if kind is TokenKind.REFRESH else _read_access_token
        genuine = read(issuer, token, compact[1], now)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise InvalidToken from None
    if kind is TokenKind.ACCESS and not (genuine.issued_at - CLOCK_SKEW <= now < genuine.expires_at):
        raise InvalidToken
    return genuine


# The header of a token does not choose how it is verified, and asks for nothing: it is ours to the letter, or what
# follows it is not looked at (RFC 8725 sections 3.1 and 3.11).


def _read_refresh_token(issuer: Issuer, token: str, header: str, _now: datetime) -> Claims:
    if header == jws.encode_header("HS256", typ=TokenKind.REFRESH):
        for secret in issuer.keys.secrets:  # newest first; several only while the secret is replaced
            if (claims := jws.verify(token, secret.refresh_tokens, "HS256")) is not None:
                generation = claims["gen"]
                if not _is_generation(generation):
                    raise InvalidToken
                return issuer.claims(claims, issuer.refresh_audience, generation, secret.successors)
    raise InvalidToken


def _read_access_token(issuer: Issuer, token: str, header: str, now: datetime) -> Claims:
    key = issuer.keys.ring.verifying(_kid(header), now)
    if key is None or header != jws.encode_header(key.algorithm, typ=TokenKind.ACCESS, kid=key.kid):
        raise InvalidToken
    claims: Claims = issuer.keys.ring.read(token, key.kid, issuer.access_claims)
    return claims


@lru_cache(maxsize=64)
def _kid(header: str) -> Any:
    """Which key an access token names. Theirs are but a few headers, so each is read once."""
    return orjson.loads(from_base64url(header))["kid"]


def _is_generation(claim: object) -> bool:
    return type(claim) is int and 1 <= claim < 2**63


def digest(jti: str) -> bytes:
    """What the store holds of a refresh token. A plain hash will do for 256 random bits (ASVS 6.5.2)."""
    return hashlib.sha256(jti.encode()).digest()


def derive_successor(presented: Claims, idempotency_key: str) -> str:
    """The `jti` of the token that follows `presented` in the attempt that this key names.

    Derived and not drawn: the service can compute again what it once answered without having stored it, and nobody
    else can, not even with the presented token, the key and a copy of the database. It is derived with the server
    secret that signed the presented token: an attempt that comes again after the secret was replaced is the same still.
    """
    attempt = b"".join(
        (
            presented.session_id.bytes,
            presented.generation.to_bytes(8, "big"),
            # A digest, because its length is fixed: only the last part may be of any length.
            digest(presented.jti),
            idempotency_key.encode(),
        )
    )
    return base64url(hmac.digest(presented.successors, attempt, "sha256"))
