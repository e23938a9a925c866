"""A copy of the database makes no token, nor does the secret alone; and the database refuses invalid rows."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from auth.config.settings import Settings
from auth.crypto.derived_keys import SecretKeys, WrongSecret
from auth.crypto.entropy import Entropy
from auth.outcomes import ClientInfo, Invalid, Replayed, StoreBehind
from auth.services import Services
from auth.use_cases.rotation import JUST_ISSUED
from auth.use_cases.sessions import Unauthenticated
from db import metadata
from db.engine.database import url_of
from db.tables.families import families
from db.tables.login_failures import login_failures
from db.tables.refresh_tokens import refresh_tokens
from db.tables.security_events import security_events
from db.tables.signing_keys import signing_keys
from db.tables.users import UserRow, users
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, INVALID, PASSWORD, REPLAYED, REVOKED, ROTATED, Api, Pair
from tests.support.servers import SECRET
from tests.support.sql import looking_at

WRONG_PASSWORD, NEW_PASSWORD = "amber saddle drifts 77 harbours", "copper violin climbs 19 orchards"
TYPED_INTO_THE_WRONG_FIELD = "scarlet-anvil-hums-56-meadows"
KEY = "the-first-attempt-of-the-phone"
CHANGE_PASSWORD = """
mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }
"""
Row = dict[str, Any]


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def parts_of(token: str) -> tuple[Row, Row]:
    header, claims, _ = token.split(".")
    return json.loads(decode(header)), json.loads(decode(claims))


def signed(header: Row, claims: Row, sign: Callable[[bytes], bytes]) -> str:
    compact = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    text = ".".join(map(encode, compact))
    return f"{text}.{encode(sign(text.encode()))}"


async def everything(services: Services) -> list[tuple[str, Any]]:
    """Every value in the database, with its table and column."""
    found = []
    async with looking_at(services.db) as conn:
        for table in metadata.sorted_tables:
            for row in await conn.execute(select(table)):
                found += [(f"{table.name}.{name}", value) for name, value in row._mapping.items()]
    return found


def as_bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case UUID():
            return value.bytes
        case _:
            return str(value).encode()


def readings(value: Any) -> Iterator[str]:
    """Yield the ways in which an attacker may write a stored value as a token."""
    raw = as_bytes(value)
    yield from {str(value), raw.hex(), encode(raw), base64.b64encode(raw).decode(), hashlib.sha256(raw).hexdigest()}


@pytest.fixture
async def session_pair(api: Api, alice: UserRow) -> Pair:
    """A live session of a user with failed login attempts, a password change and a revoked session."""
    rest = ENDPOINTS["rest"](api.http)
    await api.try_login("alice", WRONG_PASSWORD)
    await api.try_login(TYPED_INTO_THE_WRONG_FIELD, WRONG_PASSWORD)
    first = (await rest.refresh((await api.login()).refresh, KEY)).tokens
    second = await api.login(device_name="Alice's telephone")
    changed = {"input": {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}}
    data = await api.data(CHANGE_PASSWORD, changed, second.access)
    assert data["changePassword"]["__typename"] == "ChangePasswordSuccess"
    assert (await rest.refresh(first.refresh)).outcome == REVOKED
    await api.try_login("alice", WRONG_PASSWORD)
    await api.try_login(TYPED_INTO_THE_WRONG_FIELD, WRONG_PASSWORD)
    return second


async def test_data_01_and_tok_14_no_stored_value_works_as_a_token_or_as_its_signing_key(
    api: Api, services: Services, session_pair: Pair, clock: FakeClock
) -> None:
    stored = [(name, value) for name, value in await everything(services) if value is not None]
    refresh_header, refresh = parts_of(session_pair.refresh)
    access_header, access = parts_of(session_pair.access)
    _, _, genuine = session_pair.refresh.split(".")
    for name, value in stored:
        for reading in readings(value):
            # Unchanged; under the signature of a genuine token; and signed with the stored value itself.
            tokens = [reading]
            for key in (reading.encode(), as_bytes(value)):
                for jti in (reading, refresh["jti"]):
                    tokens.append(signed(refresh_header, refresh | {"jti": jti}, with_hmac(key)))
            payload = encode(json.dumps(refresh | {"jti": reading}).encode())
            tokens.append(f"{session_pair.refresh.split('.')[0]}.{payload}.{genuine}")
            for token in tokens:
                assert isinstance(await services.rotation.refresh(token, None, ClientInfo(), clock.now()), Invalid), (
                    name
                )
                with pytest.raises(Unauthenticated):
                    await services.sessions.authenticate(token, clock.now())
            forged = signed(access_header | {"alg": "HS256"}, access, with_hmac(as_bytes(value)))
            with pytest.raises(Unauthenticated):
                await services.sessions.authenticate(forged, clock.now())
        # Any 32 bytes are an Ed25519 key. The sealed key must not contain the signing key.
        raw = as_bytes(value)
        for start in range(max(len(raw) - 31, 0)):
            forged = signed(access_header, access, Ed25519PrivateKey.from_private_bytes(raw[start : start + 32]).sign)
            with pytest.raises(Unauthenticated):
                await services.sessions.authenticate(forged, clock.now())
    # Through the endpoints: the two forms that look most like a token.
    (current,) = [v for n, v in stored if n == "token_families.token_digest" and v == digest_of(session_pair.refresh)]
    for endpoint in ENDPOINTS.values():
        for reading in (current.hex(), encode(current)):
            assert (await endpoint(api.http).refresh(reading)).outcome == INVALID
    assert (await ENDPOINTS["rest"](api.http).refresh(session_pair.refresh)).outcome == ROTATED


async def test_data_01_a_copy_of_the_database_does_not_start_under_another_secret(
    services: Services, session_pair: Pair, database_url: str, clock: FakeClock
) -> None:
    attacker = Services.create(Settings(database_url=database_url), b"a secret that the attacker makes up", Entropy())
    with pytest.raises(WrongSecret):
        await attacker.start(clock.now())
    # If the attacker deletes the signing keys and creates new ones, the old tokens are invalid.
    async with looking_at(attacker.db) as conn:
        await conn.execute(delete(signing_keys))
    await attacker.start(clock.now())
    assert isinstance(await attacker.rotation.refresh(session_pair.refresh, None, ClientInfo(), clock.now()), Invalid)
    with pytest.raises(Unauthenticated):
        await attacker.sessions.authenticate(session_pair.access, clock.now())
    await attacker.stop()


async def test_the_secret_without_the_database_makes_no_refresh_token(
    api: Api, services: Services, session_pair: Pair, clock: FakeClock
) -> None:
    """A forged token has a valid signature, but the database knows another token as the current one."""
    header, claims = parts_of(session_pair.refresh)
    forge = with_hmac(SecretKeys.derive(SECRET.encode()).refresh_tokens)
    # Unknown ids: the token is invalid, and nothing changes.
    before = await everything(services)
    for unknown in ({"sid": str(uuid4())}, {"sub": str(uuid4())}):
        token = signed(header, claims | unknown, forge)
        now = clock.now() + JUST_ISSUED
        assert isinstance(await services.rotation.refresh(token, KEY, ClientInfo(), now), Invalid)
    # Just issued: the store may have lost the session, so the answer is 503, and nothing changes.
    token = signed(header, claims | {"sid": str(uuid4())}, forge)
    assert isinstance(await services.rotation.refresh(token, KEY, ClientInfo(), clock.now()), StoreBehind)
    assert await everything(services) == before
    # Known ids: every token that is not the family's current one counts as a replay.
    token = signed(header, claims | {"jti": encode(os.urandom(32))}, forge)
    outcome = await services.rotation.refresh(token, KEY, ClientInfo(), clock.now())
    assert isinstance(outcome, Replayed)
    assert not await api.is_live(session_pair.access)


async def test_the_secret_without_the_database_makes_no_access_token(
    services: Services, session_pair: Pair, clock: FakeClock
) -> None:
    header, claims = parts_of(session_pair.access)
    keys = SecretKeys.derive(SECRET.encode())
    for seed in (keys.refresh_tokens, keys.successors, keys.sealing, SECRET.encode()[:32], os.urandom(32)):
        forged = signed(header, claims, Ed25519PrivateKey.from_private_bytes(seed).sign)
        for token in (forged, signed(header | {"alg": "HS256"}, claims, with_hmac(seed))):
            with pytest.raises(Unauthenticated):
                await services.sessions.authenticate(token, clock.now())


async def test_the_database_stores_only_the_sha_256_of_a_refresh_tokens_secret(
    api: Api, services: Services, alice: UserRow
) -> None:
    pair = await api.login()
    for _ in range(3):
        async with looking_at(services.db) as conn:
            stored = (await conn.execute(select(families.c.token_digest))).scalar_one()
        assert stored == digest_of(pair.refresh)
        pair = (await ENDPOINTS["rest"](api.http).refresh(pair.refresh)).tokens


async def test_data_01_no_token_secret_or_password_is_anywhere_in_the_store(
    api: Api, services: Services, session_pair: Pair, database_url: str
) -> None:
    fourth = (await ENDPOINTS["graphql"](api.http).refresh(session_pair.refresh, KEY)).tokens
    keys = SecretKeys.derive(SECRET.encode())
    (signing,) = services.keys.ring
    private = signing.private
    assert isinstance(private, Ed25519PrivateKey)
    plain = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    canaries = [SECRET, PASSWORD, WRONG_PASSWORD, NEW_PASSWORD, TYPED_INTO_THE_WRONG_FIELD, KEY]
    canaries_in_bytes = [keys.refresh_tokens, keys.successors, keys.sealing]
    canaries_in_bytes += [private.private_bytes_raw(), private.private_bytes(*plain)]
    for token in (session_pair.access, session_pair.refresh, fourth.access, fourth.refresh):
        _, claims = parts_of(token)
        canaries += [token, token.split(".")[2], claims["jti"]]
        canaries_in_bytes += [decode(token.split(".")[2]), decode(claims["jti"])]
    needles = [text.encode() for text in canaries] + canaries_in_bytes
    needles += [form for raw in canaries_in_bytes for form in (raw.hex().encode(), encode(raw).encode())]
    haystacks = [(name, as_bytes(value)) for name, value in await everything(services)]
    url = url_of(database_url)
    if url.get_backend_name() == "sqlite":
        # SQLite's files also hold free pages and the write-ahead log.
        assert url.database is not None
        files = [Path(url.database + end) for end in ("", "-wal")]
        haystacks += [(file.name, file.read_bytes()) for file in files]
    for where, haystack in haystacks:
        for needle in needles:
            assert needle.lower() not in haystack.lower(), where
    # The search works: it finds the digest, which is meant to be stored.
    assert any(digest_of(fourth.refresh) in haystack for _, haystack in haystacks)


def test_data_02_the_files_of_sqlite_are_readable_by_their_owner_alone(
    tmp_path: Path, settings_for: Callable[..., Settings]
) -> None:
    """With any umask: the file, its write-ahead log and the index of the log."""

    async def live(url: str) -> list[str]:
        services = Services.create(settings_for(url), SECRET.encode(), Entropy())
        await services.start(FakeClock().now())
        modes = [f"{path.name} {stat.S_IMODE(path.stat().st_mode):o}" for path in sorted(tmp_path.iterdir())]
        await services.stop()
        return modes

    before = os.umask(0)
    try:
        modes = asyncio.run(live(databases.migrated_sqlite(tmp_path / "new.db")))
    finally:
        os.umask(before)
    assert modes == ["new.db 600", "new.db-shm 600", "new.db-wal 600"]


# Constraints: what the database refuses, whatever the code does.


@pytest.fixture
async def family(api: Api, services: Services, alice: UserRow, bob: UserRow) -> AsyncIterator[Row]:
    """Alice's only family, which the test must leave unchanged."""
    await api.login()
    async with looking_at(services.db) as conn:
        row = dict((await conn.execute(select(families))).one()._mapping)
    yield row
    async with looking_at(services.db) as conn:
        assert dict((await conn.execute(select(families))).one()._mapping) == row


