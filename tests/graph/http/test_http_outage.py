"""An outage at the front door: 503 for everybody, never an answer, and tokens that were issued still arrive."""

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
from db.tables.users import UserRow as User
from tests.support import databases
from tests.support.doors import LOGIN, PASSWORD, REFRESH, REVOKE, ROTATED, SESSIONS, UNAVAILABLE, Api, Door, GraphQLDoor

pytestmark = pytest.mark.usefixtures("alice")

QUICKLY = pytest.mark.parametrize("more_settings", [{"database_timeout": 0.3}])
Outage = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def outage(services: Services, database_url: str, postgres: str) -> Outage:
    """For a block of time, the database is not there."""

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
async def test_an_outage_is_503_for_everybody_and_costs_nobody_their_session(
    api: Api, http: AsyncClient, door: Door, outage: Outage
) -> None:
    pair, other = await api.login(), await api.login()
    async with outage():
        asked = await asyncio.gather(
            api.post("{ viewer { id } }", bearer=pair.access),
            api.post(SESSIONS, bearer=pair.access),
            api.post("{ securityEvents { pageInfo { endCursor } } }", bearer=pair.access),
            api.post(f'{{ session(id: "{pair.session_id}") {{ id }} }}', bearer=pair.access),
            api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}),
            api.post(LOGIN, {"input": {"username": "nobody", "password": PASSWORD}}),
            api.post(REFRESH, {"input": {"refreshToken": pair.refresh}}),
            api.post(REVOKE, {"input": {"refreshToken": pair.refresh}}),
            api.post("mutation { revokeAllSessions { revokedCount } }", bearer=pair.access),
        )
        for response in asked:
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
        assert not await api.is_live(pair.refresh)  # what is no access token needs no database to be refused
    assert (await http.get("/readyz")).status_code == 200
    assert await api.is_live(other.access)
    assert (await door.refresh(pair.refresh)).outcome == ROTATED


@QUICKLY
@pytest.mark.parametrize("what", ["lineage { generation }", "isCurrent"])
async def test_tokens_that_were_issued_arrive_even_if_the_database_leaves_before_the_rest_is_read(
    api: Api, http: AsyncClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    pair = await api.login()
    with monkeypatch.context() as patched:
        # The point at which it fails has to be just so: behind the commit, and before the lineage and the caller.
        patched.setattr(refresh_tokens, "list_for_families", failing(RolledBack()))
        patched.setattr(families, "get", failing(RolledBack()))
        answers = [
            await api.post(query.replace("session {", f"session {{ {what}"), {"input": given}, pair.access)
            for query, given in (
                (LOGIN, {"username": "alice", "password": PASSWORD}),
                (REFRESH, {"refreshToken": pair.refresh}),
            )
        ]
        listed = await api.post(f"{{ sessions {{ edges {{ node {{ {what} }} }} }} }}", bearer=pair.access)
    assert (listed.status_code, listed.json()["data"]) == (503, None)
    for answer in answers:
        (result,) = answer.json()["data"].values()
        assert (await GraphQLDoor(http).refresh(result["tokens"]["refreshToken"])).outcome == ROTATED


async def test_gql_21_requests_at_the_same_time_are_not_mixed_up(api: Api, bob: User) -> None:
    mine, theirs = await api.login(), await api.login("bob")
    asked = [api.post("{ viewer { username } }", bearer=pair.access) for pair in (mine, theirs) * 20]
    names = [response.json()["data"]["viewer"]["username"] for response in await asyncio.gather(*asked)]
    assert names == ["alice", "bob"] * 20
