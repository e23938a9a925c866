"""The refresh token in a cookie: where it is and is not, and that no other site can make a browser spend it."""

from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from tests.support.clocks import FakeClock
from tests.support.doors import LOGIN, PASSWORD, REFRESH, Api

NAME = "__Host-kindred-refresh"
OURS = "https://kindred.test"
APP = "https://app.kindred.test"
OTHER_APP = "https://shop.kindred.test"
MEANT = {"kindred-delivery": "cookie", "origin": OURS}
LOGOUT = "mutation { revokeSession { __typename ... on RevokeSessionSuccess { session { id } } } }"
REVOKE_ALL = "mutation { revokeAllSessions { revokedCount } }"
DOORS = ["graphql", "rest"]

pytestmark = [
    pytest.mark.usefixtures("alice"),
    pytest.mark.parametrize(
        "more_settings", [{"environment": "production", "allowed_origins": f"{APP},{OTHER_APP}"}], ids=[""]
    ),
]


def cookie_of(response: Response) -> Morsel[str]:
    """The one cookie that an answer sets."""
    jar: SimpleCookie = SimpleCookie(response.headers["set-cookie"])
    (morsel,) = jar.values()
    return morsel


async def sign_in(http: AsyncClient, headers: dict[str, str] = MEANT) -> Response:
    given = {"username": "alice", "password": PASSWORD, "delivery": "COOKIE"}
    return await http.post("/graphql", json={"query": LOGIN, "variables": {"input": given}}, headers=headers)


async def refresh(http: AsyncClient, door: str, token: str | None, headers: dict[str, str] = MEANT) -> Response:
    """A refresh by the cookie, through either door."""
    return await send_cookies(http, door, {} if token is None else {NAME: token}, headers)


async def send_cookies(http: AsyncClient, door: str, cookies: dict[str, str], headers: dict[str, str]) -> Response:
    """A refresh with all that a browser's jar has."""
    jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
    sent = headers | ({"cookie": jar} if jar else {})
    if door == "rest":
        return await http.post("/auth/token/refresh", json={}, headers=sent)
    return await http.post("/graphql", json={"query": REFRESH, "variables": {"input": {}}}, headers=sent)


def outcome(response: Response) -> str:
    body = response.json()
    if "data" in body:
        return str(body["data"]["refreshToken"]["__typename"])
    return str(body.get("detail") or body.get("token_type"))


@pytest.mark.parametrize("door", DOORS)
async def test_web_01_the_token_is_in_the_cookie_and_nowhere_else(http: AsyncClient, door: str) -> None:
    signed_in = await sign_in(http)
    refreshed = await refresh(http, door, cookie_of(signed_in).value)
    assert refreshed.status_code == 200
    for answer in (signed_in, refreshed):
        cookie = cookie_of(answer)
        assert cookie.key == NAME
        assert (cookie["path"], cookie["secure"], cookie["httponly"]) == ("/", True, True)
        assert (cookie["samesite"].lower(), cookie["domain"]) == ("strict", "")
        assert int(cookie["max-age"]) == timedelta(days=30).total_seconds()
        assert cookie.value.count(".") == 2
        assert cookie.value.rpartition(".")[2] not in answer.text
        assert answer.headers["cache-control"] == "no-store"
    assert signed_in.json()["data"]["login"]["tokens"]["refreshToken"] == ""
    if door == "rest":
        assert list(refreshed.json()) == ["access_token", "token_type", "expires_in"]
    assert cookie_of(refreshed).value != cookie_of(signed_in).value


async def test_web_01_who_asks_for_no_cookie_gets_none(http: AsyncClient, api: Api) -> None:
    pair = await api.login()
    answer = await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh}, headers=MEANT)
    assert "set-cookie" not in answer.headers
    assert answer.json()["refresh_token"]


CROSS_SITE: dict[str, dict[str, str]] = {
    "no header": {"origin": OURS},
    "another header": {"kindred-delivery": "body", "origin": OURS},
    "no origin": {"kindred-delivery": "cookie"},
    "origin null": {"kindred-delivery": "cookie", "origin": "null"},
    "another site": {"kindred-delivery": "cookie", "origin": "https://evil.example"},
    "a sibling": {"kindred-delivery": "cookie", "origin": "https://blog.kindred.test"},
    "a longer name": {"kindred-delivery": "cookie", "origin": "https://kindred.test.evil.example"},
    "another port": {"kindred-delivery": "cookie", "origin": "https://kindred.test:8443"},
    "an empty origin": {"kindred-delivery": "cookie", "origin": ""},
}


@pytest.mark.parametrize("door", DOORS)
async def test_web_02_a_request_that_no_page_of_ours_meant_rotates_nothing(http: AsyncClient, door: str) -> None:
    token = cookie_of(await sign_in(http)).value
    for name, headers in CROSS_SITE.items():
        refused = await refresh(http, door, token, headers)
        assert refused.status_code == 403, name
        assert "set-cookie" not in refused.headers
        if door == "graphql":
            assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    # Nothing was spent: the token works, as the session's first.
    assert outcome(await refresh(http, door, token)) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE)
