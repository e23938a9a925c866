"""THE RULE: each refresh token works once, and a token that comes back revokes its whole family.

RFC 9700 section 4.14.2, on refresh token rotation:

    "The previous refresh token is invalidated, but information about the relationship is retained by the
    authorization server. If a refresh token is compromised and subsequently used by both the attacker and the
    legitimate client, one of them will present an invalidated refresh token, which will inform the authorization
    server of the breach. The authorization server cannot determine which party submitted the invalid refresh token,
    but it will revoke the active refresh token"

A lost response must not look like a breach. So the client names each attempt with an idempotency key, and the successor
is derived from the presented token and that key: an attempt that is repeated finds its own successor in place.

Two steps decide every request. First claim: one conditional UPDATE rotates the family. Only if it changed no row, lock
the family and find out why. No request decides by what it read before the UPDATE, so no two can rotate the same token.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.clock_agreement import CLOCKS_MUST_AGREE, require_agreement
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import Claims, InvalidToken, TokenKind, decode_token, derive_successor, digest
from auth.outcomes import (
    ClientInfo,
    Expired,
    Invalid,
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

# A family whose token is younger than this cannot have been pruned. If its row is missing, the database lost it, or
# does not show it yet.
JUST_ISSUED = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rule and its dependencies."""

    db: Database
    token_pairs: TokenPairFactory
    entropy: Entropy
    audit_log: AuditLog
    idle_limit: timedelta
    leeway: timedelta
    rate_limit: RateLimit
    batcher: RotationBatcher

    async def refresh(
        self, token: str, idempotency_key: str | None, client: ClientInfo, now: datetime
    ) -> RefreshOutcome:
        """Exchange a refresh token for its successor. Raises `DatabaseUnavailable`, which is never a replay."""
        try:
            presented = decode_token(self.token_pairs.issuer, token, TokenKind.REFRESH, now)
        except InvalidToken:
            return Invalid()
        keyless = idempotency_key is None
        # A request without a key gets a random one, so that no other request can pass for the same attempt. If a leeway
        # is set, all requests without a key share the empty key, which no client can send.
        attempt = idempotency_key or ("" if self.leeway else self.entropy.token())
        successor = derive_successor(presented, attempt)
        claim = RotationClaim(
            presented.user_id,
            presented.session_id,
            presented=digest(presented.jti),
            successor=digest(successor),
            now=now,
            idle_limit=now + self.idle_limit,
            ip=client.ip,
            user_agent=client.user_agent,
        )
        return await self._rotate(claim, presented, successor, keyless, client, now)

    # Idempotent: a rotation that was committed finds its own successor in place. If the connection breaks during the
    # commit, the retry learns what happened, and answers it.
    @retried(idempotent=True)
    async def _rotate(
        self, claim: RotationClaim, presented: Claims, successor: str, keyless: bool, client: ClientInfo, now: datetime
    ) -> RefreshOutcome:
        user_id, family_id = presented.user_id, presented.session_id

        # 1. Claim. Rotate the family if the presented token is its current one, it is live and within its rate limit.
        if (family := await self.batcher.rotate(claim)) is not None:
            return Rotated(self.token_pairs.create(family, successor, now), family)

        # 2. No row changed. Find out why, with the row locked: the commit of a lock waits for synchronous standbys, so
        # no answer rests on a rotation that a failover could lose.
        async with self.db.transaction() as conn:
            family = await families.lock(conn, user_id, family_id)
            if family is None:
                is_lost = abs(now - presented.issued_at) < JUST_ISSUED and await users.get(conn, user_id) is not None
                return StoreBehind(user_id, family_id) if is_lost else Invalid()
            if family.revoked_at is not None:
                had_expired = family.revoked_at >= family.expires_at
                return Expired(user_id, family_id) if had_expired else Revoked(user_id, family_id)
            # Only this service signs generations, so a higher one proves that the database lost rotations. But if the
            # family was used after the token was issued, another party holds a token of it, and this is a replay.
            used_since = family.last_used_at > presented.issued_at + CLOCKS_MUST_AGREE
            is_behind = presented.generation > family.generation and not used_since
            if (presented.expires_at if is_behind else family.expires_at) <= now:
                # The client discards its token on this answer, so one wrong clock must not cause it.
                await require_agreement(conn, now, undone="no session was called expired")
                return Expired(user_id, family_id)
            if is_behind:
                return StoreBehind(user_id, family_id)
            if family.token_digest == claim.successor and not self._is_past_leeway(keyless, family, now):
                return Rotated(self.token_pairs.create(family, successor, now), family, repeated=True)
            if family.token_digest == claim.presented:  # still the current token: only the rate limit refused it
                return TooManyAttempts(self.rate_limit.retry_after(family.rate_limit_tat, now))
            await self._revoke_replayed(conn, family, presented.generation, client, now)  # anything else is a replay
            return Replayed(user_id, family_id)  # returned, not raised, so that the revocation is committed

    async def _revoke_replayed(
        self, conn: Connection, family: FamilyRow, generation: int, client: ClientInfo, now: datetime
    ) -> None:
        reason, kind = RevocationReason.REFRESH_TOKEN_REPLAYED, SecurityEventKind.REFRESH_TOKEN_REPLAYED
        # One event for each revocation: of many replays at once, the one whose UPDATE revokes the family records it.
        for family_id in await families.revoke(conn, family.user_id, now=now, reason=reason, only=family.id):
            # The generation tells the owner which token two parties held.
            replay = new_event(
                self.entropy, family.user_id, kind, now, client, family_id=family_id, detail=str(generation)
            )
            await self.audit_log.record(conn, [replay])

    def _is_past_leeway(self, keyless: bool, family: FamilyRow, now: datetime) -> bool:
        # A last use in the future was written by a wrong clock. It would extend the leeway by as much.
        is_within = -CLOCKS_MUST_AGREE <= now - family.last_used_at <= self.leeway
        return bool(self.leeway) and keyless and not is_within
