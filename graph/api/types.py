"""What the API shows. Here, and only here, a *family* becomes a *session*."""

from datetime import datetime
from enum import Enum
from typing import Self, TypeVar, cast

import strawberry

from auth import outcomes
from db.tables.base import RevocationReason, SecurityEventKind, SessionState
from db.tables.families import FamilyRow, state_of
from db.tables.refresh_tokens import RefreshTokenRow
from db.tables.security_events import SecurityEventRow
from db.tables.users import UserRow
from graph.api.context import Info
from graph.api.device_names import describe_device

E = TypeVar("E", bound=type[Enum])


def describe_enum(enum: E, description: str, **values: str) -> E:
    """Make a GraphQL enum of one that the store knows, with a description for each of its values."""
    strawberry.enum(enum, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values[value.name]
    return enum


describe_enum(
    SessionState,
    "Where a session is in its life.",
    ACTIVE="It can be refreshed.",
    EXPIRED="Nobody refreshed it in time, or it reached its absolute limit.",
    REVOKED="It was ended before it expired.",
)
describe_enum(
    RevocationReason,
    "Why a session was ended before it expired.",
    REVOKED_BY_USER="Its owner signed out or ended it from another session.",
    REFRESH_TOKEN_REPLAYED="A refresh token of the session was presented after it had been rotated.",
    PASSWORD_CHANGED="The password was changed.",
    USER_DISABLED="The account was disabled.",
    SESSION_LIMIT="The user had too many sessions, and this was the one used longest ago.",
    REVOKED_BY_OPERATOR="An operator ended it.",
)
describe_enum(
    SecurityEventKind,
    "What happened to an account.",
    LOGIN_SUCCEEDED="Somebody signed in with the right password.",
    LOGIN_FAILED="Somebody tried to sign in, or to change the password, with a wrong password.",
    LOGIN_THROTTLED="Somebody tried too often, and was told to wait.",
    REFRESH_TOKEN_REPLAYED="A refresh token was presented after it had been rotated, and its session was ended.",
    SESSION_REVOKED="A session was ended before it expired.",
    PASSWORD_CHANGED="The password was changed.",
    USER_DISABLED="The account was disabled.",
)


@strawberry.interface(description="An object with a globally unique, opaque ID.")
class Node:
    id: strawberry.ID = strawberry.field(description="Globally unique, and opaque: do not take it apart.")


@strawberry.type(description="A person who can sign in.")
class User(Node):
    username: str = strawberry.field(description="The name the person signs in with.")
    email: str | None = strawberry.field(description="Where security notices go. Null if none was given.")
    created_at: datetime = strawberry.field(description="When the account was made.")

    @classmethod
    def of(cls, user: UserRow) -> Self:
        return cls(id=strawberry.ID(str(user.id)), username=user.username, email=user.email, created_at=user.created_at)


@strawberry.type(description="What a password is worth.")
class PasswordCheck:
    strength: int = strawberry.field(description="0 to 4. `changePassword` takes what has 2 or more.")
    weakness: str | None = strawberry.field(
        description="Why it would not do, as a sentence for a person; null if it would."
    )


@strawberry.type(description="A refresh token that was issued in a session. Never the token itself.")
class IssuedToken:
    generation: int = strawberry.field(description="1 for the sign-in's own token, one more for each rotation.")
    issued_at: datetime = strawberry.field(description="When it was issued.")
    rotated_at: datetime | None = strawberry.field(
        description="When it was exchanged for its successor. Null for the newest."
    )
    ip_address: str | None = strawberry.field(
        description="Where the request that obtained it came from. Null if not recorded."
    )
    user_agent: str | None = strawberry.field(description="Cut at 512 characters. Null if none was sent.")

    @classmethod
    def lineage(cls, newest_first: list[RefreshTokenRow]) -> list[Self]:
        # Nothing marks a token as rotated: its end is the next one's beginning.
        successors: list[RefreshTokenRow | None] = [None, *newest_first]
        return [
            cls(
                generation=issued.generation,
                issued_at=issued.issued_at,
                rotated_at=successor.issued_at if successor else None,
                ip_address=issued.ip,
                user_agent=issued.user_agent,
            )
            for issued, successor in zip(newest_first, successors, strict=False)
        ]


@strawberry.type(
    description="One sign-in on one device: the family of every refresh token descended from that sign-in."
)
class Session(Node):
    family: strawberry.Private[FamilyRow]
    state: SessionState = strawberry.field(description="Where the session is in its life.")
    device_name: str = strawberry.field(
        description="The name given at sign-in or later, else one derived from the user agent, "
        "such as `Firefox on Linux`."
    )
    user_agent: str | None = strawberry.field(
        description="The User-Agent header of the sign-in, as sent, cut at 512 characters. Null if none was sent."
    )
    ip_address: str | None = strawberry.field(
        description="The address that last used the session. Null if not recorded."
    )
    created_at: datetime = strawberry.field(description="When the person signed in.")
    last_used_at: datetime = strawberry.field(
        description="When a refresh token of this session was last exchanged; at first, the sign-in."
    )
    expires_at: datetime = strawberry.field(
        description="When the session ends if nobody refreshes it: the idle limit, never past the absolute one."
    )
    absolute_expires_at: datetime = strawberry.field(description="When the session ends however often it is refreshed.")
    revoked_at: datetime | None = strawberry.field(description="Null unless the state is REVOKED.")
    revocation_reason: RevocationReason | None = strawberry.field(description="Null unless the state is REVOKED.")

    @classmethod
    def of(cls, family: FamilyRow, now: datetime) -> Self:
        state = state_of(family, now)
        is_revoked = state is SessionState.REVOKED
        return cls(
            id=strawberry.ID(str(family.id)),
            family=family,
            state=state,
            device_name=family.device_name or describe_device(family.user_agent),
            user_agent=family.user_agent,
            ip_address=family.ip,
            created_at=family.created_at,
            last_used_at=family.last_used_at,
            expires_at=family.expires_at,
            absolute_expires_at=family.absolute_expires_at,
            revoked_at=family.revoked_at if is_revoked else None,
            revocation_reason=RevocationReason(str(family.revocation_reason)) if is_revoked else None,
        )

    @strawberry.field(description="Whether this request was made with an access token of this session.")
    def is_current(self, info: Info) -> bool:
        # A list has it for each of its sessions, and by then it is known who asks: then nothing has to be awaited.
        if (caller := info.context.authenticated_session) is not None:
            return caller.id == self.family.id
        if info.context.is_anonymous:
            return False  # as at a sign-in
        return cast(bool, self._is_current(info))

    async def _is_current(self, info: Info) -> bool:
        caller = await info.context.optional_caller()
        return caller is not None and caller.id == self.family.id

    @strawberry.field(
        description="The newest tokens of the family, newest first, at most sixteen: who rotated when and from where."
    )
    async def lineage(self, info: Info) -> list[IssuedToken]:
        family = self.family
        newest_first = await info.context.lineages.load((family.user_id, family.id))
        await info.context.yield_to_loop()
        return IssuedToken.lineage(newest_first)


@strawberry.type(description="Something that happened to the account, worth its owner's attention.")
class SecurityEvent(Node):
    stored: strawberry.Private[SecurityEventRow]
    kind: SecurityEventKind = strawberry.field(description="What happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    ip_address: str | None = strawberry.field(description="Where the request came from. Null if not recorded.")
    user_agent: str | None = strawberry.field(description="Cut at 512 characters. Null if none was sent.")
    generation: int | None = strawberry.field(
        description="Of a replay: which generation of the session's tokens came again, so that two parties held it. "
        "Null for all else."
    )

    @classmethod
    def of(cls, stored: SecurityEventRow) -> Self:
        replay = stored.kind == SecurityEventKind.REFRESH_TOKEN_REPLAYED
        return cls(
            id=strawberry.ID(str(stored.id)),
            stored=stored,
            kind=SecurityEventKind(stored.kind),
            occurred_at=stored.occurred_at,
            ip_address=stored.ip,
            user_agent=stored.user_agent,
            generation=int(stored.detail) if replay and stored.detail else None,
        )

    @strawberry.field(
        description="The session it is about. Null if there was none, as for a failed sign-in, or it is long gone."
    )
    async def session(self, info: Info) -> Session | None:
        if self.stored.family_id is None:
            return None
        family = await info.context.families.load((self.stored.user_id, self.stored.family_id))
        await info.context.yield_to_loop()
        return Session.of(family, info.context.now) if family else None


@strawberry.type(
    description="The credentials of a session, shown once. The server keeps no copy that it could show again."
)
class TokenPair:
    access_token: str = strawberry.field(description="A signed JWT, for the header `Authorization: Bearer`.")
    refresh_token: str = strawberry.field(
        description="Good for one `refreshToken` call. Empty where it is in the cookie."
    )
    token_type: str = strawberry.field(description="Always `bearer`.")
    expires_in: int = strawberry.field(description="The access token's lifetime in seconds.")
    access_token_expires_at: datetime = strawberry.field(description="When the access token ends.")
    refresh_token_expires_at: datetime = strawberry.field(
        description="When the refresh token ends, unless it is exchanged before."
    )

    @classmethod
    def of(cls, pair: outcomes.TokenPair) -> Self:
        return cls(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            token_type="bearer",
            expires_in=pair.expires_in,
            access_token_expires_at=pair.access_token_expires_at,
            refresh_token_expires_at=pair.refresh_token_expires_at,
        )
