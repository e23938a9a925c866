"""The notification channels that the settings name."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from auth.background.notifications import Channel, Delivered, Failed, Notification
from auth.config.notification_targets import mail_server, webhook_keys
from auth.config.settings import Settings
from db.tables.base import NotificationChannel
from graph.notifications.mail import Mail
from graph.notifications.webhook import Webhook
from graph.observability.metrics import Metrics


@asynccontextmanager
async def channels(
    settings: Settings, metrics: Metrics | None = None
) -> AsyncIterator[dict[NotificationChannel, Channel]]:
    """Open every channel that the settings name, and close them when the block ends. `metrics` counts the attempts."""
    opened: dict[NotificationChannel, Channel] = {}
    async with AsyncExitStack() as stack:
        if settings.webhook_url is not None and settings.webhook_secret is not None:
            keys = webhook_keys(settings.webhook_secret.get_secret_value())
            opened[NotificationChannel.WEBHOOK] = await stack.enter_async_context(Webhook(settings.webhook_url, keys))
        if settings.smtp_url is not None and settings.mail_from is not None:
            server = mail_server(settings.smtp_url.get_secret_value(), in_production=settings.in_production)
            opened[NotificationChannel.MAIL] = Mail(server, settings.mail_from, settings.issuer)
        if metrics:
            opened = {name: _MeteredChannel(channel, metrics) for name, channel in opened.items()}
        yield opened


@dataclass(frozen=True, slots=True)
class _MeteredChannel:
    """A channel that counts its attempts, cancelled ones included."""

    channel: Channel
    metrics: Metrics

    @property
    def name(self) -> NotificationChannel:
        return self.channel.name

    async def send(self, notification: Notification, now: datetime) -> Delivered | Failed:
        outcome: Delivered | Failed | None = None
        try:
            outcome = await self.channel.send(notification, now)
            return outcome
        finally:
            self.metrics.record_delivery(self.name, delivered=isinstance(outcome, Delivered))
