"""Object types and enums of the API. A token family of the database is a session here."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Self

import strawberry

from auth import outcomes
from db.tables.base import RevocationReason, SecurityEventKind, SessionState
from db.tables.families import FamilyKey, FamilyRow, state_of
from db.tables.refresh_tokens import RefreshTokenRow
from db.tables.security_events import SecurityEventRow
from db.tables.users import UserRow
from graph.api.context import Info
from graph.api.device_names import describe_device
from graph.execution.strawberry_internals import describe_enum

describe_enum(
    SessionState,
    "The state of a session.",
    ACTIVE="The session can be refreshed.",
    EXPIRED="The session was not refreshed in time, or reached its absolute limit.",
    REVOKED="The session was revoked before it expired.",
)
describe_enum(
    RevocationReason,
    "Why a session was revoked.",
    REVOKED_BY_USER="The user signed out, or revoked it from another session.",
    REFRESH_TOKEN_REPLAYED="A refresh token of the session was used after it was rotated.",
    PASSWORD_CHANGED="The password was changed.",
    USER_DISABLED="The account was disabled.",
    SESSION_LIMIT="The user had too many sessions, and this one was the least recently used.",
    REVOKED_BY_OPERATOR="An operator revoked it.",
)
describe_enum(
    SecurityEventKind,
    "The kind of a security event.",
    LOGIN_SUCCEEDED="A sign-in with the right password.",
    LOGIN_FAILED="An attempt to sign in, or to change the password, with a wrong password.",
    LOGIN_THROTTLED="A login attempt was refused because the rate limit was reached.",
    REFRESH_TOKEN_REPLAYED="A refresh token was used after it was rotated, and its session was revoked.",
    SESSION_REVOKED="A session was revoked before it expired.",
    PASSWORD_CHANGED="The password was changed.",
    USER_DISABLED="The account was disabled.",
)


@strawberry.interface(description="An object with a globally unique, opaque ID.")
class Node:
    id: strawberry.ID = strawberry.field(description="Globally unique and opaque: do not parse it.")


@strawberry.type(description="A user, who can sign in.")
class User(Node):
    username: str = strawberry.field(description="The name that the user signs in with.")
    email: str | None = strawberry.field(
        description="The address for security notifications. Null if the user has none."
    )
    created_at: datetime = strawberry.field(description="When the account was created.")

    @classmethod
    def of(cls, user: UserRow) -> Self:
        return cls(id=strawberry.ID(str(user.id)), username=user.username, email=user.email, created_at=user.created_at)


@strawberry.type(description="The strength of a password.")
class PasswordCheck:
    strength: int = strawberry.field(description="0 to 4. `changePassword` accepts 2 or more.")
    weakness: str | None = strawberry.field(
        description="Why `changePassword` would refuse it, as a sentence for the user. Null if it would not."
    )


@strawberry.type(description="A refresh token that was issued in a session. Never the token itself.")
class IssuedToken:
    generation: int = strawberry.field(description="1 for the token of the sign-in, and one more for each rotation.")
    issued_at: datetime = strawberry.field(description="When it was issued.")
    rotated_at: datetime | None = strawberry.field(
        description="When it was exchanged for its successor. Null for the newest token."
    )
    ip_address: str | None = strawberry.field(
        description="The address of the request that obtained it. Null if not recorded."
    )
    user_agent: str | None = strawberry.field(
        description="The User-Agent header of the request, cut at 512 characters. Null if none was sent."
    )

    @classmethod
    def lineage(cls, newest_first: list[RefreshTokenRow]) -> list[Self]:
        # A token was rotated when its successor was issued.
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
    description="One sign-in on one device, with all refresh tokens that descend from it (a token family)."
)
class Session(Node):
    family: strawberry.Private[FamilyRow]
    state: SessionState = strawberry.field(description="The state of the session.")
    device_name: str = strawberry.field(
        description="The name given at sign-in or later, or else one derived from the user agent, "
        "such as `Firefox on Linux`."
    )
    user_agent: str | None = strawberry.field(
        description="The User-Agent header of the sign-in, cut at 512 characters. Null if none was sent."
    )
    ip_address: str | None = strawberry.field(
        description="The address of the last sign-in or refresh. Null if not recorded."
    )
    created_at: datetime = strawberry.field(description="When the user signed in.")
    last_used_at: datetime = strawberry.field(
        description="When the session was last refreshed. Before the first refresh, the time of the sign-in."
    )
    expires_at: datetime = strawberry.field(
        description="When the session expires if it is not refreshed: the idle limit, or the absolute limit if that is "
        "earlier."
    )
    absolute_expires_at: datetime = strawberry.field(
        description="When the session expires even if it is refreshed: the absolute limit."
    )
    revoked_at: datetime | None = strawberry.field(description="When it was revoked. Null unless the state is REVOKED.")
    revocation_reason: RevocationReason | None = strawberry.field(
        description="Why it was revoked. Null unless the state is REVOKED."
    )

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

    @strawberry.field(
        description="Whether this request was made with an access token of this session.", graphql_type=bool
    )
    def is_current(self, info: Info) -> bool | Awaitable[bool]:
        # In a list the caller is already authenticated. A value that is not awaited can be completed by a plan.
        if (caller := info.context.authenticated_session) is not None:
            return caller.id == self.family.id
        if info.context.is_anonymous:
            return False  # as in the result of a sign-in
        return self._is_current(info)

    async def _is_current(self, info: Info) -> bool:
        caller = await info.context.optional_caller()
        return caller is not None and caller.id == self.family.id

    @strawberry.field(
        description="The newest refresh tokens of the session, newest first, at most sixteen: when each was issued, "
        "and to which address."
    )
    async def lineage(self, info: Info) -> list[IssuedToken]:
        family = self.family
        newest_first = await info.context.lineages.load(FamilyKey(family.user_id, family.id))
        await info.context.yield_to_loop()
        return IssuedToken.lineage(newest_first)


@strawberry.type(description="An event that concerns the security of the account.")
class SecurityEvent(Node):
    stored: strawberry.Private[SecurityEventRow]
    kind: SecurityEventKind = strawberry.field(description="The kind of the event.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    ip_address: str | None = strawberry.field(description="The address of the request. Null if not recorded.")
    user_agent: str | None = strawberry.field(
        description="The User-Agent header of the request, cut at 512 characters. Null if none was sent."
    )
    generation: int | None = strawberry.field(
        description="The generation of the replayed refresh token, which two parties had. Null for every other kind."
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
        description="The session. Null if the event has none, as a failed login attempt, or if it is no longer stored."
    )
    async def session(self, info: Info) -> Session | None:
        if self.stored.family_id is None:
            return None
        family = await info.context.families.load(FamilyKey(self.stored.user_id, self.stored.family_id))
        await info.context.yield_to_loop()
        return Session.of(family, info.context.now) if family else None


@strawberry.type(description="The tokens of a session, returned once. The server does not store them.")
class TokenPair:
    access_token: str = strawberry.field(description="A signed JWT, for the header `Authorization: Bearer`.")
    refresh_token: str = strawberry.field(description="For one call of `refreshToken`. Empty if it is in the cookie.")
    token_type: str = strawberry.field(description="Always `bearer`.")
    expires_in: int = strawberry.field(description="The access token's lifetime in seconds.")
    access_token_expires_at: datetime = strawberry.field(description="When the access token expires.")
    refresh_token_expires_at: datetime = strawberry.field(
        description="When the refresh token expires if it is not exchanged."
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
