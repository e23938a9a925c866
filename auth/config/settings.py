"""Settings: read once from the environment, frozen, and passed on as an argument."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auth.config.durations import Duration, Leeway, OptionalDuration
from auth.config.endpoints import MailAddress, SmtpUrl, WebhookSecret, WebhookUrl, is_safe_webhook
from auth.config.lists import Hosts, Networks, Origins
from auth.config.secret_policy import weaknesses
from db.engine.database import url_of
from db.tables.base import NotificationChannel, SigningAlgorithm

Seconds = Annotated[float, Field(gt=0, le=60)]


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    """From which level on lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """Every setting is the environment variable KINDRED_ and its name in capitals. All are in the README."""

    model_config = SettingsConfigDict(env_prefix="KINDRED_", frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Environment = Field(Environment.DEVELOPMENT, description="`development` or `production`.")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///kindred.db"),
        description="Where the data is: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    database_timeout: Seconds = Field(
        5, description="Seconds that a request may wait for the database before it is answered with 503."
    )
    database_pool_size: int = Field(10, ge=2, le=1000, description="PostgreSQL connections of each worker.")
    batch_rotations: bool = Field(
        True,
        description="Whether refreshes that wait at the same moment are sent to the database together. Off for one "
        "that is sharded by user, where a statement must stay on its shard.",
    )
    secret: SecretStr | None = Field(
        None,
        description="The server secret, at least 32 random characters. Whoever has it and the database can sign "
        "tokens. To replace it, put the new one before it with a space between them: the first one signs, the others "
        "still read. In development, one of its own making is kept in the file that `KINDRED_SECRET_FILE` names.",
    )
    secret_file: Path = Field(
        Path("kindred.secret"),
        description="A file to read the secret from where `KINDRED_SECRET` is not set.",
    )
    issuer: str = Field(
        "kindred",
        min_length=1,
        max_length=255,
        description="The `iss` claim of tokens; best the service's public URL.",
    )
    audience: str = Field(
        "kindred",
        min_length=1,
        max_length=255,
        description="The `aud` claim of access tokens: who accepts them.",
    )
    access_token_ttl: Duration = Field(
        timedelta(minutes=15),
        description="How long an access token lasts. Seconds, or ISO 8601 such as `PT15M`.",
    )
    refresh_token_ttl: Duration = Field(
        timedelta(days=30), description="The idle limit: a session that nobody refreshes for so long ends."
    )
    session_ttl: Duration = Field(
        timedelta(days=30),
        description="The absolute limit: a session ends then, however often it is refreshed.",
    )
    max_sessions_per_user: int = Field(
        100,
        ge=1,
        le=10_000,
        description="How many live sessions a user may have. A sign-in beyond that ends the one used longest ago.",
    )
    signing_algorithm: SigningAlgorithm = Field(
        SigningAlgorithm.EDDSA,
        description="For new signing keys of access tokens: `EdDSA` (Ed25519) or `ES256`.",
    )
    lineage_depth: int = Field(
        16,
        ge=0,
        le=16,
        description="How many generations of a session's lineage are kept for its owner to see.",
    )
    replay_leeway: Leeway = Field(
        timedelta(0),
        description="For clients that cannot send an idempotency key: how long after a rotation the same token, "
        "presented again without a key, gets the same answer again instead of ending the session. 0 is safest.",
    )
    password_min_length: int = Field(8, ge=8, le=64, description="The shortest password that may be set.")
    hashing_threads: int = Field(
        0, ge=0, le=64, description="Passwords hashed at once in each worker. 0: as many as there are cores."
    )
    rate_limits: bool = Field(
        True, description="Whether guesses and refreshes are throttled. Off for benchmarks only; never in production."
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks of the proxies in front, with commas between them: from these, and from "
        "nobody else, `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
    )
    allowed_hosts: Hosts = Field(
        (),
        description="The names that the service goes by, with commas between them: a request for any other is refused. "
        "None: any name will do.",
    )
    allowed_origins: Origins = Field(
        (),
        description="The origins whose pages may call the service from a browser (CORS), such as "
        "`https://app.example.org`, with commas between them.",
    )
    http_read_timeout: int = Field(
        10,
        ge=1,
        le=300,
        description="Seconds that the head of a request may take to arrive, and then its body; and how long a "
        "connection may be idle.",
    )
    session_retention: Duration = Field(
        timedelta(days=30),
        description="How long pruning keeps ended sessions and old failed sign-ins.",
    )
    event_retention: Duration = Field(
        timedelta(days=180),
        description="How long pruning keeps security events, and networks that a user has signed in from.",
    )
    prune_interval: OptionalDuration = Field(
        timedelta(hours=1),
        description="How often the service prunes by itself, whichever worker comes first: a day at most. 0: never; "
        "run `kindred prune` instead.",
    )
    webhook_url: WebhookUrl | None = Field(
        None, description="Where owners' notices are posted: an HTTPS URL, or an HTTP one in development."
    )
    webhook_secret: WebhookSecret | None = Field(
        None,
        description="What webhooks are signed with: 24 to 64 random bytes in base64. Several, newest first and with "
        "commas between them, all sign.",
    )
    smtp_url: SmtpUrl | None = Field(
        None,
        description="The server that takes mail to owners: `smtp://USER:PASSWORD@HOST:587` with STARTTLS, or `smtps://`.",
    )
    mail_from: MailAddress | None = Field(None, description="The sender's address of that mail.")
    account_page: bool = Field(
        True, description="Whether `GET /account` is there, where people see and end their sessions."
    )
    graphiql: bool | None = Field(
        None, description="Whether `GET /graphql` shows GraphiQL. Not set: in development only."
    )
    introspection: bool | None = Field(
        None,
        description="Whether the API tells its schema: by introspection, and by hints in errors. Not set: in "
        "development only.",
    )
    graphql_plans: bool = Field(
        True,
        description="Execute GraphQL documents by plans, which take less CPU than graphql-core. Turn it off if a plan "
        "has a bug: the responses are the same.",
    )
    log_level: LogLevel = Field(
        LogLevel.INFO, description="From which level on lines are logged: `debug`, `info`, `warning` or `error`."
    )
    metrics: bool | None = Field(
        None, description="Whether `GET /metrics` tells Prometheus how it goes. Not set: in development only."
    )

    @field_validator("database_url")
    @classmethod
    def _supported(cls, value: SecretStr) -> SecretStr:
        url_of(value.get_secret_value())
        return value

    @field_validator("secret", "webhook_secret")
    @classmethod
    def _fit(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (reason := weaknesses(value.get_secret_value())):
            raise ValueError(reason)
        return value

    @field_validator("secret_file")
    @classmethod
    def _named(cls, value: Path) -> Path:
        if value == Path():
            raise ValueError("must name a file")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.in_production and not self.rate_limits:
            raise ValueError("KINDRED_RATE_LIMITS=off is for benchmarks, and not for production")
        if self.access_token_ttl > self.session_ttl:
            raise ValueError("KINDRED_ACCESS_TOKEN_TTL must not be longer than KINDRED_SESSION_TTL")
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("KINDRED_WEBHOOK_URL and KINDRED_WEBHOOK_SECRET need each other")
        if (self.smtp_url is None) != (self.mail_from is None):
            raise ValueError("KINDRED_SMTP_URL and KINDRED_MAIL_FROM need each other")
        if self.in_production and self.webhook_url and not is_safe_webhook(self.webhook_url.get_secret_value()):
            raise ValueError("KINDRED_WEBHOOK_URL must be an https:// URL in production")
        return self

    @property
    def in_production(self) -> bool:
        """Whether nothing may be made up that an operator has to choose."""
        return self.environment is Environment.PRODUCTION

    @property
    def channels(self) -> list[NotificationChannel]:
        """How owners are told; nothing is written for them where there is none."""
        ways = {NotificationChannel.WEBHOOK: self.webhook_url, NotificationChannel.MAIL: self.smtp_url}
        return [channel for channel, where in ways.items() if where is not None]

    @property
    def graphiql_enabled(self) -> bool:
        """Whether `GET /graphql` answers a browser with GraphiQL."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def metrics_enabled(self) -> bool:
        """Whether `GET /metrics` is there."""
        return not self.in_production if self.metrics is None else self.metrics

    @property
    def introspection_enabled(self) -> bool:
        """Whether the API tells what it has, by introspection and by hints in errors."""
        return not self.in_production if self.introspection is None else self.introspection
