"""Sign-in: which attempts succeed, and that a refusal does not disclose its reason."""

import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from auth.credentials.password_hashing import hash_password
from auth.services import Services
from db.tables.base import metadata
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import LOGIN, PASSWORD, REFRESH, REVOKE, ROTATED, Api, GraphQLEndpoint
from tests.support.sql import looking_at
from tests.support.watches import store_hash

pytestmark = pytest.mark.usefixtures("alice")

UNTHROTTLED = pytest.mark.parametrize("more_settings", [{"rate_limits": False}], ids=[""])

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
EVENTS = "{ securityEvents { edges { node { kind ipAddress userAgent session { id } } } } }"
REFUSED = {"__typename": "InvalidCredentialsError", "message": "The username or the password is wrong."}


async def every_row(services: Services) -> dict[str, list[Any]]:
    async with looking_at(services.db) as conn:
        return {table.name: list((await conn.execute(table.select())).all()) for table in metadata.sorted_tables}


async def test_the_right_password_gets_a_session_and_its_tokens(api: Api, clock: FakeClock, alice: UserRow) -> None:
    result = await api.try_login("alice", PASSWORD)
    assert result["__typename"] == "LoginSuccess"
    tokens, session = result["tokens"], result["session"]
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("bearer", 900)
    assert tokens["accessTokenExpiresAt"] == (clock.now() + timedelta(minutes=15)).isoformat()
    assert tokens["refreshTokenExpiresAt"] == (clock.now() + timedelta(days=30)).isoformat()
    assert (session["state"], session["isCurrent"]) == ("ACTIVE", False)
    assert result["viewer"] == {"id": str(alice.id), "username": "alice", "email": "alice@example.org"}
    assert await api.data("{ viewer { username } }", bearer=tokens["accessToken"]) == {"viewer": {"username": "alice"}}


@pytest.mark.parametrize("typed", ["ALICE", " alice ", "ａｌｉｃｅ"])
async def test_case_width_and_outer_spaces_of_a_username_do_not_matter(api: Api, typed: str) -> None:
    assert (await api.try_login(typed, PASSWORD))["__typename"] == "LoginSuccess"


@pytest.mark.real_hash_cost
async def test_cred_01_each_password_is_stored_as_argon2id_with_its_own_salt(services: Services) -> None:
    now = FakeClock().now()
    made = [await services.accounts.add(name, None, PASSWORD, now) for name in ("carol", "dave")]
    hashes = [user.hashed_password for user in made if isinstance(user, UserRow)]
    assert len(set(hashes)) == 2
    for hashed in hashes:
        _, kind, version, costs, salt, _ = hashed.split("$")
        assert (kind, version, costs) == ("argon2id", "v=19", "m=19456,t=2,p=1")
        assert len(salt) >= 22  # 16 bytes of base64


@pytest.mark.parametrize(
    ("right", "twin"),
    [
        ("x" * 64, "x" * 65),
        ("q" * 72 + "right", "q" * 72 + "wrong"),
        ("w" * 255 + "1", "w" * 255 + "2"),
        ("correct horse  battery", "correct horse battery"),
        ("🔑 clé de voûte 🔑", "🔑 cle de voute 🔑"),
        ("Violet Kettle", "violet kettle"),
        ("before\x00after", "before"),
        (" space at the ends ", "space at the ends"),
    ],
)
async def test_cred_05_every_character_of_a_password_counts(
    api: Api, services: Services, alice: UserRow, right: str, twin: str
) -> None:
    await store_hash(services, alice, hash_password(unicodedata.normalize("NFC", right)))
    assert await api.try_login("alice", twin) == REFUSED
    assert (await api.try_login("alice", right))["__typename"] == "LoginSuccess"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_cred_06_composed_and_decomposed_characters_are_the_same_password(
    api: Api, services: Services, form: Any
) -> None:
    set_as, typed = unicodedata.normalize(form, "Ölfässer Ångström"), "Ölfässer Ångström"
    await services.accounts.add("zoë", None, set_as, FakeClock().now())
    for other in ("NFC", "NFD"):
        answer = await api.try_login(
            unicodedata.normalize(other, "zoë"),
            unicodedata.normalize(other, typed),
        )
        assert answer["__typename"] == "LoginSuccess"


