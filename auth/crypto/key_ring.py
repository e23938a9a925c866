"""The key ring: which key signs an access token, and which keys verify one, at an instant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from auth.crypto import jws
from db.tables.base import SigningAlgorithm

# Verified tokens that a worker remembers. Each takes some two kilobytes.
MAX_CACHED_CLAIMS = 4096

T = TypeVar("T")

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A signing key whose private half is unsealed."""

    kid: str
    algorithm: SigningAlgorithm
    private: PrivateKey
    public: PublicKey
    active_from: datetime
    retired_at: datetime | None
    # Whether the newest server secret sealed it, and not an older one.
    is_sealed_with_newest: bool

    def is_retired(self, now: datetime) -> bool:
        """Whether tokens that this key signed are refused by now."""
        return self.retired_at is not None and self.retired_at <= now

    def jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK (RFC 7517)."""
        return public_jwk(self.public) | {"kid": self.kid, "alg": str(self.algorithm), "use": "sig"}


class KeyRing:
    """The keys of access tokens, as this worker last read them."""

    def __init__(self, keys: Sequence[AccessKey]) -> None:
        self._by_age = sorted(keys, key=lambda key: (key.active_from, key.kid))
        self._by_kid = {key.kid: key for key in keys}
        # A client sends the same access token with each request, and verifying it takes longer than reading its
        # session. Only genuine tokens are cached. Expiry and the session's state are checked every time.
        self.verified_claims = lru_cache(maxsize=MAX_CACHED_CLAIMS)(self._verified_claims)

    def __iter__(self) -> Iterator[AccessKey]:
        return iter(self._by_kid.values())

    def signing_key(self, now: datetime) -> AccessKey:
        """Return the key to sign with: the newest active one."""
        unretired = [key for key in self._by_age if not key.is_retired(now)] or self._by_age[-1:]
        active = [key for key in unretired if key.active_from <= now]
        # If a clock ahead of this one made the only key, no key is active yet. Sign with it all the same.
        return active[-1] if active else unretired[0]

    def verification_key(self, kid: object, now: datetime) -> AccessKey | None:
        """Return the key with this id, or None if there is none or it is retired."""
        key = self._by_kid.get(kid) if isinstance(kid, str) else None
        return None if key is None or key.is_retired(now) else key

    def _verified_claims(self, token: str, kid: str, parse: Callable[[dict[str, Any]], T]) -> T:
        """Return the parsed claims of a token. Raises `ValueError` if this key did not sign it."""
        key = self._by_kid[kid]
        if (claims := jws.verify(token, key.public, key.algorithm)) is None:
            raise ValueError("not signed with this key")
        return parse(claims)

    def jwks(self, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """Return the public keys as a JWK set (RFC 7517 section 5): active ones, and the next one before its use."""
        return {"keys": [key.jwk() for key in self._by_kid.values() if not key.is_retired(now)]}


def public_jwk(public: PublicKey) -> dict[str, Any]:
    """Return the parameters of a public key (RFC 7518 section 6.2.1, RFC 8037 section 2)."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