async def test_ops_03_the_database_refuses_an_invalid_family(services: Services, family: Row) -> None:
    now = family["created_at"]
    invalid_values: list[Row] = [
        {"token_digest": b""},
        {"token_digest": b"x" * 31},
        {"token_digest": b"x" * 33},
        {"generation": 0},
        {"generation": -1},
        {"expires_at": family["absolute_expires_at"] + timedelta(seconds=1)},
        {"expires_at": family["absolute_expires_at"] + timedelta(microseconds=1)},
        {"revoked_at": now},
        {"revocation_reason": "REVOKED_BY_USER"},
        {"revoked_at": now, "revocation_reason": "BECAUSE"},
        {"revoked_at": now, "revocation_reason": "revoked_by_user"},
        {"revoked_at": now, "revocation_reason": ""},
        *({name: None} for name in ("token_digest", "generation", "created_at", "last_used_at", "expires_at")),
        *({name: None} for name in ("user_id", "id", "absolute_expires_at")),
        {"user_id": uuid4()},  # no such user
    ]
    for wrong in invalid_values:
        await assert_refused(services, insert(families).values(family | {"id": uuid4()} | wrong), wrong)
        if "user_id" not in wrong or wrong["user_id"] is None:
            await assert_refused(services, update(families).values(wrong), wrong)
    await assert_refused(services, insert(families).values(family), "the same again")


