"""A canary value in every input must not appear in any log, response or table."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import text

from auth.services import Services
from auth.use_cases.accounts import Accounts
from auth.use_cases.rotation import Rotation
from db.drivers.errors import RolledBack
from db.hot_path import rotation_batches
from db.tables import families
from db.tables.base import metadata
from db.tables.users import UserRow
from tests.support.endpoints import LOGIN, REFRESH, REVOKE, Api, Pair
from tests.support.loglines import CapturedLog, logging_to
from tests.support.servers import SECRET, environment, serving
from tests.support.sql import looking_at

CANARY = "canary7Kq2Zx"
# Columns for texts that the user chooses and sees again.
USER_TEXT_COLUMNS = {
    ("token_families", "device_name"),
    ("token_families", "user_agent"),
    ("refresh_tokens", "user_agent"),
    ("security_events", "user_agent"),
}
# Retries end after this timeout.
SHORT_TIMEOUT: dict[str, Any] = {"database_timeout": 0.5}
LONG = f"{CANARY}-{'x' * 40}"
HEADERS = {
    "cookie": f"session={CANARY}",
    "referer": f"https://{CANARY}.example/",
    "origin": f"https://{CANARY}.example",
    "x-forwarded-for": CANARY,
    "forwarded": f"for={CANARY}",
    "x-api-key": CANARY,
    "x-request-id": f"{CANARY} {CANARY}",
    "accept-language": CANARY,
}
CHANGE = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }"
RENAME = "mutation ($input: RenameSessionInput!) { renameSession(input: $input) { __typename } }"
Send = Callable[[AsyncClient], Awaitable[Response]]


def graphql(query: str, variables: Any = None, **more: Any) -> Send:
    return lambda http: http.post("/graphql", json={"query": query, "variables": variables, **more}, headers=HEADERS)


def raw_request(path: str, body: str, content_type: str = "application/json", method: str = "POST") -> Send:
    headers = {**HEADERS, "content-type": content_type}
    return lambda http: http.request(method, path, content=body, headers=headers)


def with_bearer(value: str, query: str = "{ sessions { edges { cursor } } }") -> Send:
    headers = {**HEADERS, "authorization": value}
    return lambda http: http.post("/graphql", json={"query": query}, headers=headers)


def rest_refresh(body: Any, **headers: str) -> Send:
    return lambda http: http.post("/auth/token/refresh", json=body, headers={**HEADERS, **headers})


REQUESTS: list[Send] = [
    # Inline literals and variables, valid and invalid.
    graphql(f'mutation {{ login(input: {{username: "{CANARY}", password: "{CANARY}"}}) {{ __typename }} }}'),
    graphql(f'mutation {{ login(input: {{username: "{CANARY}", password: 7, deviceName: "{CANARY}"}}) {{ a }} }}'),
    graphql(f'mutation {{ login(input: "{CANARY}") {{ __typename }} }}'),
    graphql(f'mutation {{ refreshToken(input: {{refreshToken: "{CANARY}"}}) {{ __typename }} }}'),
    graphql(LOGIN, {"input": {"username": CANARY, "password": CANARY, "deviceName": CANARY}}),
    graphql(LOGIN, {"input": {"username": "alice", "password": CANARY}}),
    graphql(LOGIN, {"input": {"username": [CANARY], "password": {"x": CANARY}}}),
    graphql(LOGIN, {"input": {"username": CANARY, "pasword": CANARY}}),
    graphql(LOGIN, {"input": {"username": CANARY, "password": CANARY, "deviceName": f"\u202e{CANARY}"}}),
    graphql(LOGIN, {"input": CANARY}),
    graphql(LOGIN, {"other": CANARY}, operationName="Login", extensions={"x": CANARY}),
    graphql(REFRESH, {"input": {"refreshToken": CANARY, "idempotencyKey": CANARY}}),
    graphql(REFRESH, {"input": {"refreshToken": LONG, "idempotencyKey": LONG}}),
    graphql(REVOKE, {"input": {"refreshToken": CANARY}}),
    graphql(REVOKE, {"input": {"refreshToken": CANARY, "id": CANARY}}),
    graphql(f'{{ session(id: "{CANARY}") {{ id }} sessions(after: "{CANARY}") {{ edges {{ cursor }} }} }}'),
    graphql(f'{{ "{CANARY}" }}'),
    graphql(f'mutation {{ login(input: {{password: "{CANARY}'),
    graphql("{ viewer { id } }", CANARY),
    graphql("{ viewer { id } }", None, operationName={"x": CANARY}),
    # Bodies, paths, queries and methods.
    raw_request("/graphql", f'{{"query": "{CANARY}'),
    raw_request("/graphql", f'["{CANARY}"]'),
    raw_request("/graphql", f"query={CANARY}", "application/x-www-form-urlencoded"),
    raw_request("/graphql", CANARY, f"application/{CANARY}"),
    raw_request(f"/graphql?token={CANARY}", "", method="GET"),
    raw_request(f"/{CANARY}?password={CANARY}", CANARY),
    raw_request(f"/auth/token/refresh?refresh_token={CANARY}", CANARY, method="PUT"),
    raw_request("/auth/token/refresh", f'{{"refresh_token": "{CANARY}'),
    raw_request(f"/healthz?{CANARY}", "", method="GET"),
    rest_refresh({"refresh_token": CANARY}),
    rest_refresh({"refresh_token": [CANARY], CANARY: CANARY}),
    rest_refresh({"refresh_token": LONG}, **{"idempotency-key": CANARY}),
    rest_refresh({"refresh_token": LONG}, **{"idempotency-key": LONG}),
    # Credentials.
    with_bearer(f"Bearer {CANARY}"),
    with_bearer(f"Basic {CANARY}"),
    with_bearer(f"{CANARY} {CANARY}"),
    with_bearer(f"Bearer {CANARY}.{CANARY}.{CANARY}"),
]


def with_session(pair: Pair) -> list[Send]:
    """Requests of a signed-in user."""

    def post(query: str, values: Any) -> Send:
        headers = {**HEADERS, "authorization": f"Bearer {pair.access}"}
        body = {"query": query, "variables": {"input": values}}
        return lambda http: http.post("/graphql", json=body, headers=headers)

    return [
        post(CHANGE, {"currentPassword": CANARY, "newPassword": CANARY}),
        post(RENAME, {"id": CANARY, "deviceName": CANARY}),
        post(RENAME, {"id": pair.session_id, "deviceName": f"\u202e{CANARY}"}),
        post(RENAME, {"id": pair.session_id, "deviceName": CANARY}),
        post(REVOKE, {"id": CANARY}),
    ]


async def send_all(http: AsyncClient, requests: list[Send]) -> list[Response]:
    return [await send(http) for send in requests]


def assert_absent(where: str, texts: list[str], *more: str) -> None:
    for captured in texts:
        assert not any(value in captured for value in (CANARY, SECRET, *more)), (where, captured)


@pytest.fixture
def log(app: FastAPI) -> Iterator[CapturedLog]:
    """The captured log."""
    with logging_to(CapturedLog()) as lines:
        yield lines


def raising(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        # As a driver does: the error and its cause have the values in their texts.
        raise error from ValueError(f"postgresql://kindred:{CANARY}@db/kindred DETAIL: Key (x)=({CANARY})")

    return fail


@pytest.mark.parametrize(
    "more_settings", [SHORT_TIMEOUT | {"environment": "production", "metrics": True}, SHORT_TIMEOUT]
)
async def test_log_01_log_02_no_input_reaches_a_log_a_response_or_a_table(
    app: FastAPI, api: Api, services: Services, alice: UserRow, log: CapturedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, second = await api.login(), await api.login()
    requests = [*REQUESTS, *with_session(pair)]
    later = [
        graphql(REFRESH, {"input": {"refreshToken": pair.refresh}}),
        rest_refresh({"refresh_token": second.refresh}),
    ]
    answers: list[Response] = []
    async with AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as http:
        answers += await send_all(http, requests)
        for error in (RuntimeError(f"postgresql://kindred:{CANARY}@db/kindred"), RolledBack(), OSError(5, CANARY)):
            with monkeypatch.context() as patched:
                patched.setattr(rotation_batches, "rotate", raising(error))
                patched.setattr(families, "get", raising(error))
                patched.setattr(Accounts, "get", raising(error))
                if not isinstance(error, OSError):
                    patched.setattr(Rotation, "refresh", raising(error))
                answers += await send_all(http, [*requests[:8], *with_session(pair), *later])
        answers.append(await http.get("/metrics"))
    statuses = {answer.status_code for answer in answers}
    assert {200, 401, 404, 405, 415, 422, 500, 503} <= statuses
    tokens = (pair.refresh, pair.access, second.refresh)
    assert_absent("log", log.texts, *tokens)
    contents = [answer.text + repr(sorted(answer.headers.items())) for answer in answers]
    # A user sees the names of their sessions. In development, errors describe the document.
    assert_absent("answer", contents, *tokens)
    assert len(log.requests) == len(answers) + 2  # the sign-ins
    async with looking_at(services.db) as conn:
        for table in metadata.sorted_tables:
            for row in await conn.execute(text(f"SELECT * FROM {table.name}")):
                for column, value in row._mapping.items():
                    if (table.name, column) not in USER_TEXT_COLUMNS:
                        assert_absent(f"{table.name}.{column}", [str(value)], *tokens)


@pytest.mark.parametrize("kind", ["production", "development"])
async def test_log_01_log_02_a_server_logs_no_input(database_url: str, tmp_path: Path, kind: str) -> None:
    async with serving(
        database_url, tmp_path, KINDRED_ENVIRONMENT=kind, KINDRED_LOG_LEVEL="debug", KINDRED_METRICS="on"
    ) as server:
        async with AsyncClient(base_url=server.url) as http:
            answers = await send_all(http, REQUESTS)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(f"{CANARY} /{CANARY} HTTP/9\r\n{CANARY}: {CANARY}\r\n\r\n".encode())
        await writer.drain()
        malformed = (await reader.read(2000)).decode()
        writer.close()
        lines = server.log.read_text().splitlines()
    assert_absent("answer", [malformed, *(answer.text for answer in answers)])
    assert_absent("log", lines)
    requests = [line for line in lines if "outcome" in line]
    assert len(requests) >= len(REQUESTS)
    if kind == "production":
        assert [json.loads(line)["event"] for line in requests] == ["request"] * len(requests)


@pytest.mark.parametrize(
    ("command", "stdin", "settings"),
    [
        ("user add carol", f"{CANARY}\n", {}),
        ("user add carol", f"{CANARY}\ud800\n", {}),
        ("user set-password alice", f"{CANARY}\n", {}),
        ("check", "", {"KINDRED_SECRET": CANARY}),
        ("check", "", {"KINDRED_SECRET": f"{CANARY}{CANARY}{CANARY}"}),
        ("check", "", {"KINDRED_DATABASE_URL": f"postgresql://kindred:{CANARY}@127.0.0.1:1/kindred"}),
        ("check", "", {"KINDRED_DATABASE_URL": f"mysql://kindred:{CANARY}@127.0.0.1:1/kindred"}),
        ("serve", "", {"KINDRED_DATABASE_URL": f"postgresql://kindred:{CANARY}@127.0.0.1:1/kindred"}),
        ("check", "", {"KINDRED_LOG_LEVEL": CANARY}),
    ],
)
def test_log_01_the_command_line_repeats_no_secret(
    sqlite_url: str, tmp_path: Path, command: str, stdin: str, settings: dict[str, str]
) -> None:
    variables = environment(sqlite_url, KINDRED_DATABASE_TIMEOUT="1") | settings
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("kindred")), *command.split()],
        cwd=tmp_path,
        env=variables,
        input=stdin.encode("utf-8", "surrogatepass"),
        capture_output=True,
        timeout=60,
    )
    assert_absent(command, [ran.stdout.decode(), ran.stderr.decode()])
    assert ran.stderr or ran.stdout


async def test_log_01_a_worker_that_waits_for_its_database_logs_no_password(tmp_path: Path) -> None:
    async with serving(f"postgresql://kindred:{CANARY}@127.0.0.1:1/kindred", tmp_path) as server:
        await server.until("did not answer")
        assert_absent("log", [server.log.read_text()])