async def test_web_02_no_other_site_signs_its_visitors_in_or_out(http: AsyncClient, headers: dict[str, str]) -> None:
    refused = await sign_in(http, headers)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    token = cookie_of(await sign_in(http)).value
    refused = await http.post("/graphql", json={"query": LOGOUT}, headers=headers | {"cookie": f"{NAME}={token}"})
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    assert outcome(await refresh(http, "rest", token)) == "bearer"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_web_02_a_form_cannot_ask(http: AsyncClient, content_type: str) -> None:
    token = cookie_of(await sign_in(http)).value
    headers = {"origin": "https://evil.example", "cookie": f"{NAME}={token}", "content-type": content_type}
    for path in ("/graphql", "/auth/token/refresh"):
        assert (await http.post(path, content=b"{}", headers=headers)).status_code in (403, 415, 422)
    assert outcome(await refresh(http, "rest", token)) == "bearer"


@pytest.mark.parametrize("door", DOORS)
async def test_front_ends_on_other_origins_have_cookies_and_sessions_of_their_own(http: AsyncClient, door: str) -> None:
    """With one cookie for two that know nothing of each other, they would refresh under two names: a replay."""
    origins = [OURS, APP, OTHER_APP]
    cookies = [cookie_of(await sign_in(http, MEANT | {"origin": origin})) for origin in origins]
    names = [cookie.key for cookie in cookies]
    assert (names[0], len(set(names)), {name.startswith(NAME) for name in names}) == (NAME, 3, {True})
    jar = {cookie.key: cookie.value for cookie in cookies}
    for name, origin in zip(names, origins, strict=True):
        answer = await send_cookies(http, door, jar, MEANT | {"origin": origin})
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")
        assert cookie_of(answer).key == name
        if origin != OURS:
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["access-control-allow-credentials"] == "true"
    # Nor does one of them spend, or sign out, what is another's.
    stale = await send_cookies(http, door, {names[0]: jar[names[0]]}, MEANT | {"origin": APP})
    assert outcome(stale) in ("InvalidRefreshTokenError", "Invalid token")


@pytest.mark.parametrize("door", DOORS)
async def test_a_refusal_for_good_clears_the_cookie(http: AsyncClient, door: str) -> None:
    token = cookie_of(await sign_in(http)).value
    await refresh(http, door, token)
    for expected in (("RefreshTokenReplayedError", "Token reused"), ("SessionRevokedError", "Token revoked")):
        answer = await refresh(http, door, token)
        assert outcome(answer) in expected
        assert (cookie_of(answer).value, cookie_of(answer)["max-age"]) == ("", "0")


@pytest.mark.parametrize("door", DOORS)
async def test_without_a_cookie_there_is_no_session_and_without_anything_it_is_the_request_that_is_wrong(
    http: AsyncClient, door: str
) -> None:
    assert outcome(await refresh(http, door, None)) in ("InvalidRefreshTokenError", "Invalid token")
    answer = await refresh(http, door, None, {})
    if door == "rest":
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "missing")
    else:
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_sess_12_signing_out_ends_the_session_and_clears_the_cookie(http: AsyncClient) -> None:
    signed_in = await sign_in(http)
    token = cookie_of(signed_in).value
    answer = await http.post("/graphql", json={"query": LOGOUT}, headers=MEANT | {"cookie": f"{NAME}={token}"})
    assert answer.json()["data"]["revokeSession"]["__typename"] == "RevokeSessionSuccess"
    cleared, was = cookie_of(answer), cookie_of(signed_in)
    assert (cleared.value, cleared["max-age"]) == ("", "0")
    for attribute in ("path", "secure", "httponly", "samesite", "domain"):
        assert cleared[attribute] == was[attribute]
    assert outcome(await refresh(http, "rest", token)) == "Token revoked"


async def test_sess_12_ending_all_sessions_clears_the_cookie_too(http: AsyncClient) -> None:
    bearer = (await sign_in(http)).json()["data"]["login"]["tokens"]["accessToken"]
    headers: dict[str, Any] = MEANT | {"authorization": f"Bearer {bearer}"}
    answer = await http.post("/graphql", json={"query": REVOKE_ALL}, headers=headers)
    assert answer.json()["data"]["revokeAllSessions"]["revokedCount"] == 1
    assert cookie_of(answer).value == ""


async def test_sess_12_ending_the_current_session_by_its_id_clears_the_cookie_and_another_does_not(
    http: AsyncClient, clock: FakeClock
) -> None:
    other = (await sign_in(http)).json()["data"]["login"]
    own = (await sign_in(http)).json()["data"]["login"]
    headers = MEANT | {"authorization": f"Bearer {own['tokens']['accessToken']}"}
    for session, clears in ((other, False), (own, True)):
        query = f'mutation {{ revokeSession(input: {{id: "{session["session"]["id"]}"}}) {{ __typename }} }}'
        answer = await http.post("/graphql", json={"query": query}, headers=headers)
        assert answer.json()["data"]["revokeSession"]["__typename"] == "RevokeSessionSuccess"
        assert ("set-cookie" in answer.headers) is clears
