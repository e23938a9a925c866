"""The refresh token in a cookie: where it is and is not, and that no other site can make a browser spend it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import jwt
import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from auth.config.settings import Settings
from db.tables.users import UserRow as User
from graph.app import create_app
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


# What an attacker plants comes beside the genuine cookie, as raw bytes: the name with one byte before or after it.
BYTES = [bytes([number]) for number in range(256)]
# The bytes that leave the name as it is: white space of RFC 6265, and what ends the cookie before it, or the name.
SAME_NAME = {"before": b" \t;", "after": b" \t="}
REFUSED = (403, False, ("FORBIDDEN", "came more than once, so none of them counts."))


async def send_raw(
    http: AsyncClient, door: str, *cookies: bytes, body: dict[str, Any] | None = None, origin: str = OURS
) -> Response:
    """A refresh with these `Cookie` headers, to the byte."""
    path, json = "/auth/token/refresh", body or {}
    if door == "graphql":
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
    """That name with each byte before and after it, and other spellings; and whether it is the same name still."""
    for byte in BYTES:
        yield byte + name, byte in SAME_NAME["before"]
        yield name + byte, byte in SAME_NAME["after"]
    no_break, em_space = "\u00a0".encode(), "\u2003".encode()
    for other in (name.lower(), name.upper(), b'"%b"' % name, b"a=" + name, no_break + name, em_space + name):
        yield other, False


@pytest.fixture
async def bob_s(http: AsyncClient, bob: User) -> bytes:
    """The refresh token of an attacker's own session."""
    given = {"username": bob.username, "password": PASSWORD, "delivery": "COOKIE"}
    answer = await http.post("/graphql", json={"query": LOGIN, "variables": {"input": given}}, headers=MEANT)
    return cookie_of(answer).value.encode()


@pytest.mark.parametrize("door", DOORS)
async def test_web_01_a_planted_cookie_beside_the_genuine_one_never_counts(
    http: AsyncClient, clock: FakeClock, bob_s: bytes, door: str
) -> None:
    """The genuine session is refreshed; where the names are the same, nothing happens to either session."""
    token = cookie_of(await sign_in(http)).value
    session, wrong = session_in(token), []
    for planted, is_same in names_beside(NAME.encode()):
        for is_first in (False, True):
            clock.advance(timedelta(seconds=10))  # which is how often a session may be refreshed
            genuine, pair = f"{NAME}={token}".encode(), planted + b"=" + bob_s
            answer = await send_raw(http, door, b"; ".join((pair, genuine) if is_first else (genuine, pair)))
            if is_same:
                if refusal_of(answer) != REFUSED:
                    wrong.append((planted, answer.text))
                answer = await send_raw(http, door, genuine)
            if "set-cookie" in answer.headers and (fresh := cookie_of(answer).value) and session_in(fresh) == session:
                token = fresh
            else:
                wrong.append((planted, answer.text))
    assert wrong == []
    # Nor was the attacker's token used: it still rotates.
    assert outcome(await send_raw(http, door, NAME.encode() + b"=" + bob_s)) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("door", DOORS)
async def test_web_01_a_planted_cookie_alone_is_no_cookie(http: AsyncClient, bob_s: bytes, door: str) -> None:
    """The answer sets none either: there is nothing to clear, and another tab may just have signed in."""
    expected = await send_raw(http, door)
    assert (outcome(expected), "set-cookie" in expected.headers) in (
        ("InvalidRefreshTokenError", False),
        ("Invalid token", False),
    )
    wrong = []
    for planted, is_same in names_beside(NAME.encode()):
        if not is_same:
            answer = await send_raw(http, door, planted + b"=" + bob_s)
            if (answer.json(), "set-cookie" in answer.headers) != (expected.json(), False):
                wrong.append((planted, answer.text))
    assert wrong == []


