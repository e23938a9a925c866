"""THE RULE: what a refresh token is worth, decided by one conditional UPDATE.

RFC 9700 section 4.14.2:

    "the authorization server issues a new refresh token with every access token refresh response. The previous
    refresh token is invalidated, but information about the relationship is retained by the authorization server. If
    a refresh token is compromised and subsequently used by both the attacker and the legitimate client, one of them
    will present an invalidated refresh token, which will inform the authorization server of the breach. The
    authorization server cannot determine which party submitted the invalid refresh token, but it will revoke the
    active refresh token. This stops the attack at the cost of forcing the legitimate client to obtain a fresh
    authorization grant."

And so that a lost answer does not pass for a breach: the client names its attempt (the idempotency key), the successor
is derived from the attempt, and an attempt that comes again finds its own successor in place.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.clock_agreement import CLOCKS_MUST_AGREE, require_agreement
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import Claims, InvalidToken, TokenKind, decode_token, derive_successor, digest
from auth.outcomes import (
    Expired,
    Invalid,
    Origin,
    RefreshOutcome,
    Replayed,
    Revoked,
    Rotated,
    StoreBehind,
    TooManyAttempts,
)
from auth.use_cases.security_events import AuditLog, new_event
from auth.use_cases.token_pairs import TokenPairFactory
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.hot_path.rate_limit import RateLimit
from db.hot_path.rotation import RotationClaim
from db.hot_path.rotation_batches import RotationBatcher
from db.tables import families, users
from db.tables.base import RevocationReason, SecurityEventKind
from db.tables.families import FamilyRow

# A family whose token was issued less than this ago cannot have been pruned. If it is missing, the store lost it, or
# does not show it yet.
JUST_ISSUED = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rule, with what it needs."""

    db: Database
    token_pairs: TokenPairFactory
    entropy: Entropy
    audit_log: AuditLog
    idle_limit: timedelta
    leeway: timedelta
    rate_limit: RateLimit
    batcher: RotationBatcher

    async def refresh(self, token: str, idempotency_key: str | None, origin: Origin, now: datetime) -> RefreshOutcome:
        """Exchange a refresh token for its successor. Raises `DatabaseUnavailable`, which is never a replay."""
        try:
            presented = decode_token(self.token_pairs.issuer, token, TokenKind.REFRESH, now)
        except InvalidToken:
            return Invalid()
        keyless = idempotency_key is None
        # Without a key of its own a request gets a random one: nobody else's attempt can pass for it. With a leeway
        # set, keyless requests share the empty key, which no client can send.
        attempt = idempotency_key or ("" if self.leeway else self.entropy.token())
        successor = derive_successor(presented, attempt)
        return await self._rotate(presented, successor, keyless, origin, now)

    # Idempotent, because an attempt that went in unseen finds its own successor in place: where a connection breaks
    # during the commit, asking again on a new one tells what happened, and answers it.
    @retried(idempotent=True)
    async def _rotate(
        self, presented: Claims, successor: str, keyless: bool, origin: Origin, now: datetime
    ) -> RefreshOutcome:
        user_id, family_id = presented.user_id, presented.session_id
        claim = RotationClaim(
            user_id,
            family_id,
            presented=digest(presented.jti),
            successor=digest(successor),
            now=now,
            idle_limit=now + self.idle_limit,
            ip=origin.ip,
            user_agent=origin.user_agent,
        )
        family = await self.batcher.rotate(claim)  # claim first
        if family is not None:
            return Rotated(self.token_pairs.create(family, successor, now), family)

        async with self.db.transaction() as conn:  # judge after
            # Locked, so that no answer tells of a rotation that synchronous standbys do not have.
            family = await families.lock(conn, user_id, family_id)
            if family is None:
                is_lost = abs(now - presented.issued_at) < JUST_ISSUED and await users.get(conn, user_id) is not None
                return StoreBehind(user_id, family_id) if is_lost else Invalid()
            if family.revoked_at is not None:
                is_late = family.revoked_at >= family.expires_at  # it had expired before
                return Expired(user_id, family_id) if is_late else Revoked(user_id, family_id)
            # The token is signed, so it is the store that forgot: no thief's doing. But where the family was used since
            # the token was issued, another party holds a token of it, and this is a replay.
            was_used = family.last_used_at > presented.issued_at + CLOCKS_MUST_AGREE
            forgot = presented.generation > family.generation and not was_used
            if (presented.expires_at if forgot else family.expires_at) <= now:
                # A client drops its token on this answer, so one clock's word is not enough for it.
                await require_agreement(conn, now, undone="no session was called expired")
                return Expired(user_id, family_id)
            if forgot:
                return StoreBehind(user_id, family_id)
            if family.token_digest == digest(successor) and not self._too_late(keyless, family, now):
                return Rotated(self.token_pairs.create(family, successor, now), family, repeated=True)
            if family.token_digest == digest(presented.jti):  # unspent: only the pace was in the way
                return TooManyAttempts(self.rate_limit.retry_after(family.rate_limit_tat, now))
            await self._revoke(conn, family, presented.generation, origin, now)
            return Replayed(user_id, family_id)  # returned, not raised: the revocation commits before anybody is told

    async def _revoke(
        self, conn: Connection, family: FamilyRow, generation: int, origin: Origin, now: datetime
    ) -> None:
        reason, kind = RevocationReason.REFRESH_TOKEN_REPLAYED, SecurityEventKind.REFRESH_TOKEN_REPLAYED
        # One event for one end: of many replays at once, the one whose UPDATE found the family live records it.
        for family_id in await families.revoke(conn, family.user_id, now=now, reason=reason, only=family.id):
            # Which token two parties held, for the owner to see.
            replay = new_event(
                self.entropy, family.user_id, kind, now, origin, family_id=family_id, detail=str(generation)
            )
            await self.audit_log.record(conn, [replay])

    def _too_late(self, keyless: bool, family: FamilyRow, now: datetime) -> bool:
        # A last use in the future is a wrong clock's. It would make the leeway as long as that clock was ahead.
        in_time = -CLOCKS_MUST_AGREE <= now - family.last_used_at <= self.leeway
        return bool(self.leeway) and keyless and not in_time
