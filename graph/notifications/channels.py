"""The ways to tell owners that settings name, and the tasks that deliver in the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from auth.background.notifications import Channel, Delivered, Failed, Notification
from auth.clock import Clock
from auth.config.endpoints import mail_server, webhook_keys
from auth.config.settings import Settings
from auth.services import Services
from db.tables.base import NotificationChannel
from graph.notifications.mail import Mail
from graph.notifications.webhook import Webhook
from graph.observability.metrics import Metrics
from graph.startup import Startup


@asynccontextmanager
async def channels(settings: Settings) -> AsyncIterator[dict[NotificationChannel, Channel]]:
    """Every channel that the settings name, while the block lasts."""
    found: dict[NotificationChannel, Channel] = {}
    async with AsyncExitStack() as stack:
        if settings.webhook_url is not None and settings.webhook_secret is not None:
            keys = webhook_keys(settings.webhook_secret.get_secret_value())
            found[NotificationChannel.WEBHOOK] = await stack.enter_async_context(Webhook(settings.webhook_url, keys))
        if settings.smtp_url is not None and settings.mail_from is not None:
            server = mail_server(settings.smtp_url.get_secret_value(), in_production=settings.in_production)
            found[NotificationChannel.MAIL] = Mail(server, settings.mail_from, settings.issuer)
        yield found


@dataclass(frozen=True, slots=True)
class _MeteredChannel:
    """A channel whose attempts are counted, those that are cut off too."""

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


@asynccontextmanager
async def deliver_in_background(
    services: Services, clock: Clock, metrics: Metrics | None, startup: Startup
) -> AsyncIterator[None]:
    """Deliver notices from the start on and while the block lasts, by each channel in a task of its own.

    An attempt that is under way when the block ends is cut off, and made again by whoever comes next.
    """
    async with channels(services.settings) as found:
        ways = [_MeteredChannel(channel, metrics) if metrics else channel for channel in found.values()]
        deliveries = [partial(services.notifications.keep_delivering, channel, clock) for channel in ways]
        tasks = [asyncio.create_task(startup.when_started(delivery)) for delivery in deliveries]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