@pytest.mark.parametrize("door", DOORS)
async def test_web_01_the_value_of_the_cookie_counts_to_the_byte(http: AsyncClient, door: str) -> None:
    """Only white space and the end of the cookie are no part of it, and no quotes are removed."""
    token = cookie_of(await sign_in(http)).value.encode()
    name = NAME.encode() + b"="
    values = [(byte + token, byte in b" \t") for byte in BYTES] + [(token + byte, byte in b" \t;") for byte in BYTES]
    values += [(b'"%s"' % token, False), (b'"\\145%s"' % token[1:], False), (b"", False)]
    right = ("RefreshTokenSuccess", "bearer")
    for value, is_whole in values:
        if not is_whole:
            answer = await send_raw(http, door, name + value)
            assert outcome(answer) in ("InvalidRefreshTokenError", "Invalid token"), value
            assert cookie_of(answer).value == ""
    for value, is_whole in values:
        if is_whole:
            answer = await send_raw(http, door, name + value.replace(token, cookie_of(answer).value.encode() or token))
            assert outcome(answer) in right, value


@pytest.mark.parametrize("origin", [OURS, APP])
async def test_web_01_a_cookie_that_comes_twice_is_refused_and_nothing_is_consumed(
    http: AsyncClient, api: Api, origin: str
) -> None:
    """In whatever order, in one header or two, and whatever the second value is."""
    signed_in = await sign_in(http, MEANT | {"origin": origin})
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
            for door in DOORS:
                refused = await send_raw(http, door, *cookies, origin=origin)
                assert refusal_of(refused) == REFUSED
                assert "Delete the cookies of this site" in refused.text
                assert cookie.value.rpartition(".")[2] not in refused.text
            login = {"input": {"username": "alice", "password": PASSWORD, "delivery": "COOKIE"}}
            for body in ({"query": LOGOUT}, {"query": LOGIN, "variables": login}):
                assert refusal_of(await send_raw(http, "graphql", *cookies, body=body, origin=origin)) == REFUSED
    # Who brings the token in the body, or wants it there, is not concerned.
    both = (genuine, cookie.key.encode() + b"=rubbish")
    answer = await send_raw(http, "rest", *both, body={"refresh_token": own.refresh}, origin=origin)
    assert outcome(answer) == "bearer"
    for door, sent in (("rest", cookie.value), ("graphql", None)):
        answer = await send_raw(http, door, f"{cookie.key}={sent or cookie_of(answer).value}".encode(), origin=origin)
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")


async def test_web_01_a_refused_sign_in_opens_no_session_and_counts_no_guess(http: AsyncClient, api: Api) -> None:
    """Else a person who is refused would end up with many sessions, or be throttled."""
    for password in [PASSWORD] + ["not the password"] * 9:
        login = {"input": {"username": "alice", "password": password, "delivery": "COOKIE"}}
        body = {"query": LOGIN, "variables": login}
        cookies = f"{NAME}=one; {NAME}=two".encode()
        assert refusal_of(await send_raw(http, "graphql", cookies, body=body)) == REFUSED
    access = (await api.login()).access
    data = await api.data("{ sessions(first: 10) { edges { node { id } } } }", bearer=access)
    assert len(data["sessions"]["edges"]) == 1


@pytest.mark.parametrize("door", DOORS)
async def test_a_cookie_header_may_come_in_parts(http: AsyncClient, door: str) -> None:
    """RFC 9113 section 8.2.3: HTTP/2 may split it, and a proxy may leave it so."""
    token = cookie_of(await sign_in(http)).value
    answer = await send_raw(
        http, door, b"a=b", f"c=d; {NAME}={token}".encode(), b"e=f", b"\xa0" + NAME.encode() + b"=x"
    )
    assert outcome(answer) in ("RefreshTokenSuccess", "bearer")


@pytest.mark.parametrize("door", DOORS)
async def test_over_plain_http_a_cookie_that_comes_twice_is_refused_too(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock, door: str
) -> None:
    """The name has no prefix there, so a sibling domain, or a page under another path, can plant it."""
    app = create_app(settings_for(database_url), clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as http,
    ):
        origin = "http://kindred.test"
        cookie = cookie_of(await sign_in(http, MEANT | {"origin": origin}))
        http.cookies.clear()
        assert cookie.key == "kindred-refresh"
        genuine = f"kindred-refresh={cookie.value}".encode()
        refused = await send_raw(http, door, genuine + b"; kindred-refresh=planted", origin=origin)
        assert refusal_of(refused) == REFUSED
        answer = await send_raw(http, door, genuine + b"; \xa0kindred-refresh=planted", origin=origin)
        assert outcome(answer) in ("RefreshTokenSuccess", "bearer")