async def test_ops_03_the_database_refuses_an_invalid_lineage_row(
    services: Services, family: Row, bob: UserRow
) -> None:
    async with looking_at(services.db) as conn:
        row = dict((await conn.execute(select(refresh_tokens))).one()._mapping)
    invalid_values: list[Row] = [
        {"slot": 16},
        {"slot": -1},
        {"generation": 0},
        {"user_id": bob.id},  # a family of another user
        {"family_id": uuid4()},
        *({name: None} for name in ("generation", "issued_at", "expires_at")),
    ]
    for wrong in invalid_values:
        await assert_refused(services, insert(refresh_tokens).values(row | {"slot": 5} | wrong), wrong)
    await assert_refused(services, insert(refresh_tokens).values(row), "the same again")


async def test_ops_03_the_database_refuses_invalid_rows_of_other_tables(services: Services, family: Row) -> None:
    now, user_id = family["created_at"], family["user_id"]
    event = {"user_id": user_id, "id": uuid4(), "kind": "LOGIN_FAILED", "occurred_at": now}
    failure = {"subject": b"x" * 32, "failures": 1, "first_failed_at": now, "last_failed_at": now}
    async with looking_at(services.db) as conn:
        key = dict((await conn.execute(select(signing_keys))).one()._mapping)
        user = dict((await conn.execute(select(users).where(users.c.id == user_id))).one()._mapping)
    for table, row, wrong in (
        (security_events, event, {"kind": "PARTY"}),
        (security_events, event, {"kind": None}),
        (security_events, event, {"user_id": uuid4()}),
        (security_events, event, {"user_id": None}),
        (login_failures, failure, {"subject": b"x" * 31}),
        (login_failures, failure, {"failures": -1}),
        (signing_keys, key, {"kid": "another", "algorithm": "HS256"}),
        (signing_keys, key, {"kid": "another", "algorithm": "none"}),
        (signing_keys, key, {}),
        (users, user, {}),
        (users, user, {"id": uuid4(), "hashed_password": None}),
    ):
        await assert_refused(services, insert(table).values(row | wrong), (table.name, wrong))
    await assert_refused(services, delete(users).where(users.c.id == user_id), "a user with families")


