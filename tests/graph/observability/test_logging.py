"""The log: one line for each request, and each security event once, with its OWASP name."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from auth.use_cases.accounts import Accounts
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import INVALID, LOGIN, PASSWORD, REPLAYED, REVOKE, REVOKED, Api, RefreshEndpoint
from tests.support.loglines import CapturedLog, logging_to

pytestmark = pytest.mark.usefixtures("alice")
KEY = "an-attempt-that-is-made-twice"


@pytest.fixture
def log(api: Api) -> Iterator[CapturedLog]:
    """The captured log in the format of production."""
    with logging_to(CapturedLog()) as lines:
        yield lines


def events(log: CapturedLog) -> list[str]:
    return [name for line in log.requests for name in line.get("security_events", ())]


def is_whole(line: dict[str, Any]) -> bool:
    """Whether an event has every field of LOG-03."""
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    return bool(line["request_id"] and line["client_ip"] == "127.0.0.1" and "httpx2" in line["user_agent"])


async def test_log_03_a_sign_in_logs_a_success_and_a_created_token(api: Api, log: CapturedLog, alice: UserRow) -> None:
    pair = await api.login()
    assert events(log) == ["authn_login_success", "authn_token_created"]
    line = log.last()
    assert is_whole(line)
    assert (line["user_id"], line["session_id"]) == (str(alice.id), pair.session_id)
    assert (line["level"], line["operation"], line["outcome"], line["status"]) == ("info", "login", "signed_in", 200)


async def test_log_03_wrong_passwords_are_logged_and_the_one_that_starts_throttling_says_so(
    api: Api, log: CapturedLog
) -> None:
    for _ in range(4):
        await api.try_login("alice", "wrong")
    assert events(log) == ["authn_login_fail"] * 4
    await api.try_login("alice", "wrong")
    assert events(log)[4:] == ["authn_login_fail", "authn_login_fail_max"]
    await api.try_login("alice", PASSWORD)
    assert events(log)[6:] == ["excess_rate_limit_exceeded"]
    assert all(is_whole(line) and line["level"] == "warning" for line in log.requests)
    assert "alice" not in log.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_log_03_the_hundredth_wrong_password_logs_a_lock(api: Api, log: CapturedLog, clock: FakeClock) -> None:
    for _ in range(100):
        clock.advance(timedelta(minutes=16))
        await api.try_login("alice", "wrong")
    assert events(log).count("authn_login_lock") == 1
    assert log.last()["security_events"] == ["authn_login_fail", "authn_login_lock"]


async def test_log_03_the_log_distinguishes_rotated_repeated_and_replayed(
    api: Api, endpoint: RefreshEndpoint, log: CapturedLog, alice: UserRow
) -> None:
    pair = await api.login()
    log.texts.clear()
    first = (await endpoint.refresh(pair.refresh, KEY)).tokens
    assert (await endpoint.refresh(pair.refresh, KEY)).tokens.refresh == first.refresh
    assert (await endpoint.refresh(pair.refresh, "another-attempt-altogether")).outcome == REPLAYED
    assert (await endpoint.refresh(first.refresh)).outcome == REVOKED
    assert (await endpoint.refresh("nonsense")).outcome == INVALID
    assert [(line["operation"], line["outcome"]) for line in log.requests] == [
        ("refreshToken", outcome) for outcome in ("rotated", "repeated", "replayed", "revoked", "invalid")
    ]
    assert events(log) == ["authn_token_created", "authn_token_reuse", "session_use_after_expire", "authz_fail"]
    for line in log.requests[:4]:
        assert (line["user_id"], line["session_id"]) == (str(alice.id), pair.session_id)
    assert is_whole(log.requests[2])
    assert log.requests[2]["level"] == "warning"
    assert not any(token in log.text for token in (pair.refresh, first.refresh, first.access, KEY))


async def test_log_03_a_revocation_is_logged_once(api: Api, log: CapturedLog, clock: FakeClock) -> None:
    pair = await api.login()
    log.texts.clear()
    for _ in range(2):
        await api.data(REVOKE, {"input": {"refreshToken": pair.refresh}})
        clock.advance(timedelta(seconds=1))
    assert events(log) == ["authn_token_revoked"]
    assert (log.requests[0]["session_id"], is_whole(log.requests[0])) == (pair.session_id, True)
    again = await api.login()
    log.texts.clear()
    await api.data("mutation { revokeAllSessions { revokedCount } }", bearer=again.access)
    assert events(log) == ["authn_token_revoked"]


async def test_log_03_a_password_change_and_a_failed_one_are_logged(api: Api, log: CapturedLog) -> None:
    pair = await api.login()
    log.texts.clear()
    change = """mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }"""
    for current in ("wrong", PASSWORD):
        values = {"currentPassword": current, "newPassword": "cobalt 17 fiddles under rain"}
        await api.data(change, {"input": values}, pair.access)
    assert events(log) == ["authn_password_change_fail", "authn_password_change"]
    assert all(is_whole(line) and line["session_id"] == pair.session_id for line in log.requests)


async def test_log_03_a_request_without_a_valid_token_logs_authz_fail(api: Api, log: CapturedLog) -> None:
    await api.post("{ sessions { edges { cursor } } }", bearer="nonsense")
    assert events(log) == ["authz_fail"]
    assert (log.last()["status"], log.last()["operation"], is_whole(log.last())) == (401, "sessions", True)


NASTY = 'evil"\r\nFAKE level=info \x1b[31m\x9b31m <script> {"event":"request"}'


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("more_settings", [{"trusted_proxies": "127.0.0.1"}])
async def test_log_05_sess_11_client_input_cannot_start_a_line_or_control_a_terminal(
    api: Api, http: AsyncClient, as_json: bool
) -> None:
    # Raw bytes, because a client library would refuse the text. A server passes on every byte between two CRLF.
    raw = NASTY.replace("\r\n", "\x0b\x0c").encode("latin-1")
    headers = [(b"user-agent", raw * 200), (b"x-forwarded-for", raw), (b"x-request-id", raw), (b"x-forwarded-for", raw)]
    with logging_to(CapturedLog(as_json=as_json)) as log:
        for name in (NASTY, "alice"):
            body = json.dumps({"query": LOGIN, "variables": {"input": {"username": name, "password": "wrong"}}})
            answer = await http.post(
                "/graphql", content=body, headers=[*headers, (b"content-type", b"application/json")]
            )
            assert "evil" not in answer.headers["x-request-id"]
        logging.getLogger("some.library").warning("it said %s", NASTY)
    lines = [line for line in log.texts if "outcome" in line or "it said" in line]
    assert len(lines) == 3
    for line in lines:
        assert line.isprintable()
        assert len(line) < 4000
        assert "\n" not in line
    if as_json:
        assert all(json.loads(line)["event"] in ("request", json.loads(lines[2])["event"]) for line in lines)
        assert {json.loads(line)["client_ip"] for line in lines[:2]} == {None}


async def test_a_proxy_may_choose_a_well_formed_request_id(http: AsyncClient, log: CapturedLog) -> None:
    for request_id, is_accepted in (
        ("proxy-1.2_3", True),
        ("short", False),
        ("x" * 65, False),
        ("no spaces please", False),
    ):
        answer = await http.get("/healthz", headers={"x-request-id": request_id})
        assert (answer.headers["x-request-id"] == request_id) == is_accepted
        assert log.last()["request_id"] == answer.headers["x-request-id"]
    assert len(log.requests) == 4


async def test_the_log_has_field_names_of_the_schema_and_none_of_the_client(api: Api, log: CapturedLog) -> None:
    await api.post("query Canary { canary: viewer { id } ...F } fragment F on Query { sessions { edges { cursor } } }")
    await api.post("query Canary { canary }")
    assert [line["operation"] for line in log.requests] == ["viewer,sessions", ""]
    assert "anary" not in "".join(text for text in log.texts if '"request"' in text)


async def test_an_internal_error_is_logged_with_its_traceback_without_its_message(
    api: Api, log: CapturedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("postgresql://kindred:hunter2@db/kindred")

    pair = await api.login()
    monkeypatch.setattr(Accounts, "get", fail)
    (error,) = (await api.post("{ viewer { id } }", bearer=pair.access)).json()["errors"]
    (line,) = [json.loads(text) for text in log.texts if error["extensions"]["id"] in text]
    assert line["exception"].endswith("builtins.RuntimeError")
    assert "in fail" in line["exception"]
    assert "hunter2" not in log.text
    assert (log.last()["level"], log.last()["outcome"]) == ("error", "failed")


@pytest.mark.parametrize("path", ["/graphql", "/auth/token/refresh", "/account", "/healthz", "/.well-known/jwks.json"])
async def test_a_log_line_names_the_path_of_a_known_route(http: AsyncClient, log: CapturedLog, path: str) -> None:
    await http.get(path)
    assert log.last()["path"] == path


async def test_a_log_line_does_not_repeat_an_unknown_path(http: AsyncClient, log: CapturedLog) -> None:
    await http.get("/a-token-by-mistake")
    assert log.last()["path"] == "unknown"


@pytest.mark.parametrize("as_json", [True, False])
async def test_log_01_a_lost_exception_of_a_task_is_logged_without_its_message(as_json: bool) -> None:
    """asyncio logs the repr of the task, which has the repr of the exception."""

    async def fail() -> None:
        raise RuntimeError("postgresql://kindred:hunter2@db/kindred")

    with logging_to(CapturedLog(as_json=as_json)) as log:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        del task
        gc.collect()
    (entry,) = [text for text in log.texts if "Task exception was never retrieved" in text]
    assert "builtins.RuntimeError" in entry
    assert "in fail" in entry
    assert "hunter2" not in entry
