"""The refresh cookie: where it is and is not, and that no other site can make a browser use it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import jwt
import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from auth.config.settings import Settings
from db.tables.users import UserRow
from graph.app import create_app
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, PASSWORD, REFRESH, Api

NAME = "__Host-kindred-refresh"
OWN_ORIGIN = "https://kindred.test"
APP = "https://app.kindred.test"
OTHER_APP = "https://shop.kindred.test"
COOKIE_HEADERS = {"kindred-delivery": "cookie", "origin": OWN_ORIGIN}
LOGOUT = "mutation { revokeSession { __typename ... on RevokeSessionSuccess { session { id } } } }"
REVOKE_ALL = "mutation { revokeAllSessions { revokedCount } }"
ENDPOINTS = ["graphql", "rest"]

pytestmark = [
    pytest.mark.usefixtures("alice"),
    pytest.mark.parametrize(
        "more_settings", [{"environment": "production", "allowed_origins": f"{APP},{OTHER_APP}"}], ids=[""]
    ),
]


def cookie_of(response: Response) -> Morsel[str]:
    """The one cookie that a response sets."""
    jar: SimpleCookie = SimpleCookie(response.headers["set-cookie"])
    (morsel,) = jar.values()
    return morsel


async def sign_in(http: AsyncClient, headers: dict[str, str] = COOKIE_HEADERS) -> Response:
    login = {"username": "alice", "password": PASSWORD, "delivery": "COOKIE"}
    return await http.post("/graphql", json={"query": LOGIN, "variables": {"input": login}}, headers=headers)


async def refresh(
    http: AsyncClient, endpoint: str, token: str | None, headers: dict[str, str] = COOKIE_HEADERS
) -> Response:
    """A refresh by the cookie, at either endpoint."""
    return await send_cookies(http, endpoint, {} if token is None else {NAME: token}, headers)


async def send_cookies(http: AsyncClient, endpoint: str, cookies: dict[str, str], headers: dict[str, str]) -> Response:
    """A refresh with several cookies."""
    jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
    sent = headers | ({"cookie": jar} if jar else {})
    if endpoint == "rest":
        return await http.post("/auth/token/refresh", json={}, headers=sent)
    return await http.post("/graphql", json={"query": REFRESH, "variables": {"input": {}}}, headers=sent)


def outcome(response: Response) -> str:
    body = response.json()
    if "data" in body:
        return str(body["data"]["refreshToken"]["__typename"])
    return str(body.get("detail") or body.get("token_type"))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_web_01_the_refresh_token_is_in_the_cookie_only(http: AsyncClient, endpoint: str) -> None:
    signed_in = await sign_in(http)
    refreshed = await refresh(http, endpoint, cookie_of(signed_in).value)
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
    if endpoint == "rest":
        assert list(refreshed.json()) == ["access_token", "token_type", "expires_in"]
    assert cookie_of(refreshed).value != cookie_of(signed_in).value


async def test_web_01_a_refresh_by_the_body_sets_no_cookie(http: AsyncClient, api: Api) -> None:
    pair = await api.login()
    answer = await http.post("/auth/token/refresh", json={"refresh_token": pair.refresh}, headers=COOKIE_HEADERS)
    assert "set-cookie" not in answer.headers
    assert answer.json()["refresh_token"]


CROSS_SITE: dict[str, dict[str, str]] = {
    "no header": {"origin": OWN_ORIGIN},
    "another header": {"kindred-delivery": "body", "origin": OWN_ORIGIN},
    "no origin": {"kindred-delivery": "cookie"},
    "origin null": {"kindred-delivery": "cookie", "origin": "null"},
    "another site": {"kindred-delivery": "cookie", "origin": "https://evil.example"},
    "a sibling": {"kindred-delivery": "cookie", "origin": "https://blog.kindred.test"},
    "a longer name": {"kindred-delivery": "cookie", "origin": "https://kindred.test.evil.example"},
    "another port": {"kindred-delivery": "cookie", "origin": "https://kindred.test:8443"},
    "an empty origin": {"kindred-delivery": "cookie", "origin": ""},
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_web_02_a_cross_site_request_does_not_rotate_the_token(http: AsyncClient, endpoint: str) -> None:
    token = cookie_of(await sign_in(http)).value
    for name, headers in CROSS_SITE.items():
        refused = await refresh(http, endpoint, token, headers)
        assert refused.status_code == 403, name
        assert "set-cookie" not in refused.headers
        if endpoint == "graphql":
            assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    # The token was not rotated: it still works.
    assert outcome(await refresh(http, endpoint, token)) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE)
async def test_web_02_another_site_cannot_sign_its_visitors_in_or_out(
    http: AsyncClient, headers: dict[str, str]
) -> None:
    refused = await sign_in(http, headers)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    token = cookie_of(await sign_in(http)).value
    refused = await http.post("/graphql", json={"query": LOGOUT}, headers=headers | {"cookie": f"{NAME}={token}"})
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    assert outcome(await refresh(http, "rest", token)) == "bearer"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_web_02_a_form_cannot_refresh(http: AsyncClient, content_type: str) -> None:
    token = cookie_of(await sign_in(http)).value
    headers = {"origin": "https://evil.example", "cookie": f"{NAME}={token}", "content-type": content_type}
    for path in ("/graphql", "/auth/token/refresh"):
        assert (await http.post(path, content=b"{}", headers=headers)).status_code in (403, 415, 422)
    assert outcome(await refresh(http, "rest", token)) == "bearer"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_front_ends_on_other_origins_have_their_own_cookies_and_sessions(
    http: AsyncClient, endpoint: str
) -> None:
    """Two front ends that shared one cookie would refresh it without each other's knowledge: a replay."""
    origins = [OWN_ORIGIN, APP, OTHER_APP]
    cookies = [cookie_of(await sign_in(http, COOKIE_HEADERS | {"origin": origin})) for origin in origins]
    names = [cookie.key for cookie in cookies]
    assert (names[0], len(set(names)), {name.startswith(NAME) for name in names}) == (NAME, 3, {True})
    jar = {cookie.key: cookie.value for cookie in cookies}
    for name, origin in zip(names, origins, strict=True):
        answer = await send_cookies(http, endpoint, jar, COOKIE_HEADERS | {"origin": origin})
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")
        assert cookie_of(answer).key == name
        if origin != OWN_ORIGIN:
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["access-control-allow-credentials"] == "true"
    # A front end neither uses nor clears the cookie of another one.
    stale = await send_cookies(http, endpoint, {names[0]: jar[names[0]]}, COOKIE_HEADERS | {"origin": APP})
    assert outcome(stale) in ("InvalidRefreshTokenError", "Invalid token")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_permanent_refusal_clears_the_cookie(http: AsyncClient, endpoint: str) -> None:
    token = cookie_of(await sign_in(http)).value
    await refresh(http, endpoint, token)
    for expected in (("RefreshTokenReplayedError", "Token reused"), ("SessionRevokedError", "Token revoked")):
        answer = await refresh(http, endpoint, token)
        assert outcome(answer) in expected
        assert (cookie_of(answer).value, cookie_of(answer)["max-age"]) == ("", "0")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_request_with_the_header_only_has_an_invalid_token_and_one_without_it_is_bad_input(
    http: AsyncClient, endpoint: str
) -> None:
    assert outcome(await refresh(http, endpoint, None)) in ("InvalidRefreshTokenError", "Invalid token")
    answer = await refresh(http, endpoint, None, {})
    if endpoint == "rest":
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "missing")
    else:
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_sess_12_signing_out_revokes_the_session_and_clears_the_cookie(http: AsyncClient) -> None:
    signed_in = await sign_in(http)
    token = cookie_of(signed_in).value
    answer = await http.post("/graphql", json={"query": LOGOUT}, headers=COOKIE_HEADERS | {"cookie": f"{NAME}={token}"})
    assert answer.json()["data"]["revokeSession"]["__typename"] == "RevokeSessionSuccess"
    cleared, was = cookie_of(answer), cookie_of(signed_in)
    assert (cleared.value, cleared["max-age"]) == ("", "0")
    for attribute in ("path", "secure", "httponly", "samesite", "domain"):
        assert cleared[attribute] == was[attribute]
    assert outcome(await refresh(http, "rest", token)) == "Token revoked"


