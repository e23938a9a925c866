"""Workers that start while the database is unavailable: they answer 503, wait for it, and do not exit."""

import asyncio
import signal
from pathlib import Path

import pytest
from httpx2 import AsyncClient, Response

from db.engine.database import url_of
from db.migration import upgrade
from tests.faults.conftest import SignIn
from tests.support import databases
from tests.support.databases import Server
from tests.support.endpoints import ENDPOINTS, REFRESH, ROTATED, UNAVAILABLE, Api, Pair
from tests.support.servers import Process, serving, silenced

JWKS = "/.well-known/jwks.json"
REST = "/auth/token/refresh"


def code_of(response: Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


async def assert_waits(server: Process, pair: Pair) -> None:
    """Everything that needs the database or a key is 503, in the form of its endpoint; the rest is answered."""
    async with AsyncClient(base_url=server.url, timeout=30) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/account")).status_code == 200
        api = Api(http)
        given = {"input": {"refreshToken": pair.refresh}}
        for request in (api.post(REFRESH, given), api.post("{ viewer { id } }", bearer=pair.access)):
            refused = await request
            assert (refused.status_code, code_of(refused)) == (503, UNAVAILABLE)
            assert "www-authenticate" not in refused.headers
            assert (refused.headers["retry-after"], refused.headers["cache-control"]) == ("1", "no-store")
        rest, jwks = await http.post(REST, json={"refresh_token": pair.refresh}), await http.get(JWKS)
        for refused in (rest, jwks):
            assert (refused.status_code, list(refused.json())) == (503, ["detail"])
            assert (refused.headers["retry-after"], refused.headers["cache-control"]) == ("1", "no-store")
        assert (await http.get("/readyz")).status_code == 503


async def assert_works(server: Process, pairs: list[Pair]) -> None:
    """Both endpoints accept the existing sessions, and the keys are published."""
    async with AsyncClient(base_url=server.url, timeout=30) as http:
        assert await Api(http).is_live(pairs[0].access)
        for endpoint, pair in zip(ENDPOINTS.values(), pairs, strict=False):
            assert (await endpoint(http).refresh(pair.refresh)).outcome == ROTATED
        assert len((await http.get(JWKS)).json()["keys"]) == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_service_that_starts_before_its_database_waits_for_it(
    own_server: Server, own_database: str, sign_in: SignIn, tmp_path: Path, workers: int
) -> None:
    pairs = await sign_in(own_database)
    await asyncio.to_thread(own_server.go_down, crash=False)
    async with serving(own_database, tmp_path, workers=workers) as server:
        await server.until("did not answer", workers)
        await assert_waits(server, pairs[0])
        await asyncio.to_thread(own_server.come_back)
        await server.until("is ready", workers)
        await server.until_ready()
        await assert_works(server, pairs)
        waited = [event for event in server.events() if "did not answer" in event]
    assert len(waited) == workers  # one for each worker, not one for each attempt
    assert "Error)" in waited[0]
    assert "KINDRED_DATABASE_URL" in waited[0]


async def test_a_worker_killed_during_an_outage_is_replaced_by_one_that_waits_for_the_database(
    own_server: Server, own_database: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(own_database)
    async with serving(own_database, tmp_path, workers=2) as server:
        await server.until_ready()
        killed, stays = server.workers
        await asyncio.to_thread(own_server.go_down, crash=False)
        killed.kill()
        await server.until("did not answer")
        (replacement,) = set(server.workers) - {stays}
        with silenced([stays]):
            await assert_waits(server, pairs[0])
        with silenced([replacement]):
            async with AsyncClient(base_url=server.url, timeout=30) as http:
                assert (await http.get("/healthz")).status_code == 200
                for endpoint in ENDPOINTS.values():
                    assert (await endpoint(http).refresh(pairs[0].refresh)).outcome == UNAVAILABLE
        await asyncio.to_thread(own_server.come_back)
        await server.until("is ready")
        await server.until_ready()
        for others, used in ([stays], pairs[:2]), ([replacement], pairs[2:4]):
            with silenced(others):
                await assert_works(server, used)
        assert server.process.poll() is None


async def test_a_worker_that_waited_for_its_database_also_waits_for_missing_migrations(
    own_server: Server, tmp_path: Path
) -> None:
    url = await databases.create_database(own_server.url)
    await asyncio.to_thread(own_server.go_down, crash=False)
    async with serving(url, tmp_path) as server, AsyncClient(base_url=server.url) as http:
        await server.until("did not answer")
        await asyncio.to_thread(own_server.come_back)
        (said,) = await server.until("alembic upgrade head")
        assert said.startswith("The database is not up to date.")
        readiness = await http.get("/readyz")
        assert (readiness.status_code, readiness.json()) == (503, {"status": "not migrated"})
        assert (await http.get(JWKS)).status_code == 503
        await asyncio.to_thread(upgrade, url_of(url))
        await server.until_ready()
        assert len((await http.get(JWKS)).json()["keys"]) == 1
        assert sum("alembic upgrade head" in event for event in server.events()) == 1
        assert "Context impl" not in server.log.read_text()  # logged by Alembic each time it reads the revision


async def test_a_worker_with_the_wrong_secret_logs_it_and_answers_503(
    own_server: Server, own_database: str, sign_in: SignIn, tmp_path: Path
) -> None:
    pairs = await sign_in(own_database)
    await asyncio.to_thread(own_server.go_down, crash=False)
    other = "Xk2mQ8rT5vWz1LbN7cPd4HgJ9sFyE3aU"
    async with serving(own_database, tmp_path, KINDRED_SECRET=other) as server:
        await server.until("did not answer")
        await asyncio.to_thread(own_server.come_back)
        await server.until("sealed with another server secret")
        await assert_waits(server, pairs[0])
        async with AsyncClient(base_url=server.url) as http:
            assert (await http.get("/readyz")).json() == {"status": "starting"}
        assert sum("sealed with another" in event for event in server.events()) == 1
        assert await server.leave(signal.SIGTERM) == 0
    async with serving(own_database, tmp_path) as server:
        await assert_works(server, pairs)
