"""The key ring: which key signs an access token, and which verify one, at an instant."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from auth.crypto import jws
from db.tables.base import SigningAlgorithm

# Each with its token takes some two kilobytes.
KEPT_CLAIMS = 4096

T = TypeVar("T")

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A signing key, opened."""

    kid: str
    algorithm: SigningAlgorithm
    private: PrivateKey
    public: PublicKey
    active_from: datetime
    retired_at: datetime | None
    # Whether the newest server secret opened it, and not an older one.
    is_sealed_with_newest: bool

    def is_retired(self, now: datetime) -> bool:
        """Whether nothing that it signed counts any more."""
        return self.retired_at is not None and self.retired_at <= now

    def jwk(self) -> dict[str, Any]:
        """The public key as a JWK (RFC 7517)."""
        return public_jwk(self.public) | {"kid": self.kid, "alg": str(self.algorithm), "use": "sig"}


class KeyRing:
    """The keys of access tokens, as this worker last read them."""

    def __init__(self, keys: Sequence[AccessKey]) -> None:
        self._by_age = sorted(keys, key=lambda key: (key.active_from, key.kid))
        self._keys = {key.kid: key for key in keys}
        # A client sends its access token with each request; to verify it takes longer than to ask the database whether
        # its session lives. Only what was found good is kept, and whether it still counts is asked each time.
        self.read = lru_cache(maxsize=KEPT_CLAIMS)(self._read)

    def __iter__(self) -> Iterator[AccessKey]:
        return iter(self._keys.values())

    def signing(self, now: datetime) -> AccessKey:
        """The key to sign with: of those that are active, the newest."""
        unretired = [key for key in self._by_age if not key.is_retired(now)] or self._by_age[-1:]
        active = [key for key in unretired if key.active_from <= now]
        # Where the clock that made the only key is ahead of ours, it is active all the same.
        return active[-1] if active else unretired[0]

    def verifying(self, kid: object, now: datetime) -> AccessKey | None:
        """The key of that name, or None where there is none or it has been retired."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        return None if key is None or key.is_retired(now) else key

    def _read(self, token: str, kid: str, claims_of: Callable[[dict[str, Any]], T]) -> T:
        """What a token says that the key of that name signed; raises `ValueError` where it did not."""
        key = self._keys[kid]
        if (claims := jws.verify(token, key.public, key.algorithm)) is None:
            raise ValueError("not signed with this key")
        return claims_of(claims)

    def jwks(self, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK set (RFC 7517 section 5): active ones, and the next one ahead of its use."""
        return {"keys": [key.jwk() for key in self._keys.values() if not key.is_retired(now)]}


def public_jwk(public: PublicKey) -> dict[str, Any]:
    """The parameters of a public key (RFC 7518 section 6.2.1, RFC 8037 section 2)."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
