"""Notifications as signed webhooks. They follow Standard Webhooks 1.0.0, for which receivers find libraries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import orjson
from httpx2 import AsyncClient, HTTPError, Limits, Timeout, TimeoutException
from pydantic import SecretStr

from auth.background.notifications import ATTEMPT_TIMEOUT, MAX_CONCURRENCY, Delivered, Failed, Notification
from db.tables.base import NotificationChannel
from graph.api.device_names import describe_device
from graph.notifications.connection_errors import connection_error_reason

_CONNECT_TIMEOUT = 5  # seconds

# At level info, the client logs the URL of each request, which may contain a secret.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Webhook:
    """Posts notifications to a URL. An asynchronous context manager that closes the HTTP client."""

    name = NotificationChannel.WEBHOOK

    def __init__(self, url: SecretStr, keys: Sequence[bytes]) -> None:
        self._url, self._keys = url, keys
        # The client verifies certificates. It follows no redirect: the notification is for one receiver, and an open
        # redirect of that receiver must not cause requests from this machine (SSRF).
        self._client = AsyncClient(
            follow_redirects=False,
            timeout=Timeout(ATTEMPT_TIMEOUT, connect=_CONNECT_TIMEOUT),
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
        """Make one attempt. Any 2xx status is a delivery."""
        body = body_of(notification)
        headers = headers_of(str(notification.id), body, self._keys, now)
        try:
            # Streamed, and only the status is read: a receiver cannot fill the memory with its response.
            async with self._client.stream(
                "POST", self._url.get_secret_value(), content=body, headers=headers
            ) as response:
                status, retry_after = response.status_code, response.headers.get("retry-after", "")
        except TimeoutException:
            return Failed("timeout")
        except HTTPError as error:
            return Failed(connection_error_reason(error))
        if 200 <= status < 300:
            return Delivered(f"HTTP {status}")
        if 300 <= status < 400:
            return Failed(f"HTTP {status}; redirects are not followed")
        # 410 Gone: the specification lets a receiver unsubscribe with it.
        return Failed(f"HTTP {status}", permanent=status == 410, retry_after=_seconds(retry_after))


def body_of(notification: Notification) -> bytes:
    """The body: JSON, the same in each attempt."""
    device = (
        notification.device_name or describe_device(notification.device_user_agent) if notification.session_id else None
    )
    data: dict[str, str | None] = {
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
    """The headers that prove the sender and the time. Every key signs, so that an operator can replace a secret.

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
    # RFC 9110 section 10.2.3 allows a date too. It is ignored, as is a number of more than six digits.
    is_number = retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7
    return timedelta(seconds=int(retry_after)) if is_number else None
