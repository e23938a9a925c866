"""Settings: their defaults, errors that name a setting without its value, and the secret that production requires."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner, Result

from auth.config.notification_targets import mail_server, webhook_keys
from auth.config.settings import GROUPS, Environment, Settings
from graph.cli import main
from tests.support.databases import migrated_sqlite
from tests.support.repository import ROOT
from tests.support.servers import SECRET

PAGE = ROOT / "docs" / "settings.md"
WEBHOOK_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # the specification's example
BOTH_WEBHOOK_SETTINGS = "Set both KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET, or neither"
BOTH_MAIL_SETTINGS = "Set both KINDRED_SMTP_URL and KINDRED_MAIL_FROM, or neither"
OTHER_SECRET = "Zt5Wq8Rk1Vb7Nc3Xm9Lp2Jh6Gf4Ds0Ay"
Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start without settings in the environment, in a folder without files."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KINDRED_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kindred(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `kindred ...` with settings. A server that would start is a failure."""

    def start(*_: Any, **__: Any) -> None:
        raise AssertionError("it would start")

    monkeypatch.setattr(uvicorn, "run", start)

    def run(command: str, **settings: str) -> Result:
        env = {f"KINDRED_{name}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, command.split(), env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def test_the_defaults_are_for_development() -> None:
    settings = Settings()
    assert settings.environment is Environment.DEVELOPMENT
    assert settings.database_url.get_secret_value() == "sqlite:///kindred.db"
    assert (settings.secret, settings.secret_file) == (None, Path("kindred.secret"))
    assert settings.access_token_ttl == timedelta(minutes=15)
    assert settings.refresh_token_ttl == settings.session_ttl == timedelta(days=30)
    assert (settings.lineage_depth, settings.replay_leeway) == (16, timedelta(0))
    assert (settings.password_min_length, settings.signing_algorithm) == (8, "EdDSA")
    assert settings.graphiql_enabled


def test_production_serves_no_graphiql_unless_the_setting_says_so() -> None:
    assert not Settings(environment="production").graphiql_enabled
    assert Settings(environment="production", graphiql=True).graphiql_enabled


def test_settings_are_frozen_and_show_no_secret() -> None:
    settings = Settings(secret=SECRET, database_url="postgresql://kindred:hunter2@db/kindred")
    assert SECRET not in repr(settings) + str(settings)
    assert "hunter2" not in repr(settings) + str(settings)
    with pytest.raises(ValidationError):
        settings.secret = SecretStr(OTHER_SECRET)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ENVIRONMENT", ["", "prod", "PRODUCTION", "staging"]),
        ("DATABASE_URL", ["", "hunter2", "mysql://u:hunter2@h/d", "postgresql+psycopg://u:hunter2@h/d", "/hunter2.db"]),
        ("DATABASE_TIMEOUT", ["", "0", "-1", "61", "soon", "nan", "inf"]),
        ("DATABASE_POOL_SIZE", ["0", "1", "1001", "1.5", "many"]),
        ("SECRET", ["", "short", "x" * 40, "changeme" * 8, "0123456789" * 3 + "1", "abababababababababababababababab"]),
        ("SECRET_FILE", [""]),
        ("ISSUER", ["", "x" * 256]),
        ("AUDIENCE", ["", "x" * 256]),
        ("ACCESS_TOKEN_TTL", ["0", "-1", "soon", "P0D", "0.5"]),
        ("REFRESH_TOKEN_TTL", ["0", "-P1D"]),
        ("SESSION_TTL", ["0", "never"]),
        ("SIGNING_ALGORITHM", ["", "none", "HS256", "RS256", "eddsa"]),
        ("LINEAGE_DEPTH", ["-1", "17", "all"]),
        ("REPLAY_LEEWAY", ["-1", "11", "P1D"]),
        ("PASSWORD_MIN_LENGTH", ["0", "7", "65"]),
        ("HASHING_THREADS", ["-1", "65"]),
        ("MAX_SESSIONS_PER_USER", ["0", "-1", "10001", "many"]),
        ("ALLOWED_HOSTS", ["*", "*.hunter2.org", "https://hunter2.org", "hunter2.org:443", "hunter2.org/x", "a b"]),
        ("ALLOWED_ORIGINS", ["*", "null", "hunter2.org", "https://hunter2.org/", "https://*.hunter2.org"]),
        ("ALLOWED_ORIGINS", ["https://u@hunter2.org", "https://Hunter2.org", "ftp://hunter2.org", "://"]),
        (
            "ALLOWED_ORIGINS",
            ["https://hunter2.org:443", "http://hunter2.org:80", "https://hunter2.org:", "https://h:0"],
        ),
        ("HTTP_READ_TIMEOUT", ["0", "-1", "301", "soon", "1.5"]),
        ("SESSION_RETENTION", ["0"]),
        ("EVENT_RETENTION", ["-1"]),
        ("PRUNE_INTERVAL", ["-1", "0.5", "soon", "PT0.1S"]),
        (
            "WEBHOOK_URL",
            ["", "hunter2.org", "ftp://hunter2.org/", "https://:9", "https://h:0/", "https://h:x/", "http://[::"],
        ),
        ("WEBHOOK_URL", ["https://hunter2.org/a b", "https://hunter2.org/#part", "https://hunter2.örg/"]),
        ("WEBHOOK_SECRET", ["", "hunter2", "whsec_!", "x" * 31, f"{WEBHOOK_SECRET},", f"{WEBHOOK_SECRET},hunter2"]),
        ("WEBHOOK_SECRET", ["whsec_" + "A" * 88 + "hunter2", "changeme" * 4, "A" * 32]),
        (
            "SMTP_URL",
            ["", "hunter2.org", "http://hunter2.org", "smtp://:9", "smtp://u@hunter2.org", "smtp://u:hunter2@h/x"],
        ),
        ("SMTP_URL", ["smtp://u:hunter2@h:0", "smtp://u:hunter2@h:99999", "smtp://u:hunter2@h?starttls=no"]),
        (
            "MAIL_FROM",
            ["", "hunter2", "a@b, hunter2@d", "A <hunter2@b>", "hunter2@b\nBcc: c@d", "hünter2@b", "a b@hunter2"],
        ),
        ("GRAPHIQL", ["", "perhaps"]),
        ("LOG_LEVEL", ["", "loud", "INFO"]),
        ("METRICS", ["", "perhaps"]),
    ],
)
def test_an_invalid_setting_is_named_without_its_value(kindred: Command, name: str, values: list[str]) -> None:
    for value in values:
        result = kindred("check", **{name: value})
        assert (result.exit_code, result.stdout) == (1, ""), value
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"kindred: KINDRED_{name}: ")
        assert len(value) < 5 or value not in line.removeprefix(f"kindred: KINDRED_{name}")
        assert "hunter2" not in line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WEBHOOK_URL": "https://hunter2.org/"}, BOTH_WEBHOOK_SETTINGS),
        ({"WEBHOOK_SECRET": WEBHOOK_SECRET}, BOTH_WEBHOOK_SETTINGS),
        ({"SMTP_URL": "smtp://u:hunter2@h"}, BOTH_MAIL_SETTINGS),
        ({"MAIL_FROM": "kindred@hunter2.org"}, BOTH_MAIL_SETTINGS),
        (
            {"ENVIRONMENT": "production", "WEBHOOK_URL": "http://hunter2.org/", "WEBHOOK_SECRET": WEBHOOK_SECRET},
            "KINDRED_WEBHOOK_URL must be an https:// URL in production",
        ),
    ],
)
def test_notifications_need_both_of_their_settings_and_an_encrypted_webhook_in_production(
    kindred: Command, settings: dict[str, str], message: str
) -> None:
    result = kindred("check", SECRET=SECRET, **settings)
    assert (result.exit_code, result.stderr) == (1, f"kindred: {message}\n")