async def test_sess_12_revoking_all_sessions_clears_the_cookie(http: AsyncClient) -> None:
    bearer = (await sign_in(http)).json()["data"]["login"]["tokens"]["accessToken"]
    headers: dict[str, Any] = COOKIE_HEADERS | {"authorization": f"Bearer {bearer}"}
    answer = await http.post("/graphql", json={"query": REVOKE_ALL}, headers=headers)
    assert answer.json()["data"]["revokeAllSessions"]["revokedCount"] == 1
    assert cookie_of(answer).value == ""


async def test_sess_12_revoking_the_current_session_by_id_clears_the_cookie_and_another_one_does_not(
    http: AsyncClient, clock: FakeClock
) -> None:
    other = (await sign_in(http)).json()["data"]["login"]
    own = (await sign_in(http)).json()["data"]["login"]
    headers = COOKIE_HEADERS | {"authorization": f"Bearer {own['tokens']['accessToken']}"}
    for session, clears in ((other, False), (own, True)):
        query = f'mutation {{ revokeSession(input: {{id: "{session["session"]["id"]}"}}) {{ __typename }} }}'
        answer = await http.post("/graphql", json={"query": query}, headers=headers)
        assert answer.json()["data"]["revokeSession"]["__typename"] == "RevokeSessionSuccess"
        assert ("set-cookie" in answer.headers) is clears


