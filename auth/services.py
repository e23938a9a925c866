"""Creates every use case and connects them, over one database, one server secret and one source of randomness."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from auth.background.notifications import NotificationDelivery
from auth.background.prune_schedule import PruneSchedule
from auth.background.pruning import Pruning
from auth.config.settings import Settings
from auth.credentials.login_throttle import NO_RATE_LIMIT, REFRESH_RATE_LIMIT, LoginThrottle
from auth.credentials.password_hashing import Hasher
from auth.crypto.derived_keys import SecretKeys
from auth.crypto.entropy import Entropy
from auth.crypto.signing_keys import SigningKeyStore
from auth.crypto.tokens import Issuer
from auth.use_cases.accounts import Accounts
from auth.use_cases.rotation import Rotation
from auth.use_cases.security_events import AuditLog
from auth.use_cases.sessions import Sessions
from auth.use_cases.sign_in import SignIn
from auth.use_cases.token_pairs import TokenPairFactory
from db.engine.database import Database, create_database, url_of
from db.hot_path.rotation_batches import RotationBatcher


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that endpoints and commands call."""

    db: Database
    keys: SigningKeyStore
    hasher: Hasher
    sign_in: SignIn
    rotation: Rotation
    sessions: Sessions
    accounts: Accounts
    pruning: Pruning
    prune_schedule: PruneSchedule
    notifications: NotificationDelivery
    settings: Settings
    entropy: Entropy

    @classmethod
    def create(cls, settings: Settings, secret: bytes, entropy: Entropy) -> "Services":
        """Build every use case. Call `start` next, which reads the signing keys from the database.

        `secret` is one server secret, or several with white space between them, newest first.
        """
        db = create_database(
            url_of(settings.database_url.get_secret_value()),
            timeout=settings.database_timeout,
            pool_size=settings.database_pool_size,
            fraction=entropy.fraction,
        )
        keys = SigningKeyStore(db, SecretKeys.derive_all(secret), entropy)
        hasher = Hasher(settings.hashing_threads)
        throttle = LoginThrottle(db, enabled=settings.rate_limits, network_retention=settings.event_retention)
        audit_log = AuditLog({channel: asyncio.Event() for channel in settings.channels})
        issuer = Issuer(keys, settings.issuer, settings.audience)
        token_pairs = TokenPairFactory(issuer, entropy, settings.access_token_ttl)
        depth, max_sessions = settings.lineage_depth, settings.max_sessions_per_user
        rate_limit = REFRESH_RATE_LIMIT if settings.rate_limits else NO_RATE_LIMIT
        batcher = RotationBatcher(db, slots=depth, rate_limit=rate_limit, batching=settings.batch_rotations)
        idle_limit, absolute_limit = settings.refresh_token_ttl, settings.session_ttl
        pruning = Pruning(db, settings.session_retention, settings.event_retention)
        return cls(
            db=db,
            keys=keys,
            hasher=hasher,
            sign_in=SignIn(
                db, token_pairs, entropy, audit_log, hasher, throttle, idle_limit, absolute_limit, depth, max_sessions
            ),
            rotation=Rotation(
                db, token_pairs, entropy, audit_log, idle_limit, settings.replay_leeway, rate_limit, batcher
            ),
            sessions=Sessions(db, issuer, entropy, depth),
            accounts=Accounts(db, entropy, audit_log, hasher, throttle, settings.password_min_length),
            pruning=pruning,
            prune_schedule=PruneSchedule(db, pruning, entropy, settings.prune_interval, absolute_limit),
            notifications=NotificationDelivery(db, entropy, audit_log.channels),
            settings=settings,
            entropy=entropy,
        )

    async def start(self, now: datetime) -> None:
        """Read the signing keys. On a new database, create the first one."""
        await self.keys.ensure_first_key(self.settings.signing_algorithm, now)

    async def stop(self) -> None:
        """Stop the threads and close the connections."""
        self.hasher.close()
        await self.db.close()
