"""Notifications under faults: a connection cut at the commit, a service killed before it delivers."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from httpx2 import AsyncClient
from sqlalchemy import select, update

from auth.background import notifications
from auth.clock import SystemClock
from auth.services import Services
from db.engine.shared_timeout import SharedTimeout
from db.tables.base import NotificationChannel
from db.tables.outbox import outbox
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import REPLAYED, REVOKED, Api, RefreshEndpoint, RestEndpoint
from tests.support.proxy import Proxy, proxied
from tests.support.receivers import WEBHOOK_SECRET, WebReceiver, web_receiver
from tests.support.servers import Backstage, backstage, serving
from tests.support.sql import looking_at

COMMIT = b"COMMIT;"  # as the driver sends it
# For the workers' own Python: both look for notifications five times a second, where it is every five seconds.
POLLS_OFTEN = "from auth.background import notifications\nnotifications.POLL_INTERVAL = 0.2\n"


@pytest.fixture
async def receiver() -> AsyncIterator[WebReceiver]:
    async with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def more_settings(receiver: WebReceiver) -> dict[str, Any]:
    return {"webhook_url": receiver.url, "webhook_secret": WEBHOOK_SECRET}


async def stored(services: Services) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(outbox))).all())


class TestAtTheCommit:
    """Faults at the commit: PostgreSQL through a proxy that cuts the connection."""

    @pytest.fixture
    def more_settings(self, receiver: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Poll often: set before the application starts, which reads it before each wait."""
        monkeypatch.setattr(notifications, "POLL_INTERVAL", 0.05)
        return {"webhook_url": receiver.url, "webhook_secret": WEBHOOK_SECRET}

    @pytest.fixture
    async def proxy(self, postgresql_url: str) -> AsyncIterator[Proxy]:
        async with proxied(postgresql_url) as proxy:
            yield proxy

    @pytest.fixture
    def database_url(self, proxy: Proxy) -> str:
        return proxy.url

    @pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before it"])
    async def test_log_04_a_replay_whose_commit_is_cut_off_notifies_once(
        self,
        api: Api,
        endpoint: RefreshEndpoint,
        proxy: Proxy,
        services: Services,
        alice: UserRow,
        receiver: WebReceiver,
        committed: bool,
    ) -> None:
        first = await api.login()
        second = (await endpoint.refresh(first.refresh)).tokens
        (proxy.cut_after if committed else proxy.cut_before)(COMMIT)
        # The service retries the whole use case. If the first commit succeeded, the retry finds a revoked session.
        assert (await endpoint.refresh(first.refresh)).outcome == (REVOKED if committed else REPLAYED)
        assert proxy.cuts >= 1
        assert (await endpoint.refresh(second.refresh)).outcome == REVOKED
        await receiver.until(1)
        await asyncio.sleep(0.3)
        assert (receiver.kinds, len(await stored(services))) == (["session.replayed"], 1)

    async def test_log_04_a_replay_that_is_not_committed_notifies_no_owner(
        self,
        api: Api,
        endpoint: RefreshEndpoint,
        proxy: Proxy,
        services: Services,
        alice: UserRow,
        receiver: WebReceiver,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = await api.login()
        second = (await endpoint.refresh(first.refresh)).tokens
        monkeypatch.setattr(services.db, "deadline", SharedTimeout(0.5))
        proxy.refuse_after_the_next_cut()
        proxy.cut_before(COMMIT)
        assert (await endpoint.refresh(first.refresh)).status == 503
        await proxy.listen()
        assert await api.is_live(second.access)
        await asyncio.sleep(0.3)
        assert (receiver.posts, await stored(services)) == ([], [])
        assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
        await receiver.until(1)

    async def test_a_delivery_whose_result_was_not_stored_is_repeated_with_the_same_id(
        self,
        proxy: Proxy,
        services: Services,
        clock: FakeClock,
        alice: UserRow,
        receiver: WebReceiver,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def cut() -> None:
            # The result cannot be stored, and no attempt to store it outlives the wait below.
            monkeypatch.setattr(services.db, "timeout", 0.5)
            monkeypatch.setattr(services.db, "deadline", SharedTimeout(0.5))
            proxy.refuse()

        receiver.before_answer = cut
        await services.accounts.disable(alice.id, clock.now())
        await receiver.until(1)
        receiver.before_answer = None
        await asyncio.sleep(services.db.timeout + 0.5)
        await proxy.listen()
        clock.advance(notifications.CLAIM)
        await receiver.until(2)
        first, again = receiver.posts
        assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)


@pytest.fixture
async def behind(database_url: str, password_hash: str) -> AsyncIterator[Backstage]:
    async with backstage(database_url, password_hash) as behind:
        yield behind


@pytest.mark.parametrize("workers", [1, 2])
async def test_log_04_a_notification_survives_a_kill_between_the_commit_and_its_delivery(
    database_url: str, tmp_path: Path, behind: Backstage, receiver: WebReceiver, workers: int
) -> None:
    user = await behind.user()
    pair = await behind.session(user)
    settings = {"KINDRED_WEBHOOK_URL": receiver.url, "KINDRED_WEBHOOK_SECRET": WEBHOOK_SECRET}
    never = asyncio.Event()
    receiver.before_answer = never.wait
    async with serving(database_url, tmp_path, workers=workers, **settings) as server:
        async with AsyncClient(base_url=server.url) as http:
            endpoint = RestEndpoint(http)
            assert (await endpoint.refresh(pair.refresh)).status == 200
            assert (await endpoint.refresh(pair.refresh)).outcome == REPLAYED
        await receiver.until(1)
        master = psutil.Process(server.process.pid)
        for process in [master, *master.children(recursive=True)]:  # `kill -9`
            process.kill()
        server.process.wait()
    (row,) = await stored(behind.services)
    assert (row.attempts, row.delivered_at) == (1, None)
    # The dead worker's claim expires. (The test does not wait for it.)
    async with looking_at(behind.services.db) as conn:
        await conn.execute(update(outbox).values(next_attempt_at=SystemClock().now() - timedelta(seconds=1)))
    receiver.before_answer = None
    async with serving(database_url, tmp_path, workers=workers, **settings):
        await receiver.until(2)
        async with asyncio.timeout(60):
            while (await stored(behind.services))[0].delivered_at is None:
                await asyncio.sleep(0.05)
    assert [post.headers["webhook-id"] for post in receiver.posts] == [str(row.id)] * 2
    assert {post.payload["data"]["session_id"] for post in receiver.posts} == {pair.session_id}


async def test_two_worker_processes_deliver_each_notification_of_a_command_once(
    database_url: str, tmp_path: Path, behind: Backstage, receiver: WebReceiver
) -> None:
    settings = {"KINDRED_WEBHOOK_URL": receiver.url, "KINDRED_WEBHOOK_SECRET": WEBHOOK_SECRET}
    behind.services.accounts.audit_log.channels[NotificationChannel.WEBHOOK] = asyncio.Event()  # type: ignore[index]
    (tmp_path / "sitecustomize.py").write_text(POLLS_OFTEN)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    async with serving(database_url, tmp_path, workers=2, PYTHONPATH=path, **settings) as server:
        await server.until_ready()
        for _ in range(12):
            user = await behind.user()
            await behind.services.accounts.disable(user.id, SystemClock().now())
        await receiver.until(12, seconds=15)
        await asyncio.sleep(1)  # five polls of each worker
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == len(receiver.posts) == 12