# Cookies that an attacker plants beside the genuine one: its name with one byte before or after it.
BYTES = [bytes([number]) for number in range(256)]
# Bytes that do not change the name: white space of RFC 6265, and the delimiters of cookies and names.
SAME_NAME = {"before": b" \t;", "after": b" \t="}
REFUSED = (403, False, ("FORBIDDEN", "was sent more than once, so none of them counts."))


async def send_raw(
    http: AsyncClient, endpoint: str, *cookies: bytes, body: dict[str, Any] | None = None, origin: str = OWN_ORIGIN
) -> Response:
    """A refresh with these bytes as `Cookie` headers."""
    path, json = "/auth/token/refresh", body or {}
    if endpoint == "graphql":
        path, json = "/graphql", {"query": REFRESH, "variables": {"input": {}}} | json
    meant = [(b"kindred-delivery", b"cookie"), (b"origin", origin.encode())]
    return await http.post(path, json=json, headers=[*meant, *((b"cookie", cookie) for cookie in cookies)])


def refusal_of(response: Response) -> tuple[int, bool, tuple[str, str]]:
    """The status, whether a cookie is set, and the code and the middle of the message."""
    body = response.json()
    (error,) = body.get("errors") or [{"message": body.get("detail"), "extensions": {"code": "FORBIDDEN"}}]
    message = str(error["message"]).partition("` ")[2].partition(" Delete")[0]
    return response.status_code, "set-cookie" in response.headers, (error["extensions"]["code"], message)


