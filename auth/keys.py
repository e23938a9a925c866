"""Keys: those that are derived from the server secret, and the signing keys in the database that it seals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from auth.encoding import thumbprint
from auth.entropy import Entropy
from db import signing_keys
from db.base import SigningAlgorithm
from db.engine import Database, retried
from db.signing_keys import SigningKey

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

# A new key is in the JWKS for so long before it signs, so that whoever caches the JWKS has it by then.
PUBLISHED_AHEAD = timedelta(minutes=10)
_NONCE = 12


class WrongSecret(Exception):
    """The signing keys in the database were sealed with another server secret."""


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """What is derived from the server secret (HKDF, RFC 5869): one key for each purpose."""

    refresh_tokens: bytes
    successors: bytes
    sealing: bytes

    @classmethod
    def derive(cls, secret: bytes) -> "SecretKeys":
        """The same secret gives the same keys, on every worker and after every restart."""

        def key(purpose: bytes) -> bytes:
            return HKDF(hashes.SHA256(), length=32, salt=None, info=b"kindred " + purpose).derive(secret)

        return cls(key(b"refresh tokens"), key(b"successors"), key(b"signing keys"))


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A signing key, opened."""

    kid: str
    algorithm: SigningAlgorithm
    private: PrivateKey
    public: Any
    active_from: datetime
    retired_at: datetime | None

    def jwk(self) -> dict[str, Any]:
        """The public key as a JWK (RFC 7517)."""
        return _jwk(self.public) | {"kid": self.kid, "alg": str(self.algorithm), "use": "sig"}


class KeyRing:
    """The keys of access tokens, as this worker last read them."""

    def __init__(self, keys: Sequence[AccessKey]) -> None:
        self._keys = {key.kid: key for key in keys}

    def signing(self, now: datetime) -> AccessKey:
        """The key to sign with: of those that are active, the newest."""
        by_age = sorted(self._keys.values(), key=lambda key: (key.active_from, key.kid))
        active = [key for key in by_age if key.active_from <= now]
        # Where the clock that made the very first key is ahead of ours, it is active all the same.
        return active[-1] if active else by_age[0]

    def verifying(self, kid: object, now: datetime) -> AccessKey | None:
        """The key of that name, or None where there is none or it has been retired."""
        key = self._keys.get(kid) if isinstance(kid, str) else None
        return None if key is None or (key.retired_at is not None and key.retired_at <= now) else key

    def jwks(self, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK set (RFC 7517 section 5): active ones, and the next one ahead of its use."""
        return {"keys": [key.jwk() for key in self._keys.values() if self.verifying(key.kid, now)]}


class Keys:
    """The keys that this worker uses."""

    def __init__(self, db: Database, secret: SecretKeys, entropy: Entropy) -> None:
        self.db = db
        self.secret = secret
        self._entropy = entropy
        self.ring = KeyRing([])

    @retried(idempotent=True)
    async def load(self) -> None:
        """Read the signing keys anew. Raises `WrongSecret`."""
        async with self.db.read() as conn:
            self.ring = KeyRing([_open(row, self.secret) for row in await signing_keys.every(conn)])

    @retried(idempotent=True)
    async def ensure(self, algorithm: SigningAlgorithm, now: datetime) -> None:
        """Read the signing keys, after making the first one where there is none yet. Raises `WrongSecret`."""
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            if not await signing_keys.every(conn):
                await signing_keys.add(conn, self._make(algorithm, now, active_from=now))
        await self.load()

    @retried(idempotent=False)
    async def rotate(self, algorithm: SigningAlgorithm, now: datetime, *, access_token_ttl: timedelta) -> SigningKey:
        """Add a key that signs from `PUBLISHED_AHEAD` on, and retire the others when their last token has ended."""
        active_from = now + PUBLISHED_AHEAD
        key = self._make(algorithm, now, active_from=active_from)
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            await signing_keys.retire(conn, older_than=active_from, at=active_from + access_token_ttl)
            await signing_keys.add(conn, key)
        return key

    @retried(idempotent=True)
    async def every(self) -> Sequence[SigningKey]:
        """The signing keys as stored, oldest first."""
        async with self.db.read() as conn:
            return await signing_keys.every(conn)

    def _make(self, algorithm: SigningAlgorithm, now: datetime, *, active_from: datetime) -> SigningKey:
        private: PrivateKey = (
            ed25519.Ed25519PrivateKey.generate()
            if algorithm is SigningAlgorithm.EDDSA
            else ec.generate_private_key(ec.SECP256R1())
        )
        kid = thumbprint(_jwk(private.public_key()))
        nonce = self._entropy.bytes(_NONCE)
        plain = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return SigningKey(
            kid=kid,
            algorithm=algorithm,
            public_key=private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            # Bound to its name: whoever can write to the table cannot pass one key off as another.
            sealed_private_key=nonce + AESGCM(self.secret.sealing).encrypt(nonce, plain, kid.encode()),
            created_at=now,
            active_from=active_from,
        )


def _open(row: SigningKey, secret: SecretKeys) -> AccessKey:
    nonce, sealed = row.sealed_private_key[:_NONCE], row.sealed_private_key[_NONCE:]
    try:
        plain = AESGCM(secret.sealing).decrypt(nonce, sealed, row.kid.encode())
    except InvalidTag:
        raise WrongSecret(
            "The signing keys in this database were sealed with another server secret. Set KINDRED_SECRET "
            "(or the file that KINDRED_SECRET_FILE names) to the secret this database was first used with."
        ) from None
    private = cast(PrivateKey, serialization.load_der_private_key(plain, password=None))
    return AccessKey(
        row.kid,
        SigningAlgorithm(row.algorithm),
        private,
        private.public_key(),
        row.active_from,
        row.retired_at,
    )


def _jwk(public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> dict[str, Any]:
    if isinstance(public, ed25519.Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
