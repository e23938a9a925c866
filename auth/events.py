"""Security events, as rows to store in the transaction that makes them true."""

from datetime import datetime
from typing import Any
from uuid import UUID

from auth.entropy import Entropy
from auth.outcomes import Origin
from db.base import SecurityEventKind


def event(
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
