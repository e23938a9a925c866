"""Sessions: who is asking, what sessions they have, and ending them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.clock_agreement import require_agreement
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import InvalidToken, Issuer, TokenKind, decode_token
from auth.outcomes import Invalid, NotFound, Origin, RevokedSession, RevokeOutcome
from auth.use_cases.security_events import new_event
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.tables import families, refresh_tokens, security_events, users
from db.tables.base import RevocationReason, SecurityEventKind, SessionState
from db.tables.families import FamilyKey, FamilyRow, state_of
from db.tables.refresh_tokens import RefreshTokenRow

# Sessions that an operator ends in one transaction, if they are many.
BATCH = 500


class Unauthenticated(Exception):
    """The caller is nobody: no access token, or one that is invalid, expired or of an ended session."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The use cases, with what they need."""

    db: Database
    issuer: Issuer
    entropy: Entropy
    lineage_depth: int

    @retried(idempotent=True)
    async def authenticate(self, access_token: str, now: datetime) -> FamilyRow:
        """The live family that an access token belongs to: one read, by primary key.

        Disabling a user and a new password revoke families in the same transaction, so the family's row alone says
        whether the token still counts (ASVS 7.4.1). Raises `Unauthenticated`.
        """
        try:
            claims = decode_token(self.issuer, access_token, TokenKind.ACCESS, now)
        except InvalidToken:
            raise Unauthenticated from None
        async with self.db.read() as conn:
            family = await families.get(conn, claims.user_id, claims.session_id)
        if family is None or state_of(family, now) is not SessionState.ACTIVE:
            raise Unauthenticated
        return family

    @retried(idempotent=True)
    async def page(
        self,
        user_id: UUID,
        *,
        state: SessionState | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
        now: datetime,
    ) -> Sequence[FamilyRow]:
        """A user's families in one state (None: in any), last used first, from behind `after`."""
        async with self.db.read() as conn:
            return await families.page(conn, user_id, state=state, now=now, after=after, limit=limit)

    @retried(idempotent=True)
    async def get_many(self, user_id: UUID, ids: Sequence[UUID]) -> dict[UUID, FamilyRow]:
        """Those of a user's families that have one of these ids."""
        async with self.db.read() as conn:
            return {family.id: family for family in await families.get_many(conn, user_id, ids)}

    @retried(idempotent=True)
    async def list_lineages(self, user_id: UUID, ids: Sequence[UUID]) -> dict[UUID, list[RefreshTokenRow]]:
        """The lineage of each of these families of a user's, newest generation first."""
        found: dict[UUID, list[RefreshTokenRow]] = {family_id: [] for family_id in ids}
        async with self.db.read() as conn:
            for issued in await refresh_tokens.list_for_families(conn, user_id, ids, slots=self.lineage_depth):
                found[issued.family_id].append(issued)
        return found

    @retried(idempotent=True)
    async def rename(self, user_id: UUID, family_id: UUID, name: str) -> FamilyRow | None:
        """Give a family a name; None if the user has none with this id."""
        async with self.db.transaction() as conn:
            return await families.rename(conn, user_id, family_id, name)

    @retried(idempotent=True)
    async def revoke(
        self,
        user_id: UUID,
        family_id: UUID,
        origin: Origin,
        now: datetime,
        reason: RevocationReason = RevocationReason.REVOKED_BY_USER,
    ) -> RevokedSession | NotFound:
        """End one of a user's sessions. One that is ended already stays as it is."""
        async with self.db.transaction() as conn:
            await revoke_sessions(conn, self.entropy, user_id, origin, now, reason, only=family_id)
            # Locked, so that an end which an earlier attempt wrote is not acknowledged before synchronous standbys
            # have it.
            family = await families.lock(conn, user_id, family_id)
        return NotFound() if family is None else RevokedSession(family)

    async def revoke_by_token(self, refresh_token: str, origin: Origin, now: datetime) -> RevokeOutcome:
        """End the session of any refresh token that this service issued, current or not (RFC 7009)."""
        try:
            claims = decode_token(self.issuer, refresh_token, TokenKind.REFRESH, now)
        except InvalidToken:
            return Invalid()
        outcome = await self.revoke(claims.user_id, claims.session_id, origin, now)
        return Invalid() if isinstance(outcome, NotFound) else outcome

    # Not idempotent, because a second time the count would be 0.
    @retried(idempotent=False)
    async def revoke_all(
        self,
        user_id: UUID,
        origin: Origin,
        now: datetime,
        *,
        except_: UUID | None = None,
        reason: RevocationReason = RevocationReason.REVOKED_BY_USER,
    ) -> int:
        """End every live session of a user, or every one `but` one. Returns how many were live and now are not."""
        async with self.db.transaction() as conn:
            # Held against a sign-in or another revocation of all of them, which would deadlock with this one.
            await users.lock(conn, user_id)
            return await revoke_sessions(conn, self.entropy, user_id, origin, now, reason, except_=except_)

    async def revoke_issued_before(
        self, issued_before: datetime, origin: Origin, now: datetime, *, user_id: UUID | None = None
    ) -> int:
        """End every live session whose current refresh token was issued before that instant, of one user or of all.

        For a database that was restored from a backup: in it tokens are current again that were used since (OPS-04).
        In batches, each a transaction of its own. Returns how many ended; where the database went away meanwhile, it
        may have been more. Raises `ClocksDiffer`, before anything ended.
        """
        total, last = 0, None
        while True:
            seen, ended = await self._revoke_batch(issued_before, origin, now, user_id, last)
            total += ended
            if not seen:
                return total
            last = seen[-1]

    @retried(idempotent=True)
    async def _revoke_batch(
        self, issued_before: datetime, origin: Origin, now: datetime, of_user: UUID | None, after: FamilyKey | None
    ) -> tuple[Sequence[FamilyKey], int]:
        reason, kind = RevocationReason.REVOKED_BY_OPERATOR, SecurityEventKind.SESSION_REVOKED
        async with self.db.transaction() as conn:
            if after is None:  # only the first time: many batches take longer than clocks may differ by
                await require_agreement(conn, now, undone="no session was ended")
            seen = await families.issued_before(conn, issued_before, of_user=of_user, after=after, limit=BATCH, now=now)
            # Users first (decision 25), or this could deadlock with another transaction that ends several sessions.
            await users.lock_several(conn, {family.user_id for family in seen})
            ended = await families.revoke_issued_before(conn, issued_before, seen, now=now, reason=reason)
            events = [
                new_event(self.entropy, family.user_id, kind, now, origin, family_id=family.id, detail=reason)
                for family in ended
            ]
            await security_events.add(conn, events)
        return seen, len(ended)


async def revoke_sessions(
    conn: Connection,
    entropy: Entropy,
    user_id: UUID,
    origin: Origin,
    now: datetime,
    reason: RevocationReason,
    *,
    only: UUID | None = None,
    except_: UUID | None = None,
) -> int:
    """Within a transaction: end live families and record an event for each. Returns how many."""
    ended = await families.revoke(conn, user_id, now=now, reason=reason, only=only, except_=except_)
    kind = SecurityEventKind.SESSION_REVOKED
    await security_events.add(
        conn,
        [new_event(entropy, user_id, kind, now, origin, family_id=family_id, detail=reason) for family_id in ended],
    )
    return len(ended)