@pytest.mark.parametrize("url", ["https://hunter2.org/", "http://127.0.0.1:9/", "http://localhost/", "http://[::1]/"])
def test_in_production_a_webhook_uses_https_or_stays_on_this_machine(url: str) -> None:
    settings = Settings(environment="production", secret=SECRET, webhook_url=url, webhook_secret=WEBHOOK_SECRET)
    assert settings.channels == ["webhook"]
    assert "hunter2" not in repr(settings)
    assert WEBHOOK_SECRET not in repr(settings)


def test_a_webhook_secret_is_base64_with_or_without_its_prefix_and_there_may_be_several() -> None:
    bare = WEBHOOK_SECRET.removeprefix("whsec_")
    assert webhook_keys(WEBHOOK_SECRET) == webhook_keys(bare) == [b64decode(bare)]
    other = b64encode(b"x" * 64).decode()
    assert webhook_keys(f"{other} , {WEBHOOK_SECRET}") == [b"x" * 64, b64decode(bare)]
    for size in (23, 65):
        with pytest.raises(ValueError, match="24 to 64 random bytes"):
            webhook_keys(b64encode(b"x" * size).decode())


@pytest.mark.parametrize(
    ("url", "in_production", "port", "tls_from_the_start", "start_tls"),
    [
        ("smtp://mail.example.org", True, 587, False, True),
        ("smtp://mail.example.org", False, 587, False, None),
        ("smtp://u:p%40ss@mail.example.org:25/", False, 25, False, True),
        ("smtps://u:p%40ss@mail.example.org", True, 465, True, False),
        ("smtp://localhost:25", True, 25, False, False),
        ("smtp://u:p%40ss@127.0.0.1", True, 587, False, False),
    ],
)
def test_mail_requires_tls_in_production_and_with_a_password(
    url: str, in_production: bool, port: int, tls_from_the_start: bool, start_tls: bool | None
) -> None:
    server = mail_server(url, in_production=in_production)
    assert (server.port, server.tls_from_the_start, server.start_tls) == (port, tls_from_the_start, start_tls)
    assert (server.username, server.password) == (("u", "p@ss") if "@" in url else (None, None))
    assert "p@ss" not in repr(server)


