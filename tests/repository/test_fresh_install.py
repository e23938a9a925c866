"""A fresh installation: it has no account and no secret, and every entry point refuses a weak secret."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from auth.config.settings import Settings
from graph.cli.development import create_demo_user
from tests.support.endpoints import LOGIN
from tests.support.repository import ROOT
from tests.support.servers import SECRET, environment, serving

BIN = Path(sys.executable).parent
ENTRY_POINTS = {
    "kindred serve": [str(BIN / "kindred"), "serve", "--port", "0"],
    "alembic": [str(BIN / "alembic"), "upgrade", "head"],
    "uvicorn": [str(BIN / "uvicorn"), "graph.app:from_environment", "--factory", "--port", "0"],
}
WEAK_SECRETS = {
    "short": "hunter2-hunter2",
    "placeholder": "changeme-hunter2-changeme-hunter2-changeme",
    "repeated": "hunter2" * 8,
    "second": f"{SECRET} hunter2-hunter2",
}


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize("weakness", WEAK_SECRETS)
def test_ops_01_tok_02_every_entry_point_refuses_a_weak_secret(
    sqlite_url: str, entry_point: str, weakness: str
) -> None:
    variables = environment(sqlite_url, KINDRED_SECRET=WEAK_SECRETS[weakness], KINDRED_ENVIRONMENT="production")
    answer = subprocess.run(
        ENTRY_POINTS[entry_point], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode != 0
    said = answer.stdout + answer.stderr
    assert "KINDRED_SECRET: " in said or re.search(r"^secret$", said, re.M)
    assert "openssl rand -base64 32" in said
    assert "hunter2" not in said
    assert SECRET not in said


async def test_cred_13_production_has_no_default_account(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path) as server, httpx2.AsyncClient() as http:
        for name in ("admin", "root", "demo", "kindred", "administrator"):
            for password in (name, "password", "changeme", ""):
                body = {"query": LOGIN, "variables": {"input": {"username": name, "password": password}}}
                answer = (await http.post(f"{server.url}/graphql", json=body)).json()
                assert answer["data"]["login"]["__typename"] == "InvalidCredentialsError"
    command = [str(BIN / "kindred"), "user", "list"]
    listed = subprocess.run(command, cwd=tmp_path, env=environment(database_url), capture_output=True, text=True)
    assert (listed.returncode, listed.stdout.splitlines()[1:]) == (0, [])


def test_cred_13_no_migration_adds_a_user_and_the_secret_has_no_default() -> None:
    for path in (ROOT / "migrations").glob("**/*.py"):
        assert not re.search(r"insert", path.read_text(encoding="utf-8"), re.I), path
    text = (ROOT / "auth" / "config" / "settings.py").read_text(encoding="utf-8")
    assert re.search(r"secret: SecretStr \| None = Field\(\s+None,", text)


def test_check_finds_no_problem_in_a_new_database(database_url: str, tmp_path: Path) -> None:
    variables = environment(database_url, KINDRED_ENVIRONMENT="production")
    answer = subprocess.run(
        [str(BIN / "kindred"), "check"], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [line[:4] for line in answer.stdout.splitlines()] == ["ok  "] * 7


@pytest.mark.real_hash_cost
async def test_of_three_concurrent_first_starts_one_creates_the_demo_user(sqlite_url: str) -> None:
    settings = Settings(database_url=sqlite_url, secret=SECRET)
    made = await asyncio.gather(*(create_demo_user(settings) for _ in range(3)))
    assert len([password for password in made if password]) == 1
