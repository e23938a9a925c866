"""Keys: those derived from the server secret, and the signing keys in the database that it seals."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from auth.clock_agreement import require_agreement
from auth.crypto.base64url import thumbprint
from auth.crypto.entropy import Entropy
from auth.crypto.key_ring import AccessKey, KeyRing, PrivateKey, public_jwk
from auth.crypto.secret_keys import NONCE, SecretKeys, WrongSecret
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Database
from db.engine.retry import retried
from db.tables import signing_keys
from db.tables.base import SigningAlgorithm
from db.tables.signing_keys import SigningKeyRow

logger = logging.getLogger("kindred")

# A new key is in the JWKS for so long before it signs, so that whoever caches the JWKS has it by then.
PUBLISH_LEAD = timedelta(minutes=10)
# A key that has signed for so long is due for rotation (ASVS 13.3.4).
ROTATION_DUE = timedelta(days=90)
# How soon a worker takes up what was changed elsewhere. By the clock, and not where a token names a key that it does
# not know: anybody can make up names, and each would cost a statement.
POLL_SECONDS = 2


class SigningKeyStore:
    """The keys that this worker uses. `secrets` has the newest first."""

    def __init__(self, db: Database, secrets: Sequence[SecretKeys], entropy: Entropy) -> None:
        self.db = db
        self.secrets = secrets
        self._entropy = entropy
        self._rows: Sequence[SigningKeyRow] = []
        self.ring = KeyRing([])

    @property
    def secret(self) -> SecretKeys:
        """What signs and seals: derived from the newest server secret."""
        return self.secrets[0]

    @retried(idempotent=True)
    async def reload(self) -> None:
        """Read the signing keys anew. Raises `WrongSecret`, and then those that were read before stay."""
        async with self.db.read() as conn:
            rows = await signing_keys.list_all(conn)
        if rows != self._rows:  # to open them costs more than to read them
            self.ring = KeyRing([self._open(row) for row in rows])
            self._rows = rows

    async def watch(self) -> None:
        """Read the signing keys anew, every other second and for ever."""
        refused = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.reload()
                refused = False
            except DatabaseUnavailable:
                continue
            except Exception as error:
                # Somebody brought in a key with a secret that this worker does not have. It goes on with what it has.
                if not refused:
                    logger.error("The signing keys cannot be read anew.", exc_info=error)
                refused = True

    @retried(idempotent=True)
    async def ensure_first_key(self, algorithm: SigningAlgorithm, now: datetime) -> None:
        """Read the signing keys, after making the first one where there is none yet. Raises `WrongSecret`."""
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            if not await signing_keys.list_all(conn):
                await signing_keys.add(conn, self._make(algorithm, now, active_from=now))
        await self.reload()

    @retried(idempotent=False)
    async def rotate(
        self, algorithm: SigningAlgorithm, now: datetime, *, access_token_ttl: timedelta, immediately: bool = False
    ) -> SigningKeyRow:
        """Add a key that signs from `PUBLISHED_AHEAD` on, and retire the others when their last token has ended.

        `at_once` is for a private key that has leaked: the new one signs now, and nothing that any other key signed
        counts from now on. Refresh tokens do not depend on these keys, so nobody is signed out. Raises `ClocksDiffer`.
        """
        active_from = now if immediately else now + PUBLISH_LEAD
        key = self._make(algorithm, now, active_from=active_from)
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            # Both instants are kept for good.
            await require_agreement(conn, now, undone="no key was made or retired")
            await signing_keys.retire(conn, at=now if immediately else active_from + access_token_ttl)
            await signing_keys.add(conn, key)
        return key

    @retried(idempotent=True)
    async def reseal(self) -> int:
        """Seal with the newest server secret what an older one sealed. Returns how many. Raises `WrongSecret`."""
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            old = [key for key in map(self._open, await signing_keys.list_all(conn)) if not key.is_sealed_with_newest]
            for key in old:
                await signing_keys.reseal(conn, key.kid, self._seal(key.private, key.kid))
        return len(old)

    @retried(idempotent=True)
    async def list_all(self) -> Sequence[SigningKeyRow]:
        """The signing keys as stored, oldest first."""
        async with self.db.read() as conn:
            return await signing_keys.list_all(conn)

    def _make(self, algorithm: SigningAlgorithm, now: datetime, *, active_from: datetime) -> SigningKeyRow:
        private: PrivateKey = (
            ed25519.Ed25519PrivateKey.generate()
            if algorithm is SigningAlgorithm.EDDSA
            else ec.generate_private_key(ec.SECP256R1())
        )
        kid = thumbprint(public_jwk(private.public_key()))
        return SigningKeyRow(
            kid=kid,
            algorithm=algorithm,
            public_key=private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            sealed_private_key=self._seal(private, kid),
            created_at=now,
            active_from=active_from,
        )

    def _seal(self, private: PrivateKey, kid: str) -> bytes:
        plain = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self.secret.seal(plain, kid, self._entropy.bytes(NONCE))

    def _open(self, row: SigningKeyRow) -> AccessKey:
        for secret in self.secrets:
            plain = secret.unseal(row.sealed_private_key, row.kid)
            if plain is not None:
                break
        else:
            raise WrongSecret
        private = cast(PrivateKey, serialization.load_der_private_key(plain, password=None))
        return AccessKey(
            row.kid,
            SigningAlgorithm(row.algorithm),
            private,
            private.public_key(),
            row.active_from,
            row.retired_at,
            is_sealed_with_newest=secret is self.secret,
        )
