"""Middleware: security headers, allowed origins and hosts, and the limits of a body."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from auth.config.settings import Settings
from auth.credentials.password_hashing import Hasher
from auth.services import Services
from auth.use_cases.rotation import Rotation
from db.drivers.errors import DatabaseUnavailable
from db.tables.users import UserRow
from graph.app import create_app
from graph.http.middleware import MAX_BODY_BYTES
from tests.support.endpoints import LOGIN, REFRESH, ROTATED, Api, GraphQLEndpoint
from tests.support.statements import statements

JSON = {"content-type": "application/json"}
ENDPOINTS = ("/graphql", "/auth/token/refresh")
ORIGIN = "https://app.example.org"
SettingsFactory = Callable[..., Settings]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite only: the middleware does not depend on the database."""
    return sqlite_url


@pytest.fixture
async def remote(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client that receives the response to an unhandled exception, as over a network."""
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://kindred.test") as client:
        yield client


async def every_answer(http: AsyncClient, api: Api, monkeypatch: pytest.MonkeyPatch) -> list[Response]:
    """Responses of every route and every status."""
    pair = await api.login()
    answers = [
        await http.get("/graphql"),
        await http.get("/graphql", headers={"accept": "text/html"}),
        await api.post("{ viewer { id } }", bearer=pair.access),
        await api.post("{ viewer { id } }"),
        await api.post("{ nonsense"),
        await http.post("/graphql", content=b"{", headers=JSON),
        await http.post("/graphql", content=b"{"),
        await http.post("/graphql", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON),
        await http.post("/graphql/", json={}),
        await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh}),
        await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh}),
        await http.post("/auth/token/refresh", json={}),
        await http.post("/auth/token/refresh", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON),
        await http.get("/auth/token/refresh"),
        await http.get("/nowhere", headers={"host": "evil/"}),
        *[await http.get(path) for path in ("/", "/nowhere", "/healthz", "/readyz", "/openapi.json")],
        *[await http.get(path) for path in ("/.well-known/jwks.json", "/assets/graphiql.licences.txt", "/assets/x")],
        await http.options("/graphql", headers={"origin": ORIGIN, "access-control-request-method": "POST"}),
    ]
    for error in (DatabaseUnavailable, RuntimeError):

        async def fail(*_: Any, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(Rotation, "refresh", fail)
        answers.append(await http.post("/auth/token/refresh", json={"refresh_token": "x"}))
        answers.append(await api.post(REFRESH, {"input": {"refreshToken": "x"}}))
    return answers


@pytest.mark.parametrize("more_settings", [{}, {"allowed_origins": ORIGIN}])
async def test_net_01_web_04_web_06_web_09_every_response_of_every_route_has_the_security_headers(
    remote: AsyncClient, alice: UserRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await every_answer(remote, Api(remote), monkeypatch)
    assert {answer.status_code for answer in answers} >= {200, 400, 401, 404, 405, 413, 415, 422, 500, 503}
    kept_by_design = ("/.well-known/", "/assets/graphiql")
    for answer in answers:
        path, headers = answer.request.url.path, answer.headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert ("no-store" in headers["cache-control"]) is not path.startswith(kept_by_design), path
        assert "strict-transport-security" not in headers
        assert "server" not in headers
        names = [name.lower() for name, _ in headers.raw]
        assert len(names) == len(set(names)), names


@pytest.mark.parametrize("more_settings", [{"trusted_proxies": "127.0.0.1"}])
async def test_net_02_hsts_is_sent_over_tls_only(http: AsyncClient) -> None:
    for path in ("/healthz", "/nowhere"):
        over_tls = await http.get(path, headers={"x-forwarded-proto": "https"})
        assert over_tls.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        for headers in ({}, {"x-forwarded-proto": "http"}):
            assert "strict-transport-security" not in (await http.get(path, headers=headers)).headers


async def test_net_02_only_a_trusted_proxy_can_claim_tls(http: AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", ["/graphql/", "/auth/token/refresh/", "//graphql", "/healthz/", "/graphql//"])
@pytest.mark.parametrize("more_settings", [{}, {"trusted_proxies": "127.0.0.1"}])
async def test_net_06_no_request_is_redirected(http: AsyncClient, path: str) -> None:
    for headers in ({}, {"x-forwarded-proto": "http"}):
        answer = await http.post(path, json={"refresh_token": "x"}, headers=headers)
        assert (answer.status_code, answer.headers.get("location")) == (404, None)


async def test_web_03_without_the_setting_cors_allows_no_origin(http: AsyncClient) -> None:
    for path in ENDPOINTS:
        headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
        for answer in (await http.options(path, headers=headers), await http.post(path, json={}, headers=headers)):
            assert [name for name in answer.headers if name.startswith("access-control-")] == []


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("more_settings", [{"allowed_origins": f"{ORIGIN},http://localhost:3000"}])
class TestOrigins:
    """CORS, with two origins allowed."""

    @pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
    async def test_web_03_an_allowed_origin_gets_cors_headers(self, http: AsyncClient, path: str, origin: str) -> None:
        requested = "authorization,content-type,idempotency-key,kindred-delivery"
        asked = await http.options(
            path,
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": requested,
            },
        )
        assert asked.status_code == 200
        allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
        assert set(requested.split(",")) <= set(allowed)
        assert asked.headers["access-control-allow-methods"] == "GET, POST"
        # Errors too, or a page could not distinguish them from a network failure.
        too_large = b" " * (MAX_BODY_BYTES + 1)
        for content in (b"{}", b"{", too_large):
            answer = await http.post(path, content=content, headers=JSON | {"origin": origin})
            assert answer.headers["access-control-expose-headers"] == "Retry-After, WWW-Authenticate"
            for response in (asked, answer):
                assert response.headers["access-control-allow-origin"] == origin
                assert response.headers["access-control-allow-credentials"] == "true"
                assert "Origin" in response.headers["vary"]

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://evilapp.example.org",
            "https://app.example.org.evil.example",
            "https://app.example.orgevil",
            "http://app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org:443",
            "https://APP.example.org",
            "https://app.example.org/",
            "http://localhost",
            "http://localhost:3001",
            "null",
            "*",
            "",
        ],
    )
    async def test_web_03_any_other_origin_gets_no_cors_headers(
        self, http: AsyncClient, path: str, origin: str
    ) -> None:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        for answer in (await http.options(path, headers=headers), await http.post(path, json={}, headers=headers)):
            assert "access-control-allow-origin" not in answer.headers
            assert "Origin" in answer.headers["vary"]

    async def test_web_03_responses_without_an_origin_vary_by_origin_too(self, http: AsyncClient, path: str) -> None:
        assert "Origin" in (await http.post(path, json={})).headers["vary"]

    @pytest.mark.parametrize("asked", [{"method": "DELETE"}, {"method": "POST", "headers": "x-evil"}])
    async def test_web_03_other_methods_and_headers_fail_the_preflight(
        self, http: AsyncClient, path: str, asked: dict[str, str]
    ) -> None:
        headers = {"origin": ORIGIN} | {f"access-control-request-{name}": value for name, value in asked.items()}
        assert (await http.options(path, headers=headers)).status_code == 400


@pytest.mark.parametrize(
    "host", ["kindred.test/x", "kindred.test?x", "a b", "a@b", "kindred.test:x", "", "[::1", "a,b"]
)
async def test_net_05_a_malformed_host_is_refused(http: AsyncClient, host: str) -> None:
    for path in (*ENDPOINTS, "/healthz", "/nowhere"):
        assert (await http.post(path, json={}, headers={"host": host})).status_code == 400


async def test_net_05_a_repeated_host_is_refused(http: AsyncClient) -> None:
    headers = [("host", "kindred.test"), ("host", "evil.test")]
    assert (await http.get("/healthz", headers=headers)).status_code == 400


# Headers that identify the caller or the request: a valid value, and values that an attacker may add.
TWICE: dict[str, tuple[str, list[str]]] = {
    "Authorization": ("Bearer {access}", ["Bearer rubbish", "Basic eDp5", "", "Bearer {access}"]),
    "Idempotency-Key": ("0123456789abcdef", ["fedcba9876543210", "", "0123456789abcdef"]),
    "Kindred-Delivery": ("cookie", ["body", "", "cookie"]),
    "Origin": ("http://kindred.test", [ORIGIN, "null", "", "http://kindred.test"]),
}


@pytest.mark.parametrize("more_settings", [{"allowed_origins": ORIGIN}])
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("name", TWICE)
@pytest.mark.usefixtures("alice")
async def test_web_02_a_repeated_header_that_identifies_the_caller_is_refused(
    http: AsyncClient, api: Api, name: str, path: str
) -> None:
    pair = await api.login()
    once, others = TWICE[name]
    usual = {header: value for header, (value, _) in TWICE.items() if header != name}
    usual["Cookie"] = f"kindred-refresh={pair.refresh}"
    body = {"query": REFRESH, "variables": {"input": {}}} if path == "/graphql" else {}
    for other in others:
        for values in ((once, other), (other, once)):
            headers = [*usual.items(), *((name, value) for value in values)]
            sent = [(header, value.format(access=pair.access)) for header, value in headers]
            answer = await http.post(path, json=body, headers=sent)
            assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
            assert "access-control-allow-origin" not in answer.headers
            assert f"The header `{name}` was sent more than once. Send it once." in answer.text
    # Nothing was consumed.
    assert (await GraphQLEndpoint(http).refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.usefixtures("alice")
async def test_web_02_only_sp_and_htab_are_stripped_from_headers_that_identify_the_caller(
    http: AsyncClient, api: Api
) -> None:
    """The server strips SP and HTAB (RFC 9110 section 5.5). Any other byte is part of the value."""
    pair = await api.login()
    cookie = [(b"cookie", f"kindred-refresh={pair.refresh}".encode()), (b"idempotency-key", b"0123456789abcdef")]
    meant = [(b"kindred-delivery", b"cookie"), (b"origin", b"http://kindred.test")]
    body = {"query": "{ viewer { id } }"}
    wrong = []
    for byte in (bytes([number]) for number in range(256)):
        token = pair.access.encode()
        for value in (b"%bBearer %b" % (byte, token), b"Bearer%b%b" % (byte, token), b"Bearer %b%b" % (token, byte)):
            answer = await http.post("/graphql", json=body, headers=[(b"authorization", value)])
            if answer.status_code != (200 if value.rstrip(b" ") == b"Bearer " + token else 401):
                wrong.append((value, answer.text))
        for place, (name, value) in enumerate(meant):
            for beside in (byte + value, value + byte):
                headers = [*cookie, *meant[:place], (name, beside), *meant[place + 1 :]]
                answer = await http.post("/auth/token/refresh", json={}, headers=headers)
                if (answer.status_code, "set-cookie" in answer.headers) != (403, False):
                    wrong.append((beside, answer.text))
    assert wrong == []
    # Nothing was consumed.
    assert (await GraphQLEndpoint(http).refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.parametrize("more_settings", [{"allowed_hosts": "kindred.test,[::1]"}])
async def test_net_05_only_allowed_hosts_are_answered(http: AsyncClient) -> None:
    for host in ("kindred.test", "KINDRED.test", "kindred.test:8000", "[::1]:8000"):
        assert (await http.get("/graphql", headers={"host": host})).status_code == 405
    for host in ("evil.test", "kindred.test.evil.test", "evilkindred.test", "127.0.0.1", "[::2]"):
        answer = await http.post("/graphql", json={}, headers={"host": host})
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (400, {"code": "BAD_REQUEST"})
        answer = await http.post("/auth/token/refresh", json={}, headers={"host": host})
        assert (answer.status_code, list(answer.json())) == (400, ["detail"])
        # A health check of the process knows only its address.
        assert (await http.get("/healthz", headers={"host": host})).status_code == 200
        assert (await http.get("/readyz", headers={"host": host})).status_code == 200


def in_chunks(size: int, taken: list[int], piece: int = 16 * 1024) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // piece):
            taken.append(piece)
            yield b" " * piece

    return pieces()


def assert_too_large(answer: Response, path: str) -> None:
    assert answer.status_code == 413
    message = "The body must not be larger than 64 KiB."
    if path == "/graphql":
        assert answer.json() == {"errors": [{"message": message, "extensions": {"code": "BODY_TOO_LARGE"}}]}
    else:
        assert answer.json() == {"detail": message}


@pytest.mark.parametrize("path", [*ENDPOINTS, "/healthz", "/nowhere"])
@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10 * 1024 * 1024])
async def test_dos_02_a_large_body_is_refused_before_any_byte_is_read(app: FastAPI, path: str, size: int) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"kindred.test"), (b"content-length", str(size).encode())]
    await app(
        {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path, "headers": headers},
        receive,
        send,
    )
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("path", [*ENDPOINTS, "/healthz", "/nowhere"])
async def test_dos_02_a_body_without_a_length_is_read_up_to_the_limit_only(http: AsyncClient, path: str) -> None:
    taken: list[int] = []
    answer = await http.post(path, content=in_chunks(10 * 1024 * 1024, taken), headers=JSON)
    assert_too_large(answer, path)
    assert sum(taken) <= MAX_BODY_BYTES + 16 * 1024


async def test_dos_02_the_largest_body_is_accepted_in_one_chunk_or_many(
    api: Api, http: AsyncClient, alice: UserRow
) -> None:
    body = json.dumps({"query": "{ __typename }"}).encode()
    padding = MAX_BODY_BYTES - len(body)
    assert (await http.post("/graphql", content=body + b" " * padding, headers=JSON)).status_code == 200

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 5):
            yield body[start : start + 5]
        yield b" " * padding

    assert (await http.post("/graphql", content=pieces(), headers=JSON)).json() == {"data": {"__typename": "Query"}}
    assert_too_large(await http.post("/graphql", content=body + b" " * (padding + 1), headers=JSON), "/graphql")


@pytest.mark.parametrize("length", ["-1", "+1", "1e3", "9" * 30, "0x10", "", "٣"])
async def test_dos_02_an_invalid_content_length_does_not_bypass_the_limit(http: AsyncClient, length: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length.encode())]
    assert (await http.post("/graphql", content=b"{}", headers=headers)).status_code in (400, 413)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("more_settings", [{"http_read_timeout": 1}])
async def test_dos_03_a_body_that_does_not_arrive_times_out(http: AsyncClient, path: str) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)
        raise AssertionError("the service waited for the body")

    answer = await http.post(path, content=slowly(), headers=JSON)
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert ("errors" if path == "/graphql" else "detail") in answer.json()


@pytest.mark.parametrize("size", [1025, 50_000, 1_000_000, 10_000_000])
async def test_dos_01_a_long_password_is_never_hashed(
    api: Api, alice: UserRow, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    async def hashed(*_: Any) -> None:
        raise AssertionError("the password was hashed")

    with monkeypatch.context() as patched:
        patched.setattr(Hasher, "_run", hashed)
        answer = await api.post(LOGIN, {"input": {"username": "alice", "password": "x" * size}})
    if size > MAX_BODY_BYTES:
        assert answer.status_code == 413
    else:
        assert answer.json()["data"]["login"]["__typename"] == "InvalidCredentialsError"


async def test_net_07_method_override_headers_are_ignored(api: Api, http: AsyncClient, alice: UserRow) -> None:
    pair = await api.login()
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        answer = await http.get("/auth/token/refresh", headers={name: "POST"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = await http.post("/auth/token/refresh", json={"refresh_token": "x"}, headers={name: "GET"})
        assert answer.status_code == 401
    assert (await GraphQLEndpoint(http).refresh(pair.refresh)).outcome == ROTATED


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
async def test_web_10_production_has_no_api_documentation_pages(
    sqlite_url: str, settings_for: SettingsFactory, path: str
) -> None:
    app = create_app(settings_for(sqlite_url, environment="production"))
    client = AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")
    async with app.router.lifespan_context(app), client as http:
        assert (await http.get(path)).status_code == 404


async def test_dos_07_a_health_check_runs_at_most_one_small_statement(services: Services, http: AsyncClient) -> None:
    with statements(services) as sent:
        assert (await http.get("/healthz")).status_code == 200
    assert sent == []
    with statements(services) as sent:
        assert {(await http.get("/readyz")).status_code for _ in range(5)} == {200}
    # A table with one row, and on SQLite whether the table exists.
    assert sent
    assert all("alembic_version" in statement for statement in sent), sent


async def test_dos_07_many_concurrent_health_checks_are_answered(http: AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/readyz") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}


async def test_ops_06_an_internal_error_discloses_nothing(remote: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(Rotation, "refresh", fail)
    for path, body in (
        ("/auth/token/refresh", {"refresh_token": "x"}),
        ("/graphql", {"query": REFRESH, "variables": {"input": {"refreshToken": "x"}}}),
    ):
        answer = await remote.post(path, json=body)
        text = answer.text + str(answer.headers)
        for inner in ("hunter2", "Traceback", "RuntimeError", ".py", "uvicorn", "starlette", "strawberry", "fastapi"):
            assert inner not in text.lower() + text, inner
