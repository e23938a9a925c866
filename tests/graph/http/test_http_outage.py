"""A database outage over HTTP: every request gets 503, and issued tokens still arrive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.engine import make_url

from auth.services import Services
from db.drivers.errors import RolledBack
from db.tables import families, refresh_tokens
from db.tables.users import UserRow
from tests.support import databases
from tests.support.endpoints import (
    LOGIN,
    PASSWORD,
    REFRESH,
    REVOKE,
    ROTATED,
    SESSIONS,
    UNAVAILABLE,
    Api,
    GraphQLEndpoint,
    RefreshEndpoint,
)

pytestmark = pytest.mark.usefixtures("alice")

QUICKLY = pytest.mark.parametrize("more_settings", [{"database_timeout": 0.3}])
Outage = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def outage(services: Services, database_url: str, postgres: str) -> Outage:
    """Makes the database unavailable in a block."""

    @asynccontextmanager
    async def of_sqlite() -> AsyncIterator[None]:
        path = Path(str(make_url(database_url).database))
        await services.db.close()
        path.rename(path.with_suffix(".aside"))
        path.mkdir()
        try:
            yield
        finally:
            path.rmdir()
            path.with_suffix(".aside").rename(path)

    @asynccontextmanager
    async def of_postgresql() -> AsyncIterator[None]:
        name = make_url(database_url).database
        admin = await databases.connect(postgres)
        try:
            await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
            await admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_aside"')
            try:
                yield
            finally:
                await admin.execute(f'ALTER DATABASE "{name}_aside" RENAME TO "{name}"')
        finally:
            await admin.close()

    return of_sqlite if database_url.startswith("sqlite") else of_postgresql


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@QUICKLY
async def test_an_outage_is_503_for_every_request_and_revokes_no_session(
    api: Api, http: AsyncClient, endpoint: RefreshEndpoint, outage: Outage
) -> None:
    pair, other = await api.login(), await api.login()
    async with outage():
        pending = await asyncio.gather(
            api.post("{ viewer { id } }", bearer=pair.access),
            api.post(SESSIONS, bearer=pair.access),
            api.post("{ securityEvents { pageInfo { endCursor } } }", bearer=pair.access),
            api.post(f'{{ session(id: "{pair.session_id}") {{ id }} }}', bearer=pair.access),
            api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}),
            api.post(LOGIN, {"input": {"username": "unknown", "password": PASSWORD}}),
            api.post(REFRESH, {"input": {"refreshToken": pair.refresh}}),
            api.post(REVOKE, {"input": {"refreshToken": pair.refresh}}),
            api.post("mutation { revokeAllSessions { revokedCount } }", bearer=pair.access),
        )
        for response in pending:
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert not any((response.json()["data"] or {}).values())
            assert {error["extensions"]["code"] for error in response.json()["errors"]} == {UNAVAILABLE}
            assert response.headers["cache-control"] == "no-store"
            assert "www-authenticate" not in response.headers
        rest = await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh})
        assert (rest.status_code, rest.headers["retry-after"], list(rest.json())) == (503, "1", ["detail"])
        assert rest.headers["cache-control"] == "no-store"
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/.well-known/jwks.json")).status_code == 200
        assert await api.data("{ viewer { id } }") == {"viewer": None}
        assert not await api.is_live(pair.refresh)  # refused without the database
    assert (await http.get("/readyz")).status_code == 200
    assert await api.is_live(other.access)
    assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


@QUICKLY
@pytest.mark.parametrize("what", ["lineage { generation }", "isCurrent"])
async def test_issued_tokens_arrive_even_if_the_database_fails_before_the_rest_is_read(
    api: Api, http: AsyncClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    pair = await api.login()
    with monkeypatch.context() as patched:
        # It must fail after the commit, and before the lineage and the caller are read.
        patched.setattr(refresh_tokens, "list_for_families", failing(RolledBack()))
        patched.setattr(families, "get", failing(RolledBack()))
        answers = [
            await api.post(query.replace("session {", f"session {{ {what}"), {"input": values}, pair.access)
            for query, values in (
                (LOGIN, {"username": "alice", "password": PASSWORD}),
                (REFRESH, {"refreshToken": pair.refresh}),
            )
        ]
        listed = await api.post(f"{{ sessions {{ edges {{ node {{ {what} }} }} }} }}", bearer=pair.access)
    assert (listed.status_code, listed.json()["data"]) == (503, None)
    for answer in answers:
        (result,) = answer.json()["data"].values()
        assert (await GraphQLEndpoint(http).refresh(result["tokens"]["refreshToken"])).outcome == ROTATED


async def test_gql_21_requests_at_the_same_time_are_not_mixed_up(api: Api, bob: UserRow) -> None:
    alices, bobs = await api.login(), await api.login("bob")
    pending = [api.post("{ viewer { username } }", bearer=pair.access) for pair in (alices, bobs) * 20]
    names = [response.json()["data"]["viewer"]["username"] for response in await asyncio.gather(*pending)]
    assert names == ["alice", "bob"] * 20