def test_every_invalid_setting_is_named(kindred: Command) -> None:
    result = kindred("check", ENVIRONMENT="prod", SECRET="short", ACCESS_TOKEN_TTL="soon")
    assert re.findall(r"KINDRED_(\w+): ", result.stderr) == ["ENVIRONMENT", "SECRET", "ACCESS_TOKEN_TTL"]
    result = kindred("check", ACCESS_TOKEN_TTL="P31D")
    assert result.stderr == "kindred: KINDRED_ACCESS_TOKEN_TTL must not be longer than KINDRED_SESSION_TTL\n"


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        "short",
        "x" * 31,
        "x" * 64,
        "abc123" * 10,
        "changeme-changeme-changeme-changeme",
        "my-secret-is-31-characters-long-and-more",
        "Password1Password2Password3Password4",
        "replace-me: this is an EXAMPLE of a key 42",
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "check",
        "user list",
        "prune",
        "key rotate --now",
        "key reseal",
        "session revoke --issued-before 2026-01-01",
    ],
)
def test_tok_02_ops_01_production_refuses_a_missing_or_weak_secret(
    kindred: Command, command: str, secret: str | None
) -> None:
    result = kindred(command, ENVIRONMENT="production", **({} if secret is None else {"SECRET": secret}))
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: KINDRED_SECRET")
    assert not secret or secret not in result.output
    assert list(Path.cwd().glob("*.secret")) == []


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o666, 0o660, 0o610])
def test_data_02_a_secret_file_that_other_users_may_read_is_refused(kindred: Command, mode: int) -> None:
    file = Path("some.secret")
    file.write_text(OTHER_SECRET)
    file.chmod(mode)
    for environment in ("development", "production"):
        result = kindred("user list", SECRET_FILE="some.secret", ENVIRONMENT=environment)
        assert (result.exit_code, result.stderr) == (
            1,
            "kindred: Other users may read some.secret, which holds the server secret. Run: chmod 600 some.secret\n",
        )


