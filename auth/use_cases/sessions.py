"""Sessions: authenticating a caller, listing a user's sessions, and revoking them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth.clock_agreement import CLOCKS_MUST_AGREE, require_agreement
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import InvalidToken, Issuer, TokenKind, decode_token
from auth.outcomes import ClientInfo, Invalid, NotFound, RevokeOutcome, RevokeSucceeded
from auth.use_cases.security_events import new_event
from db.engine.database import Connection, Database
from db.engine.retry import retried
from db.tables import families, refresh_tokens, security_events, users
from db.tables.base import RevocationReason, SecurityEventKind, SessionState
from db.tables.families import FamilyKey, FamilyRow, state_of
from db.tables.refresh_tokens import RefreshTokenRow

# How many sessions an operator's command revokes in one transaction.
BATCH = 500


class Unauthenticated(Exception):
    """The caller has no access token, or one that is invalid, expired or of a session that is not live."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The use cases and their dependencies."""

    db: Database
    issuer: Issuer
    entropy: Entropy
    lineage_depth: int

    @retried(idempotent=True)
    async def authenticate(self, access_token: str, now: datetime) -> FamilyRow:
        """Return the live family of an access token: one read, by primary key. Raises `Unauthenticated`.

        Disabling a user and setting a password revoke families in the same transaction, so the family's row alone
        says whether the token is still accepted (ASVS 7.4.1).
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
        """Return a user's families in one state (None: in any), last used first, starting after `after`."""
        async with self.db.read() as conn:
            return await families.page(conn, user_id, state=state, now=now, after=after, limit=limit)

    @retried(idempotent=True)
    async def get_many(self, user_id: UUID, ids: Sequence[UUID]) -> dict[UUID, FamilyRow]:
        """Return the user's families that have one of these ids, by id."""
        async with self.db.read() as conn:
            return {family.id: family for family in await families.get_many(conn, user_id, ids)}

    @retried(idempotent=True)
    async def list_lineages(self, user_id: UUID, ids: Sequence[UUID]) -> dict[UUID, list[RefreshTokenRow]]:
        """Return the lineage of each of these families of a user, newest generation first."""
        lineages: dict[UUID, list[RefreshTokenRow]] = {family_id: [] for family_id in ids}
        async with self.db.read() as conn:
            for token in await refresh_tokens.list_for_families(conn, user_id, ids, slots=self.lineage_depth):
                lineages[token.family_id].append(token)
        return lineages

    @retried(idempotent=True)
    async def rename(self, user_id: UUID, family_id: UUID, name: str) -> FamilyRow | None:
        """Set a family's device name, and return the family; None if the user has none with this id."""
        async with self.db.transaction() as conn:
            return await families.rename(conn, user_id, family_id, name)

    @retried(idempotent=True)
    async def revoke(
        self,
        user_id: UUID,
        family_id: UUID,
        client: ClientInfo,
        now: datetime,
        reason: RevocationReason = RevocationReason.REVOKED_BY_USER,
    ) -> RevokeSucceeded | NotFound:
        """Revoke one of a user's sessions. A session that is revoked already stays unchanged."""
        async with self.db.transaction() as conn:
            await revoke_sessions(conn, self.entropy, user_id, client, now, reason, only=family_id)
            # Locked: if an earlier attempt wrote the revocation, it is acknowledged only once synchronous standbys have
            # it.
            family = await families.lock(conn, user_id, family_id)
        return NotFound() if family is None else RevokeSucceeded(family)

    async def revoke_by_token(self, refresh_token: str, client: ClientInfo, now: datetime) -> RevokeOutcome:
        """Revoke the session of any refresh token that this service issued, current or not (RFC 7009)."""
        try:
            claims = decode_token(self.issuer, refresh_token, TokenKind.REFRESH, now)
        except InvalidToken:
            return Invalid()
        outcome = await self.revoke(claims.user_id, claims.session_id, client, now)
        return Invalid() if isinstance(outcome, NotFound) else outcome

    # Not idempotent: a second time, the count would be 0.
    @retried(idempotent=False)
    async def revoke_all(
        self,
        user_id: UUID,
        client: ClientInfo,
        now: datetime,
        *,
        except_: UUID | None = None,
        reason: RevocationReason = RevocationReason.REVOKED_BY_USER,
    ) -> int:
        """Revoke every live session of a user, or all except one. Returns how many were live."""
        async with self.db.transaction() as conn:
            # The lock excludes a sign-in, and a second revocation of all sessions, which would deadlock with this one.
            await users.lock(conn, user_id)
            return await revoke_sessions(conn, self.entropy, user_id, client, now, reason, except_=except_)

    async def revoke_issued_before(
        self, issued_before: datetime, client: ClientInfo, now: datetime, *, user_id: UUID | None = None
    ) -> int:
        """Revoke every live session whose current refresh token is older than that instant, of one user or of all.

        For a database restored from a backup, in which consumed tokens are current again (OPS-04). It works in
        batches, each in its own transaction, and returns how many sessions it revoked. If the database was
        unavailable on the way, it may have been more. Raises `ClocksDiffer` before it revokes anything.
        """
        total, last_key = 0, None
        while True:
            keys, revoked_count = await self._revoke_batch(issued_before, client, now, user_id, last_key)
            total += revoked_count
            if not keys:
                return total
            last_key = keys[-1]

    @retried(idempotent=True)
    async def _revoke_batch(
        self, issued_before: datetime, client: ClientInfo, now: datetime, of_user: UUID | None, after: FamilyKey | None
    ) -> tuple[Sequence[FamilyKey], int]:
        reason, kind = RevocationReason.REVOKED_BY_OPERATOR, SecurityEventKind.SESSION_REVOKED
        latest = now + CLOCKS_MUST_AGREE
        async with self.db.transaction() as conn:
            if after is None:  # only the first time: many batches take longer than the clocks may differ by
                await require_agreement(conn, now, undone="no session was revoked")
            keys = await families.issued_before(
                conn, issued_before, latest=latest, of_user=of_user, after=after, limit=BATCH
            )
            # Users first (decision 25), or this could deadlock with another transaction that revokes several sessions.
            await users.lock_several(conn, {key.user_id for key in keys})
            revoked = await families.revoke_issued_before(
                conn, issued_before, keys, latest=latest, now=now, reason=reason
            )
            events = [
                new_event(self.entropy, key.user_id, kind, now, client, family_id=key.id, detail=reason)
                for key in revoked
            ]
            await security_events.add(conn, events)
        return keys, len(revoked)


async def revoke_sessions(
    conn: Connection,
    entropy: Entropy,
    user_id: UUID,
    client: ClientInfo,
    now: datetime,
    reason: RevocationReason,
    *,
    only: UUID | None = None,
    except_: UUID | None = None,
) -> int:
    """Within a transaction, revoke live families and record an event for each. Returns how many."""
    revoked_ids = await families.revoke(conn, user_id, now=now, reason=reason, only=only, except_=except_)
    kind = SecurityEventKind.SESSION_REVOKED
    events = [
        new_event(entropy, user_id, kind, now, client, family_id=family_id, detail=reason) for family_id in revoked_ids
    ]
    await security_events.add(conn, events)
    return len(revoked_ids)