@UNTHROTTLED
async def test_cred_08_cred_09_an_unknown_user_a_wrong_password_and_a_disabled_user_get_the_same_response(
    http: AsyncClient, api: Api, services: Services, bob: UserRow, clock: FakeClock
) -> None:
    await services.accounts.disable(bob.id, clock.now())
    odd = ["", "x", "wrong password", "x" * 1024, "x" * 1025, "x" * 5000, "a\x00b", "\u200b", "ﬀ" * 600, PASSWORD]
    answers = set()
    for password in odd:
        for name in ("unknown", "alice", "bob"):
            if (name, password) == ("alice", PASSWORD):
                continue
            response = await api.post(LOGIN, {"input": {"username": name, "password": password}})
            headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
            answers.add((response.status_code, response.content, tuple(sorted(headers.items()))))
    assert len(answers) == 1
    ((status, body, _),) = answers
    assert status == 200
    assert REFUSED["__typename"].encode() in body


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "alice\x00", "al\u200bice", "\u202eecila", "ﷺ" * 128, "'--"])
async def test_cred_08_an_invalid_username_gets_the_same_answer_as_an_unknown_one(api: Api, name: str) -> None:
    assert await api.try_login(name, PASSWORD) == REFUSED


@pytest.mark.parametrize("field", ["username", "password"])
async def test_cred_08_a_lone_surrogate_is_an_invalid_request(http: AsyncClient, field: str) -> None:
    given = {"username": "alice", "password": PASSWORD} | {field: "SURROGATE"}
    body = str({"query": LOGIN, "variables": {"input": given}}).replace("'", '"').replace("\\n", " ")
    response = await http.post(
        "/graphql", content=body.replace("SURROGATE", "\\ud800"), headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    literal = (
        f'mutation {{ login(input: {{username: "{given["username"]}", password: "{given["password"]}"}}) {{ id }} }}'
    )
    answer = await Api(http).post(literal.replace("SURROGATE", "\\uD800"))
    assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


async def test_cred_11_a_sign_in_with_an_old_token_in_its_headers_creates_a_new_session(
    api: Api, http: AsyncClient
) -> None:
    old = await api.login()
    ids = {old.session_id}
    for beside in (
        {"authorization": f"Bearer {old.access}"},
        {"authorization": f"Bearer {old.refresh}"},
        {"cookie": f"refresh_token={old.refresh}; __Host-refresh={old.refresh}"},
    ):
        response = await api.post(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}, **beside)
        ids.add(response.json()["data"]["login"]["session"]["id"])
    assert len(ids) == 4
    assert (await GraphQLEndpoint(http).refresh(old.refresh)).outcome == ROTATED


@pytest.mark.parametrize("kind", ["malformed", "another scheme", "refresh token", "expired", "revoked", "another user"])
async def test_operations_that_need_no_caller_ignore_the_bearer_token(
    api: Api, clock: FakeClock, bob: UserRow, kind: str
) -> None:
    stale, foreign = await api.login(), await api.login("bob")
    if kind == "expired":
        clock.advance(timedelta(minutes=16))
    if kind == "revoked":
        await api.data(REVOKE, {"input": {"refreshToken": stale.refresh}})
    header = {
        "malformed": "Bearer no.token.atall",
        "another scheme": "Basic YWxpY2U6eA==",
        "refresh token": f"Bearer {stale.refresh}",
        "another user": f"Bearer {foreign.access}",
    }.get(kind, f"Bearer {stale.access}")
    mine = await api.login()

    async def send(query: str, **given: str) -> Any:
        query = query.replace("session {", "session { isCurrent lineage { generation }")
        response = await api.post(query, {"input": given}, authorization=header)
        assert (response.status_code, response.json().get("errors")) == (200, None)
        (result,) = response.json()["data"].values()
        return result

    assert (await send(LOGIN, username="alice", password=PASSWORD))["__typename"] == "LoginSuccess"
    refreshed = await send(REFRESH, refreshToken=mine.refresh)
    assert refreshed["__typename"] == ROTATED
    assert [issued["generation"] for issued in refreshed["session"]["lineage"]] == [2, 1]
    assert not refreshed["session"]["isCurrent"]
    ended = await send(REVOKE, refreshToken=refreshed["tokens"]["refreshToken"])
    assert ended["__typename"] == "RevokeSessionSuccess"


