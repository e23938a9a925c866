"""Settings: read once from the environment, frozen, and passed on as an argument."""

from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from auth.secret_rules import unfit_list
from db.base import SigningAlgorithm
from db.engine import url_of

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
    access_token_ttl: timedelta = Field(
        timedelta(minutes=15),
        description="How long an access token lasts. Seconds, or ISO 8601 such as `PT15M`.",
    )
    refresh_token_ttl: timedelta = Field(
        timedelta(days=30), description="The idle limit: a session that nobody refreshes for so long ends."
    )
    session_ttl: timedelta = Field(
        timedelta(days=30),
        description="The absolute limit: a session ends then, however often it is refreshed.",
    )
    sessions_per_user: int = Field(
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
    replay_leeway: timedelta = Field(
        timedelta(0),
        description="For clients that cannot send an idempotency key: how long after a rotation the same token, "
        "presented again without a key, gets the same answer again instead of ending the session. 0 is safest.",
    )
    password_min_length: int = Field(8, ge=8, le=64, description="The shortest password that may be set.")
    hashing_threads: int = Field(
        0, ge=0, le=64, description="Passwords hashed at once in each worker. 0: as many as there are cores."
    )
    throttle: bool = Field(
        True, description="Whether guesses and refreshes are throttled. Off for benchmarks only; never in production."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of the proxies in front, with commas between them: from these, and from "
        "nobody else, `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
    )
    retention: timedelta = Field(
        timedelta(days=30),
        description="How long pruning keeps ended sessions and old failed sign-ins.",
    )
    event_retention: timedelta = Field(
        timedelta(days=180),
        description="How long pruning keeps security events, and networks that a user has signed in from.",
    )
    prune_interval: timedelta = Field(
        timedelta(hours=1),
        description="How often the service prunes by itself, whichever worker comes first. 0: never; run "
        "`kindred prune` instead.",
    )
    graphiql: bool | None = Field(
        None, description="Whether `GET /graphql` shows GraphiQL. Not set: in development only."
    )
    introspection: bool | None = Field(
        None,
        description="Whether the API tells its schema: by introspection, and by hints in errors. Not set: in "
        "development only.",
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

    @field_validator("secret")
    @classmethod
    def _fit(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (reason := unfit_list(value.get_secret_value())):
            raise ValueError(reason)
        return value

    @field_validator("secret_file")
    @classmethod
    def _named(cls, value: Path) -> Path:
        if value == Path():
            raise ValueError("must name a file")
        return value

    @field_validator(
        "access_token_ttl",
        "refresh_token_ttl",
        "session_ttl",
        "replay_leeway",
        "retention",
        "event_retention",
        "prune_interval",
        mode="before",
    )
    @classmethod
    def _seconds(cls, value: object) -> object:
        # What comes from the environment is text, and Pydantic reads numbers alone as seconds.
        return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value

    @field_validator("access_token_ttl", "refresh_token_ttl", "session_ttl", "retention", "event_retention")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("must be at least one second")
        return value

    @field_validator("replay_leeway")
    @classmethod
    def _short(cls, value: timedelta) -> timedelta:
        # Within the leeway whoever holds the old token gets the new one: ROT-12.
        if not timedelta(0) <= value <= timedelta(seconds=10):
            raise ValueError("must be between 0 and 10 seconds")
        return value

    @field_validator("prune_interval")
    @classmethod
    def _not_negative(cls, value: timedelta) -> timedelta:
        if value and value < timedelta(seconds=1):
            raise ValueError("must be at least one second, or 0 for never")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        texts = [text.strip() for text in value.split(",")] if isinstance(value, str) else value
        if isinstance(texts, list):
            try:
                return tuple(str(ip_network(text)) for text in texts if text)
            except ValueError:
                raise ValueError("must be addresses or networks such as 10.0.0.0/8, with commas between them") from None
        return texts

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.in_production and not self.throttle:
            raise ValueError("KINDRED_THROTTLE=off is for benchmarks, and not for production")
        if self.access_token_ttl > self.session_ttl:
            raise ValueError("KINDRED_ACCESS_TOKEN_TTL must not be longer than KINDRED_SESSION_TTL")
        return self

    @property
    def in_production(self) -> bool:
        """Whether nothing may be made up that an operator has to choose."""
        return self.environment is Environment.PRODUCTION

    @property
    def shows_graphiql(self) -> bool:
        """Whether `GET /graphql` answers a browser with GraphiQL."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def shows_metrics(self) -> bool:
        """Whether `GET /metrics` is there."""
        return not self.in_production if self.metrics is None else self.metrics

    @property
    def shows_schema(self) -> bool:
        """Whether the API tells what it has, by introspection and by hints in errors."""
        return not self.in_production if self.introspection is None else self.introspection