def session_in(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sid"])


def names_beside(name: bytes) -> Iterator[tuple[bytes, bool]]:
    """The name with each byte before and after it, and other spellings; and whether it is still the same name."""
    for byte in BYTES:
        yield byte + name, byte in SAME_NAME["before"]
        yield name + byte, byte in SAME_NAME["after"]
    no_break, em_space = "\u00a0".encode(), "\u2003".encode()
    for other in (name.lower(), name.upper(), b'"%b"' % name, b"a=" + name, no_break + name, em_space + name):
        yield other, False


@pytest.fixture
async def bob_s(http: AsyncClient, bob: UserRow) -> bytes:
    """The refresh token of an attacker's own session."""
    login = {"username": bob.username, "password": PASSWORD, "delivery": "COOKIE"}
    answer = await http.post("/graphql", json={"query": LOGIN, "variables": {"input": login}}, headers=COOKIE_HEADERS)
    return cookie_of(answer).value.encode()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_web_01_a_planted_cookie_beside_the_genuine_one_never_counts(
    http: AsyncClient, clock: FakeClock, bob_s: bytes, endpoint: str
) -> None:
    """The genuine session is refreshed. If both names are the same, neither session changes."""
    token = cookie_of(await sign_in(http)).value
    session, wrong = session_in(token), []
    for planted, is_same in names_beside(NAME.encode()):
        for is_first in (False, True):
            clock.advance(timedelta(seconds=10))  # the rate limit of refreshes
            genuine, pair = f"{NAME}={token}".encode(), planted + b"=" + bob_s
            answer = await send_raw(http, endpoint, b"; ".join((pair, genuine) if is_first else (genuine, pair)))
            if is_same:
                if refusal_of(answer) != REFUSED:
                    wrong.append((planted, answer.text))
                answer = await send_raw(http, endpoint, genuine)
            if "set-cookie" in answer.headers and (fresh := cookie_of(answer).value) and session_in(fresh) == session:
                token = fresh
            else:
                wrong.append((planted, answer.text))
    assert wrong == []
    # The attacker's token was not used either: it still rotates.
    assert outcome(await send_raw(http, endpoint, NAME.encode() + b"=" + bob_s)) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_web_01_a_planted_cookie_alone_is_no_cookie(http: AsyncClient, bob_s: bytes, endpoint: str) -> None:
    """The response clears no cookie: another tab may just have signed in."""
    expected = await send_raw(http, endpoint)
    assert (outcome(expected), "set-cookie" in expected.headers) in (
        ("InvalidRefreshTokenError", False),
        ("Invalid token", False),
    )
    wrong = []
    for planted, is_same in names_beside(NAME.encode()):
        if not is_same:
            answer = await send_raw(http, endpoint, planted + b"=" + bob_s)
            if (answer.json(), "set-cookie" in answer.headers) != (expected.json(), False):
                wrong.append((planted, answer.text))
    assert wrong == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_web_01_the_value_of_the_cookie_is_compared_byte_for_byte(http: AsyncClient, endpoint: str) -> None:
    """White space and delimiters are not part of the value. Quotes are."""
    token = cookie_of(await sign_in(http)).value.encode()
    name = NAME.encode() + b"="
    values = [(byte + token, byte in b" \t") for byte in BYTES] + [(token + byte, byte in b" \t;") for byte in BYTES]
    values += [(b'"%s"' % token, False), (b'"\\145%s"' % token[1:], False), (b"", False)]
    right = ("RefreshTokenSuccess", "bearer")
    for value, is_whole in values:
        if not is_whole:
            answer = await send_raw(http, endpoint, name + value)
            assert outcome(answer) in ("InvalidRefreshTokenError", "Invalid token"), value
            assert cookie_of(answer).value == ""
    for value, is_whole in values:
        if is_whole:
            answer = await send_raw(
                http, endpoint, name + value.replace(token, cookie_of(answer).value.encode() or token)
            )
            assert outcome(answer) in right, value


@pytest.mark.parametrize("origin", [OWN_ORIGIN, APP])
async def test_web_01_a_cookie_that_is_sent_twice_is_refused_and_no_token_is_rotated(
    http: AsyncClient, api: Api, origin: str
) -> None:
    """In any order, in one header or two, and with any second value."""
    signed_in = await sign_in(http, COOKIE_HEADERS | {"origin": origin})
    cookie = cookie_of(signed_in)
    genuine = f"{cookie.key}={cookie.value}".encode()
    own = await api.login()
    for other in (own.refresh.encode(), b"rubbish", b"", cookie.value.encode()):
        planted = cookie.key.encode() + b"=" + other
        for cookies in (
            (genuine + b"; " + planted,),
            (planted + b";" + genuine,),
            (genuine, planted),
            (planted, genuine),
        ):
            for endpoint in ENDPOINTS:
                refused = await send_raw(http, endpoint, *cookies, origin=origin)
                assert refusal_of(refused) == REFUSED
                assert "Delete the cookies of this site" in refused.text
                assert cookie.value.rpartition(".")[2] not in refused.text
            login = {"input": {"username": "alice", "password": PASSWORD, "delivery": "COOKIE"}}
            for body in ({"query": LOGOUT}, {"query": LOGIN, "variables": login}):
                assert refusal_of(await send_raw(http, "graphql", *cookies, body=body, origin=origin)) == REFUSED
    # A request with the token in its body does not use the cookies.
    both = (genuine, cookie.key.encode() + b"=rubbish")
    answer = await send_raw(http, "rest", *both, body={"refresh_token": own.refresh}, origin=origin)
    assert outcome(answer) == "bearer"
    for endpoint, sent in (("rest", cookie.value), ("graphql", None)):
        answer = await send_raw(
            http, endpoint, f"{cookie.key}={sent or cookie_of(answer).value}".encode(), origin=origin
        )
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")


async def test_web_01_a_forbidden_sign_in_creates_no_session_and_counts_as_no_login_attempt(
    http: AsyncClient, api: Api
) -> None:
    """Otherwise a user with planted cookies would get many sessions, or reach the rate limit."""
    for password in [PASSWORD] + ["not the password"] * 9:
        login = {"input": {"username": "alice", "password": password, "delivery": "COOKIE"}}
        body = {"query": LOGIN, "variables": login}
        cookies = f"{NAME}=one; {NAME}=two".encode()
        assert refusal_of(await send_raw(http, "graphql", cookies, body=body)) == REFUSED
    access = (await api.login()).access
    data = await api.data("{ sessions(first: 10) { edges { node { id } } } }", bearer=access)
    assert len(data["sessions"]["edges"]) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_cookie_header_may_be_split(http: AsyncClient, endpoint: str) -> None:
    """HTTP/2 may split it (RFC 9113 section 8.2.3), and a proxy may not join the parts."""
    token = cookie_of(await sign_in(http)).value
    answer = await send_raw(
        http, endpoint, b"a=b", f"c=d; {NAME}={token}".encode(), b"e=f", b"\xa0" + NAME.encode() + b"=x"
    )
    assert outcome(answer) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_over_plain_http_a_cookie_that_is_sent_twice_is_refused_too(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock, endpoint: str
) -> None:
    """Without the prefix in its name, a sibling domain or a page under another path can plant it."""
    app = create_app(settings_for(database_url), clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as http,
    ):
        origin = "http://kindred.test"
        cookie = cookie_of(await sign_in(http, COOKIE_HEADERS | {"origin": origin}))
        http.cookies.clear()
        assert cookie.key == "kindred-refresh"
        genuine = f"kindred-refresh={cookie.value}".encode()
        refused = await send_raw(http, endpoint, genuine + b"; kindred-refresh=planted", origin=origin)
        assert refusal_of(refused) == REFUSED
        answer = await send_raw(http, endpoint, genuine + b"; \xa0kindred-refresh=planted", origin=origin)
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")
