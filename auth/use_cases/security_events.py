"""Security events, stored in the transaction that makes them true, and the notifications that some of them cause."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo
from db.engine.database import Connection
from db.tables import outbox, security_events
from db.tables.base import NotificationChannel, NotificationKind, SecurityEventKind

# The detail of a sign-in from a network that the user has not signed in from before.
NEW_NETWORK = "NEW_NETWORK"

# The notification that each kind of event causes (ASVS 6.3.5, 6.3.7).
_NOTIFICATIONS = {
    SecurityEventKind.REFRESH_TOKEN_REPLAYED: NotificationKind.SESSION_REPLAYED,
    # Only a sign-in from a new network asks for it (`SignIn`).
    SecurityEventKind.LOGIN_SUCCEEDED: NotificationKind.SESSION_FROM_NEW_DEVICE,
    SecurityEventKind.PASSWORD_CHANGED: NotificationKind.PASSWORD_CHANGED,
    SecurityEventKind.USER_DISABLED: NotificationKind.USER_DISABLED,
}


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Stores security events, and puts notifications of them into the outbox.

    `channels` are the channels that are set up, each with the event that wakes its delivery in this process.
    """

    channels: Mapping[NotificationChannel, asyncio.Event]

    async def record(self, conn: Connection, events: Sequence[dict[str, Any]]) -> None:
        """Store events and their notifications in one transaction: neither exists without the other (LOG-04)."""
        await security_events.add(conn, events)
        for event in events:
            await self.notify(conn, event)

    async def notify(self, conn: Connection, event: dict[str, Any]) -> None:
        """Put the notifications of a stored event into the outbox, if its kind has any."""
        kind = _NOTIFICATIONS.get(event["kind"])
        if kind is not None and self.channels:
            await outbox.add(conn, kind, list(self.channels), event)
            conn.after_commit(self._wake_deliveries)

    def _wake_deliveries(self) -> None:
        for written in self.channels.values():
            written.set()


def new_event(
    entropy: Entropy,
    user_id: UUID | None,
    kind: SecurityEventKind,
    now: datetime,
    client: ClientInfo,
    *,
    family_id: UUID | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    """Return a row for `security_events`. `detail` is one word more, such as the reason of a revocation."""
    return {
        "user_id": user_id,
        "id": entropy.id(now),
        "family_id": family_id,
        "kind": kind.value,
        "occurred_at": now,
        "ip": client.ip,
        "user_agent": client.user_agent,
        "detail": detail,
    }
