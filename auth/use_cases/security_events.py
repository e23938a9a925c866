"""Security events, as rows to store in the transaction that makes them true, and whom they are told to."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from auth.crypto.entropy import Entropy
from auth.outcomes import Origin
from db.engine.database import Connection
from db.tables import outbox, security_events
from db.tables.base import NotificationChannel, NotificationKind, SecurityEventKind

# The detail of a sign-in from a network that the user had not signed in from.
NEW_NETWORK = "NEW_NETWORK"

# What owners are told of, by an event's kind. ASVS 6.3.5 and 6.3.7 ask for it.
_NOTIFICATIONS = {
    SecurityEventKind.REFRESH_TOKEN_REPLAYED: NotificationKind.SESSION_REPLAYED,
    SecurityEventKind.LOGIN_SUCCEEDED: NotificationKind.SESSION_FROM_NEW_DEVICE,
    SecurityEventKind.PASSWORD_CHANGED: NotificationKind.PASSWORD_CHANGED,
    SecurityEventKind.USER_DISABLED: NotificationKind.USER_DISABLED,
}


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Records what happened, and puts into the outbox what owners are told of.

    `channels` are those to tell owners by, with what wakes up the delivery of each in this process.
    """

    channels: Mapping[NotificationChannel, asyncio.Event]

    async def record(self, conn: Connection, events: Sequence[dict[str, Any]]) -> None:
        """Append events, and their notices in the same transaction: neither is there without the other (LOG-04)."""
        await security_events.add(conn, events)
        for happened in events:
            await self.notify(conn, happened)

    async def notify(self, conn: Connection, event: dict[str, Any]) -> None:
        """Put the notices of an event that was appended into the outbox, where there are any."""
        told = _NOTIFICATIONS.get(event["kind"])
        if told is NotificationKind.SESSION_FROM_NEW_DEVICE and event["detail"] != NEW_NETWORK:
            return
        if told is not None and self.channels:
            await outbox.add(conn, told, list(self.channels), event)
            conn.after_commit(self._wake)

    def _wake(self) -> None:
        for written in self.channels.values():
            written.set()


def new_event(
    entropy: Entropy,
    user_id: UUID | None,
    kind: SecurityEventKind,
    now: datetime,
    origin: Origin,
    *,
    family_id: UUID | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    """A row for `security_events`. `detail` is one word more, such as the reason of a revocation."""
    return {
        "user_id": user_id,
        "id": entropy.id(now),
        "family_id": family_id,
        "kind": kind.value,
        "occurred_at": now,
        "ip": origin.ip,
        "user_agent": origin.user_agent,
        "detail": detail,
    }
