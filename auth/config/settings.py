"""Settings: read once from the environment, frozen, and passed as an argument."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auth.config.durations import Duration, Leeway, OptionalDuration
from auth.config.lists import Hosts, Networks, Origins
from auth.config.notification_targets import MailAddress, SmtpUrl, WebhookSecret, WebhookUrl, is_safe_webhook
from auth.config.secret_policy import weaknesses
from db.engine.database import url_of
from db.tables.base import NotificationChannel, SigningAlgorithm

Seconds = Annotated[float, Field(gt=0, le=60)]


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """Every setting is the environment variable KINDRED_ and its name in capitals. docs/settings.md lists them all.

    An unknown keyword is an error, so that no test passes because of a misspelt setting.
    """

    model_config = SettingsConfigDict(env_prefix="KINDRED_", frozen=True, extra="forbid", hide_input_in_errors=True)

    environment: Environment = Field(
        Environment.DEVELOPMENT,
        description="`development` or `production`. Production makes nothing up: no secret, no user, no migration.",
    )

    database_url: SecretStr = Field(
        SecretStr("sqlite:///kindred.db"),
        description="The database: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    database_timeout: Seconds = Field(
        5, description="Seconds, at most 60, that a request waits for the database. Then the answer is 503."
    )
    database_pool_size: int = Field(
        10, ge=2, le=1000, description="PostgreSQL connections of each worker, 2 to 1000. SQLite does not use it."
    )
    batch_rotations: bool = Field(
        True,
        description="Send refreshes that wait at the same moment to the database in one statement. Turn it off for a "
        "database that is sharded by user, where a statement must stay on its shard.",
    )

    secret: SecretStr | None = Field(
        None,
        description="The server secret, at least 32 random characters. An attacker who has it and the database can "
        "sign tokens. To replace it, put the new secret before the old one, with a space between them: the first one "
        "signs, the others still verify (docs/keys.md). Production requires it, or the file below.",
    )
    secret_file: Path = Field(
        Path("kindred.secret"),
        description="The file with the server secret, if `KINDRED_SECRET` is not set. Only its owner may be able to "
        "read it. Development creates it with a new secret.",
    )
    signing_algorithm: SigningAlgorithm = Field(
        SigningAlgorithm.EDDSA,
        description="The algorithm of new signing keys for access tokens: `EdDSA` (Ed25519) or `ES256`.",
    )

    issuer: str = Field(
        "kindred",
        min_length=1,
        max_length=255,
        description="The `iss` claim of tokens. Use the service's public URL.",
    )
    audience: str = Field(
        "kindred",
        min_length=1,
        max_length=255,
        description="The `aud` claim of access tokens: the services that accept them.",
    )
    access_token_ttl: Duration = Field(
        timedelta(minutes=15),
        description="The lifetime of an access token. No access token outlives the absolute limit of its session.",
    )
    refresh_token_ttl: Duration = Field(
        timedelta(days=30), description="The idle limit: a session expires if it is not refreshed for this long."
    )
    session_ttl: Duration = Field(
        timedelta(days=30),
        description="The absolute limit: a session expires this long after sign-in, however often it is refreshed.",
    )
    max_sessions_per_user: int = Field(
        100,
        ge=1,
        le=10_000,
        description="How many live sessions a user may have, 1 to 10,000. A sign-in beyond that revokes the session "
        "that was used longest ago.",
    )
    lineage_depth: int = Field(
        16,
        ge=0,
        le=16,
        description="How many generations of a session's lineage its owner can see, 0 to 16.",
    )
    replay_leeway: Leeway = Field(
        timedelta(0),
        description="For clients that cannot send an idempotency key: how long after a rotation, up to 10 seconds, the "
        "same token without a key gets the same answer again instead of revoking the session. 0 is safest.",
    )

    password_min_length: int = Field(8, ge=8, le=64, description="The fewest characters of a new password, 8 to 64.")
    hashing_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="How many passwords each worker hashes at once, up to 64. `0`: as many as the machine has cores.",
    )
    rate_limits: bool = Field(
        True,
        description="Limit login attempts, and refreshes of one session. `off` is for benchmarks; production does not "
        "start with it.",
    )

    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks of the proxies in front of the service, separated by commas. "
        "`X-Forwarded-For` and `X-Forwarded-Proto` are believed from these only.",
    )
    allowed_hosts: Hosts = Field(
        (),
        description="The host names of the service, such as `auth.example.org`, separated by commas. A request with "
        "another `Host` is refused, except to `/healthz` and `/readyz`. If not set, every name is accepted: set it in "
        "production.",
    )
    allowed_origins: Origins = Field(
        (),
        description="The origins whose pages may call the service from a browser (CORS), such as "
        "`https://app.example.org`, separated by commas.",
    )
    http_read_timeout: int = Field(
        10,
        ge=1,
        le=300,
        description="Seconds, 1 to 300, in which the head of a request must arrive, and then its body; and how long a "
        "connection may be idle. Slower clients are disconnected.",
    )

    account_page: bool = Field(
        True, description="Serve the account page at `GET /account`, where users see and revoke their sessions."
    )
    graphiql: bool | None = Field(None, description="Serve GraphiQL to browsers at `GET /graphql`.")
    introspection: bool | None = Field(
        None, description="Disclose the schema: by introspection, and by hints in errors. GraphiQL needs it."
    )
    graphql_plans: bool = Field(
        True,
        description="Execute GraphQL documents by plans, which take less CPU than graphql-core. Turn it off if a plan "
        "has a bug: the responses are the same.",
    )

    webhook_url: WebhookUrl | None = Field(
        None,
        description="Where security notifications are posted. In production `https://`, or this machine itself.",
    )
    webhook_secret: WebhookSecret | None = Field(
        None,
        description="The key that signs webhooks: 24 to 64 random bytes in base64. If there are several, newest first "
        "and separated by commas, all of them sign.",
    )
    smtp_url: SmtpUrl | None = Field(
        None,
        description="The mail server for security notifications: `smtp://USER:PASSWORD@HOST:587` with STARTTLS, or "
        "`smtps://`.",
    )
    mail_from: MailAddress | None = Field(None, description="The sender's address of these mails.")

    session_retention: Duration = Field(
        timedelta(days=30),
        description="How long pruning keeps ended sessions, counts of failed login attempts, and notifications.",
    )
    event_retention: Duration = Field(
        timedelta(days=180),
        description="How long pruning keeps security events, and the networks that a user has signed in from.",
    )
    prune_interval: OptionalDuration = Field(
        timedelta(hours=1),
        description="How often one of the workers prunes, at most a day. `0`: never; run `kindred prune` instead.",
    )

    log_level: LogLevel = Field(
        LogLevel.INFO, description="The lowest level that is logged: `debug`, `info`, `warning` or `error`."
    )
    metrics: bool | None = Field(
        None,
        description="Serve Prometheus metrics at `GET /metrics` (docs/operating.md). Block that path at the proxy.",
    )

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr) -> SecretStr:
        url_of(value.get_secret_value())
        return value

    @field_validator("secret", "webhook_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (reason := weaknesses(value.get_secret_value())):
            raise ValueError(reason)
        return value

    @field_validator("secret_file")
    @classmethod
    def _check_secret_file(cls, value: Path) -> Path:
        if value == Path():
            raise ValueError("must be the path of a file")
        return value

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.in_production and not self.rate_limits:
            raise ValueError("KINDRED_RATE_LIMITS must not be off in production; off is for benchmarks")
        if self.access_token_ttl > self.session_ttl:
            raise ValueError("KINDRED_ACCESS_TOKEN_TTL must not be longer than KINDRED_SESSION_TTL")
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("Set both KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET, or neither")
        if (self.smtp_url is None) != (self.mail_from is None):
            raise ValueError("Set both KINDRED_SMTP_URL and KINDRED_MAIL_FROM, or neither")
        if self.in_production and self.webhook_url and not is_safe_webhook(self.webhook_url.get_secret_value()):
            raise ValueError("KINDRED_WEBHOOK_URL must be an https:// URL in production")
        return self

    @property
    def in_production(self) -> bool:
        """Whether an operator must choose what development makes up, such as the secret."""
        return self.environment is Environment.PRODUCTION

    @property
    def channels(self) -> list[NotificationChannel]:
        """The notification channels that are set up."""
        targets = {NotificationChannel.WEBHOOK: self.webhook_url, NotificationChannel.MAIL: self.smtp_url}
        return [channel for channel, target in targets.items() if target is not None]

    @property
    def graphiql_enabled(self) -> bool:
        """Whether `GET /graphql` serves GraphiQL to a browser."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def metrics_enabled(self) -> bool:
        """Whether `GET /metrics` is served."""
        return not self.in_production if self.metrics is None else self.metrics

    @property
    def introspection_enabled(self) -> bool:
        """Whether the API discloses its schema, by introspection and by hints in errors."""
        return not self.in_production if self.introspection is None else self.introspection


# The headings of docs/settings.md, each by the first setting under it.
GROUPS = {
    "environment": "Environment",
    "database_url": "Database",
    "secret": "Secret and keys",
    "issuer": "Tokens and sessions",
    "password_min_length": "Sign-in",
    "trusted_proxies": "HTTP",
    "account_page": "Pages",
    "webhook_url": "Notifications",
    "session_retention": "Retention",
    "log_level": "Observability",
}
