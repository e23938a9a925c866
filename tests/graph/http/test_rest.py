"""REST, the key set and the health checks: exact bodies, statuses and headers."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text as sql

from auth.clock import Clock
from auth.config.settings import Settings
from auth.services import Services
from db.migration import head
from db.tables.base import metadata
from db.tables.users import UserRow
from graph.app import create_app
from tests.support.clocks import FakeClock
from tests.support.endpoints import REVOKE, SESSIONS, Api, Pair
from tests.support.servers import SECRET
from tests.support.sql import looking_at

PATH = "/auth/token/refresh"
KEY = "the-first-attempt-of-the-phone"


@pytest.fixture
async def pair(api: Api, alice: UserRow) -> Pair:
    """The tokens of a new session of Alice."""
    return await api.login()


async def refresh(http: AsyncClient, token: str, **headers: str) -> Response:
    return await http.post(PATH, json={"refresh_token": token}, headers=headers)


def assert_refused(response: Response, detail: str) -> None:
    assert response.status_code == 401
    assert response.json() == {"detail": detail}
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.headers["cache-control"] == "no-store"


async def test_a_refresh_response_has_exactly_four_fields(
    http: AsyncClient, api: Api, pair: Pair, clock: FakeClock
) -> None:
    response = await refresh(http, pair.refresh)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    body = response.json()
    assert list(body) == ["access_token", "refresh_token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 900
    assert claims["sid"] == pair.session_id
    assert await api.is_live(body["access_token"])


async def test_each_refusal_says_its_reason(http: AsyncClient, api: Api, pair: Pair, clock: FakeClock) -> None:
    for bad in ("", "x", "a.b.c", pair.access, pair.refresh[:-1], pair.refresh + "=", "é" * 100, "x" * 5000, "\x00"):
        assert_refused(await refresh(http, bad), "Invalid token")
    assert (await refresh(http, pair.refresh)).status_code == 200
    assert_refused(await refresh(http, pair.refresh), "Token reused")
    assert_refused(await refresh(http, pair.refresh), "Token revoked")
    left = await api.login()
    await api.data(REVOKE, {"input": {"refreshToken": left.refresh}})
    assert_refused(await refresh(http, left.refresh), "Token revoked")
    forgotten = await api.login()
    clock.advance(timedelta(days=30))
    assert_refused(await refresh(http, forgotten.refresh), "Token expired")


async def test_the_same_idempotency_key_gets_the_same_response(http: AsyncClient, pair: Pair) -> None:
    answers = [await refresh(http, pair.refresh, **{"idempotency-key": KEY}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert_refused(await refresh(http, pair.refresh), "Token reused")


@pytest.mark.parametrize("key", ["", "x", "x" * 15, "x" * 129, "two words of a key", "x" * 16 + "\t.", "é" * 16])
async def test_a_malformed_idempotency_key_is_refused_and_consumes_nothing(
    http: AsyncClient, pair: Pair, key: str
) -> None:
    response = await http.post(
        PATH, json={"refresh_token": pair.refresh}, headers={b"Idempotency-Key": key.encode("latin-1")}
    )
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["loc"] == ["header", "idempotency-key"]
    assert set(problem) == {"loc", "msg", "type"}
    assert not key.strip() or len(key) < 2 or key not in response.text
    assert (await refresh(http, pair.refresh, **{"idempotency-key": "x" * 16})).status_code == 200


@pytest.mark.parametrize("key", ["x" * 16, "~" * 128, "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}"])
async def test_any_printable_idempotency_key_of_valid_length_is_accepted(
    http: AsyncClient, pair: Pair, key: str
) -> None:
    assert (await refresh(http, pair.refresh, **{"idempotency-key": key})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"3",
        b'"hunter2"',
        b'["hunter2"]',
        b"null",
        b"{",
        b"hunter2",
        b"{}",
        b'{"hunter2":"hunter2"}',
        b'{"refresh_token":null}',
        b'{"refresh_token":2}',
        b'{"refresh_token":["hunter2"]}',
        b'{"refresh_token":{"hunter2":"hunter2"}}',
        b'{"refresh_token":NaN}',
        b'{"refresh_token":' + b"1" * 5000 + b"}",
        b"1" * 5000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"refresh_token":' * 3_000,
        b"\xff\xfe",
        b"\x00",
        b'{"refreshToken":"hunter2"}',
        b"refresh_token=hunter2",
    ],
    ids=lambda body: str(body[:24]),
)
async def test_an_invalid_body_is_422_without_its_values(http: AsyncClient, body: bytes) -> None:
    response = await http.post(PATH, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/json")
    assert response.headers["cache-control"] == "no-store"
    assert list(response.json()) == ["detail"]
    assert "hunter2" not in response.text


async def test_a_lone_surrogate_is_an_invalid_token(http: AsyncClient) -> None:
    body = b'{"refresh_token":"\\ud800"}'
    assert_refused(await http.post(PATH, content=body, headers={"content-type": "application/json"}), "Invalid token")


async def test_a_refresh_ignores_the_authorization_header(http: AsyncClient, pair: Pair) -> None:
    assert (await refresh(http, pair.refresh, authorization="Bearer nonsense")).status_code == 200


async def test_cred_16_there_is_no_password_grant(http: AsyncClient, pair: Pair) -> None:
    grant = {"grant_type": "password", "username": "alice", "password": "x"}
    for path in ("/token", "/oauth/token", "/auth/token", "/auth/login", "/login"):
        assert (await http.post(path, data=grant)).status_code == 404
    assert (await http.post(PATH, data=grant)).status_code == 422


async def test_the_key_set_verifies_access_tokens_and_has_no_private_part(
    http: AsyncClient, pair: Pair, clock: FakeClock
) -> None:
    response = await http.get("/.well-known/jwks.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["cache-control"] == "public, max-age=300"
    (key,) = response.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    public = jwt.PyJWK(key)
    claims = jwt.decode(
        pair.access, public, algorithms=["EdDSA"], audience="kindred", issuer="kindred", options={"verify_exp": False}
    )
    assert claims["sid"] == pair.session_id
    assert jwt.get_unverified_header(pair.access) == {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]}
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time"}  # TOK-13


@pytest.mark.parametrize("more_settings", [{"signing_algorithm": "ES256"}])
async def test_the_setting_chooses_elliptic_curve_keys(http: AsyncClient, pair: Pair) -> None:
    (key,) = (await http.get("/.well-known/jwks.json")).json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    jwt.decode(pair.access, jwt.PyJWK(key), algorithms=["ES256"], audience="kindred", issuer="kindred")


async def test_tok_12_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_last_token_expires(
    http: AsyncClient, api: Api, pair: Pair, clock: FakeClock, services: Services
) -> None:
    async def kids() -> list[str]:
        return [key["kid"] for key in (await http.get("/.well-known/jwks.json")).json()["keys"]]

    async def signed_by() -> Any:
        return jwt.get_unverified_header((await api.login()).access)["kid"]

    (old,) = await kids()
    algorithm = services.settings.signing_algorithm
    new = (await services.keys.rotate(algorithm, clock.now(), access_token_ttl=timedelta(minutes=15))).kid
    await services.keys.reload()
    assert sorted(await kids()) == sorted([old, new])
    assert await signed_by() == old
    clock.advance(timedelta(minutes=10))
    last = await api.login()
    assert await signed_by() == new
    assert await api.is_live(pair.access)
    clock.advance(timedelta(minutes=15))
    assert await kids() == [new]
    assert not await api.is_live(last.access)


async def test_dos_07_health_checks_need_no_credentials_and_disclose_nothing(http: AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        response = await http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert response.headers["cache-control"] == "no-store"


async def test_readyz_is_503_while_migrations_are_missing(http: AsyncClient, services: Services) -> None:
    async with looking_at(services.db) as conn:
        await conn.execute(sql("UPDATE alembic_version SET version_num = '0000'"))
    try:
        response = await http.get("/readyz")
        assert (response.status_code, response.json()) == (503, {"status": "not migrated"})
    finally:
        async with looking_at(services.db) as conn:
            await conn.execute(sql(f"UPDATE alembic_version SET version_num = '{head()}'"))
    assert (await http.get("/readyz")).status_code == 200


async def test_the_openapi_description_exists_in_development_only(
    sqlite_url: str, clock: Clock, tmp_path: Path
) -> None:
    for environment, status in (("development", 200), ("production", 404)):
        copy = tmp_path / f"{environment}.db"
        shutil.copyfile(sqlite_url.removeprefix("sqlite:///"), copy)
        app: FastAPI = create_app(Settings(database_url=f"sqlite:///{copy}", secret=SECRET, environment=environment))
        client = AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")
        async with app.router.lifespan_context(app), client as http:
            response = await http.get("/openapi.json")
            assert response.status_code == status
            for path in ("/docs", "/redoc", "/openapi.yaml"):
                assert (await http.get(path)).status_code == 404
            if status == 200:
                operation = response.json()["paths"][PATH]["post"]
                assert set(operation["responses"]) == {"200", "401", "403", "422", "429", "503"}


async def test_no_response_names_a_table(http: AsyncClient, api: Api, pair: Pair) -> None:
    texts = [(await api.post(SESSIONS, bearer=pair.access)).text, (await refresh(http, pair.refresh)).text]
    assert not any(table.name in text for table in metadata.sorted_tables for text in texts)
