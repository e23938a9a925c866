"""Signing keys: created once, sealed, published before they sign, and retired when their tokens have expired."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_public_key
from httpx2 import AsyncClient
from sqlalchemy import select, update

from auth.config.settings import Settings
from auth.crypto.derived_keys import WrongSecret
from auth.crypto.entropy import Entropy
from auth.crypto.signing_keys import PUBLISH_LEAD
from auth.services import Services
from db.tables.base import SigningAlgorithm
from db.tables.signing_keys import signing_keys
from db.tables.users import UserRow
from graph.app import create_app
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, PASSWORD, Api
from tests.support.servers import SECRET, serving
from tests.support.sql import looking_at

ACCESS_TOKEN_TTL = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


async def stored(services: Services) -> list[Any]:
    async with looking_at(services.db) as conn:
        return list((await conn.execute(select(signing_keys).order_by(signing_keys.c.active_from))).all())


async def published(http: AsyncClient) -> list[str]:
    """Return the ids of the keys in the JWKS, oldest first."""
    return [key["kid"] for key in (await http.get("/.well-known/jwks.json")).json()["keys"]]


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


async def test_data_05_the_first_key_is_an_ed25519_key_that_is_stored_sealed(services: Services) -> None:
    (row,) = await stored(services)
    private = services.keys.ring.signing_key(row.active_from).private
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    assert row.algorithm == "EdDSA"
    assert load_der_public_key(row.public_key) == private.public_key()
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert row.sealed_private_key != der
    assert private.private_bytes_raw() not in row.sealed_private_key
    for column in row:
        assert private.private_bytes_raw() not in str(column).encode() + (column if isinstance(column, bytes) else b"")
    # A nonce of 12 bytes before it, a tag of 16 after it.
    assert len(row.sealed_private_key) == 12 + len(der) + 16


async def test_the_same_key_signs_after_a_restart(
    api: Api,
    alice: UserRow,
    services: Services,
    database_url: str,
    settings_for: Callable[..., Settings],
    clock: FakeClock,
) -> None:
    pair = await api.login()
    before = await stored(services)
    restarted = create_app(settings_for(database_url), clock=clock)
    async with restarted.router.lifespan_context(restarted):
        again: Services = restarted.state.services
        assert (await again.sessions.authenticate(pair.access, clock.now())).user_id == alice.id
        assert await stored(again) == before
    # A changed algorithm applies to new keys; the existing key continues.
    other = create_app(settings_for(database_url, signing_algorithm="ES256"), clock=clock)
    async with other.router.lifespan_context(other):
        assert await stored(other.state.services) == before


@pytest.mark.parametrize("more_settings", [{"signing_algorithm": "ES256"}])
async def test_the_setting_es256_signs_with_es256(
    api: Api, alice: UserRow, services: Services, http: AsyncClient
) -> None:
    pair = await api.login()
    (row,) = await stored(services)
    assert row.algorithm == "ES256"
    assert isinstance(services.keys.ring.signing_key(row.active_from).private, ec.EllipticCurvePrivateKey)
    assert jwt.get_unverified_header(pair.access) == {"alg": "ES256", "typ": "at+jwt", "kid": row.kid}
    assert await api.is_live(pair.access)
    assert await api.is_live((await ENDPOINTS["rest"](http).refresh(pair.refresh)).tokens.access)
    claims = verified((await http.get("/.well-known/jwks.json")).json(), pair.access, "ES256")
    assert claims["sub"] == str(alice.id)


async def test_any_jwks_client_verifies_an_access_token_and_learns_no_private_part(
    api: Api, alice: UserRow, http: AsyncClient
) -> None:
    pair = await api.login()
    response = await http.get("/.well-known/jwks.json")
    (key,) = response.json()["keys"]
    assert key == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": key["x"],
        "kid": kid_of(pair.access),
        "alg": "EdDSA",
        "use": "sig",
    }
    claims = verified(response.json(), pair.access, "EdDSA")
    assert (claims["sub"], claims["sid"]) == (str(alice.id), pair.session_id)
    # Cached no longer than the time between a key's publication and its first token.
    max_age = int(response.headers["cache-control"].partition("max-age=")[2])
    assert timedelta(seconds=max_age) < PUBLISH_LEAD


def verified(jwks: Any, token: str, algorithm: str) -> dict[str, Any]:
    """Return the claims as another service reads them, which knows only the JWKS."""
    key = jwt.PyJWKSet.from_dict(jwks)[kid_of(token)]
    # The clock of the tests stands still.
    options: Any = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, key, algorithms=[algorithm], audience="kindred", issuer="kindred", options=options)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
async def test_a_jwks_client_verifies_what_a_running_server_signs(
    sqlite_url: str, tmp_path: Path, settings_for: Callable[..., Settings], password_hash: str, algorithm: str
) -> None:
    backstage = Services.create(settings_for(sqlite_url), SECRET.encode(), Entropy())
    await backstage.accounts.import_user("alice", None, password_hash, FakeClock().now())
    await backstage.stop()
    async with serving(sqlite_url, tmp_path, KINDRED_SIGNING_ALGORITHM=algorithm) as server:
        async with AsyncClient(base_url=server.url) as http:
            pair = await Api(http).login("alice", PASSWORD)
        client = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json")
        key = await asyncio.to_thread(client.get_signing_key_from_jwt, pair.access)
        claims = jwt.decode(pair.access, key, algorithms=[algorithm], audience="kindred", issuer="kindred")
    assert claims["sid"] == pair.session_id


async def test_workers_that_start_at_the_same_time_on_a_new_database_make_one_key(
    database_url: str, settings_for: Callable[..., Settings], clock: FakeClock
) -> None:
    workers = [
        Services.create(settings_for(database_url, hashing_threads=1), SECRET.encode(), Entropy()) for _ in range(5)
    ]
    await asyncio.gather(*(worker.start(clock.now()) for worker in workers))
    (row,) = await stored(workers[0])
    for worker in workers:
        assert worker.keys.ring.signing_key(clock.now()).kid == row.kid
        await worker.stop()


async def test_processes_that_start_at_the_same_time_on_a_new_database_make_one_key(
    database_url: str, tmp_path: Path, settings_for: Callable[..., Settings]
) -> None:
    async with serving(database_url, tmp_path) as first, serving(database_url, tmp_path) as second:
        jwks = []
        for server in (first, second):
            async with AsyncClient(base_url=server.url) as http:
                jwks.append((await http.get("/.well-known/jwks.json")).json())
    assert jwks[0] == jwks[1]
    assert len(jwks[0]["keys"]) == 1


async def test_a_wrong_secret_gives_an_error_that_says_so(
    services: Services, database_url: str, settings_for: Callable[..., Settings], clock: FakeClock
) -> None:
    wrong = "Zq8Lw3Vt6Nf1Xc9Rb5Yh2Kd7Mg4Js0Pa"
    other = Services.create(settings_for(database_url), wrong.encode(), Entropy())
    for start in (other.start(clock.now()), other.keys.reload()):
        with pytest.raises(WrongSecret) as refused:
            await start
        message = str(refused.value)
        assert "sealed with another server secret" in message
        assert "KINDRED_SECRET" in message
        assert wrong not in message
        assert SECRET not in message
    await other.stop()
    # The database was not changed.
    await services.keys.reload()
    assert len(await stored(services)) == 1


async def test_a_sealed_key_under_another_id_is_not_unsealed(services: Services, clock: FakeClock) -> None:
    """An attacker who can write to the table cannot swap two keys."""
    await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
    first, second = await stored(services)
    async with looking_at(services.db) as conn:
        await conn.execute(
            update(signing_keys)
            .where(signing_keys.c.kid == second.kid)
            .values(sealed_private_key=first.sealed_private_key, public_key=first.public_key)
        )
    with pytest.raises(WrongSecret):
        await services.keys.reload()


async def test_tok_12_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_expires(
    api: Api, alice: UserRow, services: Services, http: AsyncClient, clock: FakeClock
) -> None:
    start = clock.now()
    rest = ENDPOINTS["rest"](http)
    of_the_old = await api.login()
    old = kid_of(of_the_old.access)
    assert await published(http) == [old]

    new_key = await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
    await services.keys.reload()
    new = new_key.kid
    assert await published(http) == [old, new]
    pair = (await rest.refresh(of_the_old.refresh)).tokens
    assert kid_of(pair.access) == old

    # The old key signs until the last second, and its tokens are accepted until they expire.
    clock.instant = start + PUBLISH_LEAD - SECOND
    last_of_the_old = (await rest.refresh(pair.refresh)).tokens
    assert kid_of(last_of_the_old.access) == old
    assert await published(http) == [old, new]
    assert await api.is_live(of_the_old.access)

    clock.instant = start + PUBLISH_LEAD
    first_of_the_new = (await rest.refresh(last_of_the_old.refresh)).tokens
    assert kid_of(first_of_the_new.access) == new
    assert await published(http) == [old, new]
    assert await api.is_live(last_of_the_old.access)
    assert await api.is_live(first_of_the_new.access)

    clock.instant = start + PUBLISH_LEAD + ACCESS_TOKEN_TTL - 2 * SECOND
    assert await api.is_live(last_of_the_old.access)
    assert await published(http) == [old, new]
    clock.instant = start + PUBLISH_LEAD + ACCESS_TOKEN_TTL
    assert not await api.is_live(last_of_the_old.access)
    assert await published(http) == [new]
    # No user was signed out.
    refreshed = (await rest.refresh(first_of_the_new.refresh)).tokens
    assert kid_of(refreshed.access) == new
    assert await api.is_live(refreshed.access)


async def test_tok_12_a_token_of_a_retired_key_is_refused_before_it_expires(
    api: Api, alice: UserRow, services: Services, http: AsyncClient, clock: FakeClock
) -> None:
    """Retiring a key immediately invalidates its tokens. Refresh tokens are signed with another key."""
    pair = await api.login()
    clock.advance(timedelta(minutes=1))
    assert await api.is_live(pair.access)
    new_key = await services.keys.rotate(
        SigningAlgorithm.ES256, clock.now(), access_token_ttl=timedelta(0), immediately=True
    )
    await services.keys.reload()
    response = await api.post("{ viewer { id } }", bearer=pair.access)
    assert response.status_code == 401
    assert await published(http) == [new_key.kid]
    refreshed = (await ENDPOINTS["rest"](http).refresh(pair.refresh)).tokens
    assert jwt.get_unverified_header(refreshed.access)["alg"] == "ES256"
    assert await api.is_live(refreshed.access)


async def test_keys_rotated_in_quick_succession_sign_one_after_the_other(
    api: Api, alice: UserRow, services: Services, http: AsyncClient, clock: FakeClock
) -> None:
    rest = ENDPOINTS["rest"](http)
    pair = await api.login()
    kids = [kid_of(pair.access)]
    for _ in range(3):
        new_key = await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
        kids.append(new_key.kid)
        clock.advance(timedelta(minutes=1))
    await services.keys.reload()
    assert set(await published(http)) == set(kids)
    signed_by, alive = [], []
    for _ in range(40):
        pair = (await rest.refresh(pair.refresh)).tokens
        signed_by.append(kid_of(pair.access))
        alive.append((pair.access, clock.now() + ACCESS_TOKEN_TTL))
        clock.advance(timedelta(minutes=1))
        # Every token is accepted until it expires, whichever key signed it.
        for access, until in (alive[0], alive[-1], alive[len(alive) // 2]):
            assert await api.is_live(access) == (clock.now() < until)
    assert list(dict.fromkeys(signed_by)) == kids
    assert await published(http) == kids[-1:]


async def test_of_several_rotations_at_once_all_keys_but_one_are_retired(services: Services, clock: FakeClock) -> None:
    """As when an operator and a scheduled job rotate together."""
    for _ in range(5):
        await asyncio.gather(
            *(
                services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
                for _ in range(4)
            )
        )
        assert [key.retired_at is None for key in await services.keys.list_all()].count(True) == 1


async def test_a_worker_that_cannot_unseal_a_new_key_keeps_its_keys_and_logs_it_once(
    services: Services, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("auth.crypto.signing_keys.POLL_SECONDS", 0)
    before, reloads = services.keys.ring, 0

    async def fail() -> None:
        nonlocal reloads
        reloads += 1
        if reloads > 3:
            raise asyncio.CancelledError
        raise WrongSecret

    monkeypatch.setattr(type(services.keys), "reload", lambda _: fail())
    with pytest.raises(asyncio.CancelledError):
        await services.keys.watch()
    assert services.keys.ring is before
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 1
    assert lines[0].startswith("The signing keys cannot be reloaded")


@pytest.mark.parametrize("kid", [None, 7, "unknown", ["a"], {"a": "b"}])
def test_a_key_id_that_is_no_text_or_unknown_finds_no_key(services: Services, clock: FakeClock, kid: object) -> None:
    assert services.keys.ring.verification_key(kid, clock.now()) is None


async def test_tok_08_the_jwks_is_json_that_names_each_key_once(services: Services, http: AsyncClient) -> None:
    response = await http.get("/.well-known/jwks.json")
    assert response.headers["content-type"].startswith("application/json")
    keys = json.loads(response.text)["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) == 1
    # RFC 8037 section 2, RFC 7518 section 6.2.2: `d` is the private part.
    assert not any("d" in key for key in keys)


async def test_tok_12_rotating_immediately_retires_a_leaked_key_and_every_other_one(
    api: Api, alice: UserRow, services: Services, http: AsyncClient, clock: FakeClock
) -> None:
    """Two rotations were scheduled. Afterwards only the new key signs and verifies, now and later."""
    rest = ENDPOINTS["rest"](http)
    pair = await api.login()
    for _ in range(2):
        await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
        clock.advance(timedelta(minutes=1))
    new_key = await services.keys.rotate(
        SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL, immediately=True
    )
    assert new_key.active_from == clock.now()
    # A worker that has not reloaded the keys signs with the old one, and other workers refuse its tokens.
    late = (await rest.refresh(pair.refresh)).tokens
    assert kid_of(late.access) == kid_of(pair.access)
    await services.keys.reload()
    for access in (pair.access, late.access):
        assert not await api.is_live(access)
    pair = (await rest.refresh(late.refresh)).tokens
    for minutes in (0, 8, 9, 11, 60):
        clock.advance(timedelta(minutes=minutes))
        assert await published(http) == [new_key.kid]
        pair = (await rest.refresh(pair.refresh)).tokens
        assert kid_of(pair.access) == new_key.kid
        assert await api.is_live(pair.access)
    # The next rotation works as usual.
    following = await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
    await services.keys.reload()
    assert await published(http) == [new_key.kid, following.kid]
    clock.advance(PUBLISH_LEAD)
    pair = (await rest.refresh(pair.refresh)).tokens
    assert kid_of(pair.access) == following.kid


async def test_a_worker_reloads_keys_every_two_seconds_and_unseals_them_only_if_they_changed(
    api: Api, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    ring = services.keys.ring
    await services.keys.reload()
    assert services.keys.ring is ring
    new_key = await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ACCESS_TOKEN_TTL)
    async with asyncio.timeout(60):
        while services.keys.ring is ring:
            await asyncio.sleep(0.05)
    assert services.keys.ring.verification_key(new_key.kid, clock.now()) is not None