async def test_deleting_a_family_deletes_its_lineage_and_no_other(
    api: Api, services: Services, alice: UserRow, bob: UserRow
) -> None:
    for name in ("alice", "bob"):
        pair = await api.login(name)
        for _ in range(3):
            pair = (await ENDPOINTS["rest"](api.http).refresh(pair.refresh)).tokens
    async with looking_at(services.db) as conn:
        await conn.execute(delete(families).where(families.c.user_id == alice.id))
    async with looking_at(services.db) as conn:
        owners = (await conn.execute(select(refresh_tokens.c.user_id))).scalars().all()
    assert owners == [bob.id] * 4


async def test_rot_09_a_replay_is_detected_with_every_lineage_row_deleted(
    api: Api, services: Services, alice: UserRow
) -> None:
    endpoint = ENDPOINTS["graphql"](api.http)
    first = pair = await api.login()
    for _ in range(17):
        pair = (await endpoint.refresh(pair.refresh)).tokens
    async with looking_at(services.db) as conn:
        await conn.execute(delete(refresh_tokens))
    pair = (await endpoint.refresh(pair.refresh)).tokens
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert (await endpoint.refresh(pair.refresh)).outcome == REVOKED


async def assert_refused(services: Services, statement: Any, case: Any) -> None:
    """Assert that the database refuses the statement."""
    refused = False
    try:
        async with looking_at(services.db) as conn:
            await conn.execute(statement)
    except IntegrityError:
        refused = True
    assert refused, case


def with_hmac(key: bytes) -> Callable[[bytes], bytes]:
    return lambda text: hmac.digest(key, text, "sha256")


def digest_of(refresh_token: str) -> bytes:
    _, claims = parts_of(refresh_token)
    return hashlib.sha256(claims["jti"].encode()).digest()
