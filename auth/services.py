"""Kindred, put together: every use case, built over one database, one secret and one source of randomness."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from auth.background.notifications import Notices
from auth.background.prune_schedule import Upkeep
from auth.background.pruning import Pruning
from auth.config.settings import Settings
from auth.credentials.login_throttle import REFRESHES, UNLIMITED, Throttle
from auth.credentials.password_hashing import Hasher
from auth.crypto.entropy import Entropy
from auth.crypto.secret_keys import SecretKeys
from auth.crypto.signing_keys import Keys
from auth.crypto.tokens import Issuer
from auth.use_cases.accounts import Accounts
from auth.use_cases.rotation import Rotation
from auth.use_cases.security_events import Recorder
from auth.use_cases.sessions import Sessions
from auth.use_cases.sign_in import SignIn
from auth.use_cases.token_pairs import Minting
from db.engine.database import Database, create_engine, url_of
from db.hot_path.rotation_batches import Rotations


@dataclass(frozen=True, slots=True)
class Kindred:
    """What the doors call."""

    db: Database
    keys: Keys
    hasher: Hasher
    sign_in: SignIn
    rotation: Rotation
    sessions: Sessions
    accounts: Accounts
    pruning: Pruning
    upkeep: Upkeep
    notices: Notices
    settings: Settings
    entropy: Entropy

    @classmethod
    def build(cls, settings: Settings, secret: bytes, entropy: Entropy) -> "Kindred":
        """Everything but the signing keys, which `start` reads from the database.

        `secret` is one server secret, or several with white space between them, newest first.
        """
        engine = create_engine(
            url_of(settings.database_url.get_secret_value()),
            timeout=settings.database_timeout,
            pool_size=settings.database_pool_size,
        )
        db = Database(engine, timeout=settings.database_timeout, fraction=entropy.fraction)
        keys = Keys(db, SecretKeys.of_each(secret), entropy)
        hasher = Hasher(settings.hashing_threads)
        throttle = Throttle(db, on=settings.throttle, memory=settings.event_retention)
        recorder = Recorder({channel: asyncio.Event() for channel in settings.channels})
        issuer = Issuer(keys, settings.issuer, settings.audience)
        minting = Minting(issuer, entropy, settings.access_token_ttl)
        depth = settings.lineage_depth
        pace = REFRESHES if settings.throttle else UNLIMITED
        idle, absolute = settings.refresh_token_ttl, settings.session_ttl
        pruning = Pruning(db, settings.retention, settings.event_retention)
        return cls(
            db=db,
            keys=keys,
            hasher=hasher,
            sign_in=SignIn(
                db,
                minting,
                entropy,
                recorder,
                hasher,
                throttle,
                idle,
                absolute,
                depth,
                settings.sessions_per_user,
            ),
            rotation=Rotation(
                db,
                minting,
                entropy,
                recorder,
                idle,
                settings.replay_leeway,
                pace,
                Rotations(db, slots=depth, pace=pace, together=settings.batch_rotations),
            ),
            sessions=Sessions(db, issuer, entropy, depth),
            accounts=Accounts(db, entropy, recorder, hasher, throttle, settings.password_min_length),
            pruning=pruning,
            upkeep=Upkeep(db, pruning, entropy, settings.prune_interval, absolute),
            notices=Notices(db, entropy, recorder.channels),
            settings=settings,
            entropy=entropy,
        )

    async def start(self, now: datetime) -> None:
        """Read the signing keys, and make the first one on a new database."""
        await self.keys.ensure(self.settings.signing_algorithm, now)

    async def stop(self) -> None:
        """Give back threads and connections."""
        self.hasher.close()
        await self.db.close()
