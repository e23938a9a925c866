"""Replacing the server secret while users are signed in: tokens of the old one work until it is dropped."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from auth.config.secret import InvalidSecret, load_secret
from auth.config.settings import Settings
from auth.crypto import signing_keys
from auth.crypto.derived_keys import SecretKeys
from auth.crypto.entropy import Entropy
from auth.crypto.signing_keys import ROTATION_DUE
from auth.services import Services
from db.tables.users import UserRow
from graph.app import create_app
from graph.cli import commands, common, main
from tests.support.clocks import FakeClock
from tests.support.endpoints import ENDPOINTS, INVALID, REPLAYED, REVOKED, ROTATED, UNAVAILABLE, Api, RefreshEndpoint
from tests.support.servers import SECRET as OLD

NEW = "Qe7Ty2Ui9Op4As6Df1Gh8Jk3Lz5Xc0Vb"
OTHER = "Zt5Wq8Rk1Vb7Nc3Xm9Lp2Jh6Gf4Ds0Ay"
KEY = "the-attempt-that-lost-its-answer"


@dataclass
class Worker:
    """A worker of the service, and its two refresh endpoints."""

    services: Services
    api: Api
    endpoints: dict[str, RefreshEndpoint]


Start = Callable[[str], AbstractAsyncContextManager[Worker]]


@pytest.fixture
def start(database_url: str, clock: FakeClock) -> Start:
    """Start a worker with a list of secrets."""

    @asynccontextmanager
    async def start(secrets: str) -> AsyncIterator[Worker]:
        app = create_app(Settings(database_url=database_url, secret=secrets), clock=clock)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test") as http,
        ):
            yield Worker(app.state.services, Api(http), {name: endpoint(http) for name, endpoint in ENDPOINTS.items()})

    return start


@pytest.fixture(params=list(ENDPOINTS))
def by(request: pytest.FixtureRequest) -> str:
    """The name of a refresh endpoint."""
    return str(request.param)


def is_signed_with(token: str, secret: str) -> bool:
    try:
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        jwt.decode(token, SecretKeys.derive(secret.encode()).refresh_tokens, algorithms=["HS256"], options=options)
    except jwt.InvalidSignatureError:
        return False
    return True


def jti(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


async def test_tok_12_tokens_of_the_old_secret_work_and_their_successors_are_signed_with_the_new_one(
    start: Start, alice: UserRow, by: str
) -> None:
    async with start(OLD) as before:
        pair = await before.api.login()
        assert is_signed_with(pair.refresh, OLD)
    async with start(f"{NEW} {OLD}") as during:
        assert await during.api.is_live(pair.access)
        second = (await during.endpoints[by].refresh(pair.refresh)).tokens
        assert is_signed_with(second.refresh, NEW)
        assert not is_signed_with(second.refresh, OLD)
        # A replay is detected whichever secret signed the token.
        second_pair = await during.api.login()
        assert (await during.endpoints[by].refresh(second_pair.refresh)).outcome == ROTATED
        assert (await during.endpoints[by].refresh(second_pair.refresh)).outcome == REPLAYED
        assert (await during.endpoints[by].refresh(second.refresh)).outcome == ROTATED
        assert (await during.endpoints[by].refresh(pair.refresh)).outcome == REPLAYED


async def test_tok_12_a_repeated_attempt_gets_the_same_successor_after_the_secret_was_replaced(
    start: Start, alice: UserRow, by: str
) -> None:
    """The response was lost, the service restarted with a new secret, and the client repeats its request."""
    async with start(OLD) as before:
        pair = await before.api.login()
        lost_answer = (await before.endpoints[by].refresh(pair.refresh, KEY)).tokens
    async with start(f"{NEW}\n{OLD}") as during:
        for name in ENDPOINTS:
            again = (await during.endpoints[name].refresh(pair.refresh, KEY)).tokens
            assert jti(again.refresh) == jti(lost_answer.refresh)
            assert is_signed_with(again.refresh, NEW)
        third = (await during.endpoints[by].refresh(again.refresh, KEY)).tokens
        assert await during.api.is_live(third.access)
        # Another attempt with the consumed token is a replay, across the change too.
        assert (await during.endpoints[by].refresh(pair.refresh, "another-attempt-altogether")).outcome == REPLAYED


async def test_tok_12_workers_restarted_one_by_one_accept_each_other_s_tokens(
    start: Start, alice: UserRow, by: str
) -> None:
    async with start(f"{OLD} {NEW}") as first, start(f"{NEW} {OLD}") as second:
        pair = await first.api.login()
        for _ in range(3):
            for worker, peer in ((second, first), (first, second)):
                successor = (await worker.endpoints[by].refresh(pair.refresh, KEY)).tokens
                repeated = (await peer.endpoints[by].refresh(pair.refresh, KEY)).tokens
                assert jti(repeated.refresh) == jti(successor.refresh)
                pair = repeated
        assert await first.api.is_live(pair.access)
        assert await second.api.is_live(pair.access)


async def test_tok_12_once_the_keys_are_resealed_the_old_secret_can_be_dropped(
    start: Start, alice: UserRow, by: str
) -> None:
    async with start(OLD) as before:
        late, pair = await before.api.login(), await before.api.login()
    async with start(f"{NEW} {OLD}") as during:
        pair = (await during.endpoints[by].refresh(pair.refresh, KEY)).tokens
        async with start(NEW) as too_early:  # it cannot unseal the key, and answers 503
            assert (await too_early.endpoints[by].refresh(pair.refresh, KEY)).outcome == UNAVAILABLE
        assert await during.services.keys.reseal() == 1
        assert await during.services.keys.reseal() == 0
        # Workers with the same list continue, and so do those that have not been restarted since.
        await during.services.keys.reload()
        assert await during.api.is_live(pair.access)
    async with start(NEW) as after:
        assert await after.api.is_live(pair.access)
        assert (await after.endpoints[by].refresh(pair.refresh)).outcome == ROTATED
        # A client that did not refresh in time signs in again. It is not a replay and revokes nothing.
        assert (await after.endpoints[by].refresh(late.refresh)).outcome == INVALID
        assert await after.api.is_live(late.access)
    async with start(f"{NEW} {OLD}") as back:
        assert (await back.endpoints[by].refresh(late.refresh)).outcome == ROTATED


async def test_tok_12_a_secret_that_is_not_in_the_list_signs_nothing(start: Start, alice: UserRow, by: str) -> None:
    async with start(f"{NEW} {OLD}") as worker:
        pair = await worker.api.login()
        claims = jwt.decode(pair.refresh, options={"verify_signature": False})
        for purpose in ("refresh_tokens", "successors", "sealing"):
            for secret in (NEW, OLD, OTHER):
                key = getattr(SecretKeys.derive(secret.encode()), purpose)
                forged = jwt.encode(claims, key, "HS256", {"typ": "rt+jwt"})
                genuine = purpose == "refresh_tokens" and secret != OTHER
                if not genuine:
                    assert (await worker.endpoints[by].refresh(forged)).outcome == INVALID
        assert (await worker.endpoints[by].refresh(pair.refresh)).outcome == ROTATED


async def test_a_worker_that_cannot_unseal_a_new_key_keeps_the_keys_it_has(
    start: Start, alice: UserRow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    """An operator rotated with a secret that the running workers lack. They log it once and continue."""
    monkeypatch.setattr(signing_keys, "POLL_SECONDS", 0.02)
    async with start(OLD) as worker:
        pair = await worker.api.login()
        async with start(f"{NEW} {OLD}") as other:
            algorithm = other.services.settings.signing_algorithm
            await other.services.keys.rotate(algorithm, clock.now(), access_token_ttl=timedelta(minutes=15))
            with caplog.at_level(logging.ERROR, "kindred"):
                await asyncio.sleep(0.3)
            assert (await worker.endpoints["rest"].refresh(pair.refresh)).outcome == ROTATED
            assert await worker.api.is_live(pair.access)
            # Once, and not at each of a dozen reloads (by this worker, and by the one of the fixtures).
            assert 1 <= len([record for record in caplog.records if record.name == "kindred"]) <= 2
            assert "sealed with another server secret" in caplog.text
            assert not any(secret in caplog.text for secret in (OLD, NEW))
            # Once the key can be unsealed, the worker uses it.
            worker.services.keys.secrets = other.services.keys.secrets
            await asyncio.sleep(0.3)
            assert len(worker.services.keys.ring.jwks(clock.now())["keys"]) == 2


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        (f"{NEW} short", "number 2 of 2) must have at least 32"),
        (f"short {OLD}", "number 1 of 2) must have at least 32"),
        (f"{NEW} {OLD} {'changeme' * 8}", "number 3 of 3) looks like a placeholder"),
        (f"{NEW}\n{'x' * 40}\n", "number 2 of 2) repeats itself"),
        (" ", "must have at least 32"),
        ("\n\n", "must have at least 32"),
    ],
)
def test_tok_02_each_secret_of_a_list_is_checked_by_itself(secrets: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused_setting:
        Settings(secret=secrets)
    assert reason in str(refused_setting.value)
    file = tmp_path / "some.secret"
    file.write_text(secrets)
    file.chmod(0o600)
    with pytest.raises(InvalidSecret) as refused_file:
        load_secret(Settings(secret_file=file), Entropy())
    assert reason in str(refused_file.value)
    for message in (str(refused_setting.value), str(refused_file.value)):
        assert not any(secret in message for secret in (NEW, OLD, "changeme", "x" * 40))


def test_a_secret_file_has_a_secret_on_each_line(tmp_path: Path) -> None:
    file = tmp_path / "some.secret"
    file.write_text(f"{NEW}\n\n{OLD}\r\n{NEW}\n")
    file.chmod(0o600)
    expected = tuple(SecretKeys.derive(secret.encode()) for secret in (NEW, OLD))
    assert SecretKeys.derive_all(load_secret(Settings(secret_file=file), Entropy())) == expected
    assert SecretKeys.derive_all(load_secret(Settings(secret=f"{NEW} {OLD}"), Entropy())) == expected
    for name in ("refresh_tokens", "successors", "sealing"):
        key = getattr(expected[0], name)
        assert len(key) == 32
        assert key.hex() not in repr(expected)
        assert repr(key) not in repr(expected)


@pytest.fixture
def kindred(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`kindred ...` with a list of secrets."""
    monkeypatch.chdir(tmp_path)

    def run(secrets: str, *arguments: str) -> Result:
        env = {"KINDRED_DATABASE_URL": database_url, "KINDRED_SECRET": secrets}
        result = CliRunner().invoke(main, arguments, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert not any(secret in result.output for secret in secrets.split())
        return result

    return run


def test_check_warns_of_keys_of_an_older_secret_until_they_are_resealed(kindred: Callable[..., Result]) -> None:
    assert kindred(OLD, "key", "rotate").exit_code == 0
    checked = kindred(f"{NEW} {OLD}", "check")
    assert checked.exit_code == 0
    assert "ok  secret (and 1 older, still read)" in checked.stdout
    warning = "warn  1 of the signing keys are sealed with an older server secret. Run `kindred key reseal`."
    assert checked.stdout.splitlines()[-1] == warning
    refused = kindred(OTHER, "key", "reseal")
    assert (refused.exit_code, "sealed with another server secret" in refused.stderr) == (1, True)
    assert kindred(f"{NEW} {OLD}", "key", "reseal").stdout == "Sealed 1 key with the newest server secret.\n"
    assert "warn" not in kindred(f"{NEW} {OLD}", "check").stdout
    assert kindred(NEW, "check").exit_code == 0
    assert kindred(OLD, "check").exit_code == 1
    # A key sealed with a secret that no worker has would prevent all of them from starting.
    refused = kindred(OLD, "key", "rotate")
    assert (refused.exit_code, "sealed with another server secret" in refused.stderr) == (1, True)
    assert len(kindred(NEW, "key", "list").stdout.splitlines()) == 2


def test_tok_12_check_warns_when_the_signing_key_is_due_for_rotation(
    kindred: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    assert kindred(OLD, "key", "rotate").exit_code == 0
    for module in (commands, common):
        monkeypatch.setattr(module, "SystemClock", lambda: clock)
    clock.advance(ROTATION_DUE)
    assert "warn" not in kindred(OLD, "check").stdout
    clock.advance(timedelta(hours=1))
    checked = kindred(OLD, "check")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[-1] == (
        "warn  The newest signing key has signed for 90 days. Run `kindred key rotate`."
    )
    assert kindred(OLD, "key", "rotate").exit_code == 0
    assert "warn" not in kindred(OLD, "check").stdout


async def test_revoked_sessions_stay_revoked_under_the_new_secret(start: Start, alice: UserRow, by: str) -> None:
    async with start(OLD) as before:
        pair = await before.api.login()
        await before.api.data("mutation { revokeAllSessions { revokedCount } }", bearer=pair.access)
    async with start(f"{NEW} {OLD}") as during:
        assert (await during.endpoints[by].refresh(pair.refresh)).outcome == REVOKED
        assert not await during.api.is_live(pair.access)