@pytest.mark.parametrize("content", [b"", b"short\n", b"changeme" * 8, b"x" * 64, bytes(range(128, 168)), b"\x00" * 40])
def test_a_secret_file_with_a_weak_secret_is_refused(kindred: Command, content: bytes) -> None:
    file = Path("some.secret")
    file.write_bytes(content)
    file.chmod(0o600)
    result = kindred("check", SECRET_FILE="some.secret")
    assert result.exit_code == 1
    assert result.stderr.startswith("kindred: The secret in some.secret ")
    assert file.read_bytes() == content


def test_a_secret_file_that_cannot_be_read_gives_a_one_line_error(kindred: Command) -> None:
    Path("folder").mkdir(mode=0o700)
    for name in ("folder", "no/such/folder/some.secret"):
        result = kindred("check", SECRET_FILE=name)
        assert result.exit_code == 1
        assert result.stderr.startswith("kindred: ")
        assert len(result.stderr.splitlines()) == 1


def test_a_secret_is_read_from_its_file_without_the_newline(kindred: Command, tmp_path: Path) -> None:
    url = migrated_sqlite(tmp_path / "some.db")
    Path("some.secret").write_text(f"{OTHER_SECRET}\n")
    Path("some.secret").chmod(0o400)
    rotated = kindred("key rotate", SECRET_FILE="some.secret", DATABASE_URL=url, ENVIRONMENT="production")
    assert rotated.exit_code == 0
    assert kindred("check", SECRET=OTHER_SECRET, DATABASE_URL=url).exit_code == 0
    assert "another server secret" in kindred("check", SECRET=SECRET, DATABASE_URL=url).stderr


def test_docs_settings_md_is_what_kindred_settings_prints() -> None:
    page = CliRunner().invoke(main, ["settings"]).stdout
    assert PAGE.read_text(encoding="utf-8") == page, "docs/settings.md is out of date. Run `make settings`."


def test_docs_settings_md_has_every_setting_with_its_meaning_and_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `KINDRED_(\w+)` \| ([^|]+) \| ([^|]+) \|$", page, re.M)
    assert [name for name, _, _ in rows] == [name.upper() for name in Settings.model_fields]
    assert re.findall(r"^## (.+)$", page, re.M) == list(GROUPS.values())
    assert next(iter(GROUPS)) == next(iter(Settings.model_fields))
    for name, default, meaning in rows:
        assert meaning.endswith("."), name
        if default.startswith("`"):
            monkeypatch.setenv(f"KINDRED_{name}", default.strip("`"))
        else:
            assert Settings.model_fields[name.lower()].default in (None, ())
    settings = Settings()
    for name, field in Settings.model_fields.items():
        assert getattr(settings, name) == field.default, name


def test_an_unknown_setting_is_an_error_in_code_and_ignored_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValidationError, match="sesion_ttl"):
        Settings(sesion_ttl=60)  # type: ignore[call-arg]
    monkeypatch.setenv("KINDRED_SESION_TTL", "60")
    assert Settings().session_ttl == timedelta(days=30)


def test_a_duration_is_a_number_of_seconds_or_iso_8601(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("60", "PT1M", "PT60S", "00:01:00"):
        monkeypatch.setenv("KINDRED_ACCESS_TOKEN_TTL", text)
        assert Settings().access_token_ttl == timedelta(minutes=1)
    monkeypatch.setenv("KINDRED_REPLAY_LEEWAY", "10")
    assert Settings().replay_leeway == timedelta(seconds=10)


def test_web_03_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDRED_ALLOWED_HOSTS", "Auth.Example.org, 127.0.0.1,[::1],")
    monkeypatch.setenv("KINDRED_ALLOWED_ORIGINS", "https://app.example.org,http://localhost:3000, https://[::1]:8443")
    settings = Settings()
    assert settings.allowed_hosts == ("auth.example.org", "127.0.0.1", "[::1]")
    assert settings.allowed_origins == ("https://app.example.org", "http://localhost:3000", "https://[::1]:8443")
