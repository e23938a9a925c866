"""The signing keys of access tokens: stored in the database, sealed with the server secret, rotated."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from auth.clock_agreement import require_agreement
from auth.crypto.base64url import thumbprint
from auth.crypto.derived_keys import NONCE_LENGTH, SecretKeys, WrongSecret
from auth.crypto.entropy import Entropy
from auth.crypto.key_ring import AccessKey, KeyRing, PrivateKey, public_jwk
from db.drivers.errors import DatabaseUnavailable
from db.engine.database import Database
from db.engine.retry import retried
from db.tables import signing_keys
from db.tables.base import SigningAlgorithm
from db.tables.signing_keys import SigningKeyRow

logger = logging.getLogger("kindred")

# A new key is in the JWKS for this long before it signs, so that services that cache the JWKS have it by then.
PUBLISH_LEAD = timedelta(minutes=10)
# A key that has signed for this long is due for rotation (ASVS 13.3.4).
ROTATION_DUE = timedelta(days=90)
# How often a worker looks for keys that another process changed. It does not look when a token names an unknown key:
# an attacker can make up key ids, and each would cost a statement.
POLL_SECONDS = 2


class SigningKeyStore:
    """The signing keys that this worker uses. `secrets` has the newest first."""

    def __init__(self, db: Database, secrets: Sequence[SecretKeys], entropy: Entropy) -> None:
        self.db = db
        self.secrets = secrets
        self._entropy = entropy
        self._rows: Sequence[SigningKeyRow] = []
        self.ring = KeyRing([])

    @property
    def secret(self) -> SecretKeys:
        """The keys derived from the newest server secret, which sign and seal."""
        return self.secrets[0]

    @retried(idempotent=True)
    async def reload(self) -> None:
        """Read the signing keys again. Raises `WrongSecret`, and then keeps the keys already loaded."""
        async with self.db.read() as conn:
            rows = await signing_keys.list_all(conn)
        if rows != self._rows:  # unsealing keys costs more than reading them
            self.ring = KeyRing([self._unseal(row) for row in rows])
            self._rows = rows

    async def watch(self) -> None:
        """Reload the signing keys every two seconds until cancelled."""
        failed = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.reload()
                failed = False
            except DatabaseUnavailable:
                continue
            except Exception as error:
                # A new key was sealed with a secret this worker lacks. Keep the keys already loaded.
                if not failed:
                    logger.error(
                        "The signing keys cannot be reloaded; this worker keeps the ones it has. Restart it with the "
                        "server secrets that the other workers use.",
                        exc_info=error,
                    )
                failed = True

    @retried(idempotent=True)
    async def ensure_first_key(self, algorithm: SigningAlgorithm, now: datetime) -> None:
        """Read the signing keys; on a new database, make the first one. Raises `WrongSecret`."""
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            if not await signing_keys.list_all(conn):
                await signing_keys.add(conn, self._make(algorithm, now, active_from=now))
        await self.reload()

    @retried(idempotent=False)
    async def rotate(
        self, algorithm: SigningAlgorithm, now: datetime, *, access_token_ttl: timedelta, immediately: bool = False
    ) -> SigningKeyRow:
        """Add a key that signs after `PUBLISH_LEAD`, and retire the others when their last token has expired.

        `immediately` is for a leaked private key: the new key signs now, and tokens of every other key are refused
        from now on. Refresh tokens do not depend on these keys, so no user is signed out. Raises `ClocksDiffer`.
        """
        active_from = now if immediately else now + PUBLISH_LEAD
        key = self._make(algorithm, now, active_from=active_from)
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            # Both instants are stored, and a later correction of the clock does not change them.
            await require_agreement(conn, now, undone="no key was made or retired")
            await signing_keys.retire(conn, at=now if immediately else active_from + access_token_ttl)
            await signing_keys.add(conn, key)
        return key

    @retried(idempotent=True)
    async def reseal(self) -> int:
        """Seal keys of an older server secret with the newest one. Returns how many. Raises `WrongSecret`."""
        async with self.db.transaction() as conn:
            await signing_keys.lock(conn)
            keys = map(self._unseal, await signing_keys.list_all(conn))
            outdated = [key for key in keys if not key.is_sealed_with_newest]
            for key in outdated:
                await signing_keys.reseal(conn, key.kid, self._seal(key.private, key.kid))
        return len(outdated)

    @retried(idempotent=True)
    async def list_all(self) -> Sequence[SigningKeyRow]:
        """Return the signing keys as stored, oldest first."""
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
        return self.secret.seal(plain, kid, self._entropy.bytes(NONCE_LENGTH))

    def _unseal(self, row: SigningKeyRow) -> AccessKey:
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
