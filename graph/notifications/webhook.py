"""Notices as signed webhooks, after Standard Webhooks 1.0.0, so that receivers can use a library they have.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import orjson
from httpx2 import AsyncClient, HTTPError, Limits, Timeout, TimeoutException
from pydantic import SecretStr

from auth.background.notifications import ATTEMPT_TIMEOUT, MAX_CONCURRENCY, Delivered, Failed, Notification
from db.tables.base import NotificationChannel
from graph.api.device_names import describe_device
from graph.notifications.connection_errors import connection_error_reason

_CONNECT = 5  # seconds

# It writes the URL of each request into the log, and there may be a secret in it.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Webhook:
    """Posts notices to a URL. An asynchronous context manager, for the connections that it keeps."""

    name = NotificationChannel.WEBHOOK

    def __init__(self, url: SecretStr, keys: Sequence[bytes]) -> None:
        self._url, self._keys = url, keys
        # Certificates are verified, by default and always. Redirects are not followed: what is signed for one receiver
        # is not for another, and an open redirect there must not make requests from here.
        self._client = AsyncClient(
            follow_redirects=False,
            timeout=Timeout(ATTEMPT_TIMEOUT, connect=_CONNECT),
            limits=Limits(max_connections=MAX_CONCURRENCY, max_keepalive_connections=0),
            headers={"user-agent": "Kindred", "content-type": "application/json"},
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        """One attempt: any 2xx is a yes."""
        body = body_of(notification)
        headers = headers_of(str(notification.id), body, self._keys, now)
        try:
            # Streamed, and left at the status: nobody can fill our memory with an answer.
            async with self._client.stream(
                "POST", self._url.get_secret_value(), content=body, headers=headers
            ) as response:
                status, retry_after = response.status_code, response.headers.get("retry-after", "")
        except TimeoutException:
            return Failed("no connection, or no answer, in time")
        except HTTPError as error:
            return Failed(connection_error_reason(error))
        if 200 <= status < 300:
            return Delivered(f"HTTP {status}")
        if 300 <= status < 400:
            return Failed(f"HTTP {status}; redirects are not followed")
        # 410 Gone: "no longer interested", says the specification.
        return Failed(f"HTTP {status}", permanent=status == 410, retry_after=_seconds(retry_after))


def body_of(notification: Notification) -> bytes:
    """What is told: JSON, the same in each attempt."""
    device = (
        notification.device_name or describe_device(notification.device_user_agent) if notification.session_id else None
    )
    data: dict[str, Any] = {
        "event_id": str(notification.id),
        "user_id": str(notification.user_id),
        "username": notification.username,
        "session_id": str(notification.session_id) if notification.session_id else None,
        "device_name": device,
        "ip": notification.ip,
        "user_agent": notification.user_agent,
    }
    timestamp = notification.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return orjson.dumps({"type": notification.kind, "timestamp": timestamp, "data": data})


def headers_of(notification_id: str, body: bytes, keys: Sequence[bytes], now: datetime) -> dict[str, str]:
    """What proves where a body comes from, and when: every key signs, so that secrets can be replaced.

    "The content to be signed is therefore: {msg_id}.{timestamp}.{payload}" (section "Signature scheme").
    """
    timestamp = int(now.timestamp())
    signed = f"{notification_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return {
        "webhook-id": notification_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _seconds(retry_after: str) -> timedelta | None:
    # RFC 9110 section 10.2.3 allows a date too, which nobody sends.
    plain = retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7
    return timedelta(seconds=int(retry_after)) if plain else None