async def test_the_owner_sees_a_failed_sign_in_among_the_security_events(api: Api, clock: FakeClock) -> None:
    await api.post(LOGIN, {"input": {"username": "alice", "password": "wrong"}}, **{"user-agent": FIREFOX})
    clock.advance(timedelta(seconds=1))
    pair = await api.login()
    edges = (await api.data(EVENTS, bearer=pair.access))["securityEvents"]["edges"]
    assert [edge["node"]["kind"] for edge in edges] == ["LOGIN_SUCCEEDED", "LOGIN_FAILED"]
    assert edges[0]["node"]["session"] == {"id": pair.session_id}
    failed = edges[1]["node"]
    assert (failed["session"], failed["ipAddress"], failed["userAgent"]) == (None, "127.0.0.1", FIREFOX)


async def test_failures_of_unknown_names_are_counted_too_and_no_name_is_stored(api: Api, services: Services) -> None:
    for name in ("hunter2-typed-in-the-wrong-field", "HUNTER2-typed-in-the-wrong-field", "alice"):
        await api.try_login(name, "wrong password")
    rows = await every_row(services)
    of_the_address = [3, 3]  # in five minutes, and in an hour
    assert sorted(row.failures for row in rows["login_failures"]) == [1, 2, *of_the_address]
    assert [row.kind for row in rows["security_events"]] == ["LOGIN_FAILED"]
    assert "hunter2" not in str(rows).lower()
    await api.login()
    assert sorted(row.failures for row in (await every_row(services))["login_failures"]) == [2, *of_the_address]


async def test_data_01_no_column_holds_a_token_or_a_password(api: Api, services: Services) -> None:
    pair = await api.login()
    rows = str(await every_row(services))
    assert not any(secret in rows for secret in (pair.access, pair.refresh, PASSWORD, pair.refresh.split(".")[1]))


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "x" * 5000, "two\nlines", "\u202ebackwards", "nul\x00", "\u200b"]
)
async def test_an_invalid_device_name_is_refused_whether_the_password_is_right_or_wrong(api: Api, name: str) -> None:
    given = {"username": "alice", "password": PASSWORD, "deviceName": name}
    assert await api.codes(LOGIN, {"input": given}) == ["BAD_USER_INPUT"]
    given["password"] = "wrong"
    assert await api.codes(LOGIN, {"input": given}) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("  Work laptop ", "Work laptop"), ("x" * 100, "x" * 100), ("👩‍💻 von Zoe\u0308", "👩‍💻 von Zoë"), ("<b>", "<b>")],
)
async def test_a_device_name_is_stored_in_nfc_without_outer_spaces(api: Api, given: str, kept: str) -> None:
    assert (await api.try_login("alice", PASSWORD, given))["session"]["deviceName"] == kept


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Mobile Safari on iOS"),
        (CHROME, "Chrome on Windows"),
        ("curl/8.5.0", "curl"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
    ],
)
async def test_a_session_without_a_device_name_is_named_by_its_user_agent(api: Api, user_agent: str, name: str) -> None:
    given = {"username": "alice", "password": PASSWORD}
    response = await api.post(LOGIN, {"input": given}, **{"user-agent": user_agent})
    assert response.json()["data"]["login"]["session"]["deviceName"] == name
