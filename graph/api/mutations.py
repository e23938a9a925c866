"""Mutations. Each one calls its use case and maps the outcome to a result in one `match`."""

from typing import Annotated, assert_never

import strawberry

from auth import outcomes
from auth.outcomes import (
    Expired,
    Invalid,
    NotFound,
    PasswordSet,
    Replayed,
    Revoked,
    RevokeSucceeded,
    Rotated,
    SignedIn,
    StoreBehind,
    TooManyAttempts,
    WrongCredentials,
)
from db.drivers.errors import DatabaseUnavailable
from graph.api.context import Info
from graph.api.inputs import (
    ChangePasswordInput,
    CheckPasswordInput,
    LoginInput,
    RefreshTokenInput,
    RenameSessionInput,
    RevokeSessionInput,
    TokenDelivery,
    check_device_name,
    check_idempotency_key,
    parse_id,
)
from graph.api.results import (
    ChangePasswordResult,
    ChangePasswordSuccess,
    LoginResult,
    LoginSuccess,
    RefreshTokenResult,
    RefreshTokenSuccess,
    RenameSessionResult,
    RenameSessionSuccess,
    RevokeSessionResult,
    RevokeSessionsPayload,
    RevokeSessionSuccess,
)
from graph.api.types import PasswordCheck, Session, TokenPair, User
from graph.api.user_errors import (
    InvalidCredentialsError,
    InvalidRefreshTokenError,
    RefreshTokenExpiredError,
    RefreshTokenReplayedError,
    SessionNotFoundError,
    SessionRevokedError,
    TooManyAttemptsError,
    WeakPasswordError,
)


# Results are nullable: an error in one of their fields must not null the tokens beside it (GQL-18).
@strawberry.type(description="Changes. A document may have one mutation field.")
class Mutation:
    @strawberry.mutation(description="Sign in: exchange a username and a password for a new session.")
    async def login(
        self, info: Info, input: Annotated[LoginInput, strawberry.argument(description="The credentials.")]
    ) -> LoginResult | None:
        context = info.context
        device_name = check_device_name(input.device_name) if input.device_name is not None else None
        in_cookie = input.delivery is TokenDelivery.COOKIE
        if in_cookie:
            context.cookie.require()  # or another site could sign its visitors in to its own account (WEB-02)
        outcome = await context.services.sign_in.login(
            input.username, input.password, device_name, context.client, context.now
        )
        context.record_outcome(outcome)
        match outcome:
            case SignedIn(tokens, family, user):
                context.response_has_tokens = True
                tokens = context.cookie.set(context.response, tokens, context.now) if in_cookie else tokens
                return LoginSuccess(
                    tokens=TokenPair.of(tokens), session=Session.of(family, context.now), viewer=User.of(user)
                )
            case WrongCredentials():
                return InvalidCredentialsError()
            case TooManyAttempts(retry_after):
                return TooManyAttemptsError.after(retry_after)
            case _:
                assert_never(outcome)

    @strawberry.mutation(
        description="Exchange a refresh token for its successor. Each token works once: using it again revokes the "
        "whole session."
    )
    async def refresh_token(
        self, info: Info, input: Annotated[RefreshTokenInput, strawberry.argument(description="The token to exchange.")]
    ) -> RefreshTokenResult | None:
        context = info.context
        token = context.cookie.token() if input.refresh_token is None else input.refresh_token
        outcome = await context.services.rotation.refresh(
            token, check_idempotency_key(input.idempotency_key), context.client, context.now
        )
        context.record_outcome(outcome)
        if input.refresh_token is None:
            outcome = context.cookie.apply_outcome(context.response, outcome, context.now)
        match outcome:
            case Rotated(tokens, family):
                context.response_has_tokens = True
                return RefreshTokenSuccess(tokens=TokenPair.of(tokens), session=Session.of(family, context.now))
            case Invalid():
                return InvalidRefreshTokenError()
            case Expired():
                return RefreshTokenExpiredError()
            case Revoked():
                return SessionRevokedError()
            case Replayed():
                return RefreshTokenReplayedError()
            case StoreBehind():
                raise DatabaseUnavailable
            case TooManyAttempts(retry_after):
                return TooManyAttemptsError.after(retry_after)
            case _:
                assert_never(outcome)

    @strawberry.mutation(description="Revoke one session. Revoking a revoked session succeeds and changes nothing.")
    async def revoke_session(
        self,
        info: Info,
        input: Annotated[
            RevokeSessionInput | None,
            strawberry.argument(
                description="The session to revoke. Null: the one of the refresh cookie, which is then cleared."
            ),
        ] = None,
    ) -> RevokeSessionResult | None:
        context, sessions = info.context, info.context.services.sessions
        outcome: outcomes.RevokeOutcome
        if input is None:
            outcome = await sessions.revoke_by_token(context.cookie.token(), context.client, context.now)
            context.cookie.clear_if_sent(context.response)
        elif isinstance(input.refresh_token, str):  # the empty string too
            outcome = await sessions.revoke_by_token(input.refresh_token, context.client, context.now)
        else:
            caller = await context.caller()
            session_id = parse_id(input.id or "")
            outcome = (
                await sessions.revoke(caller.user_id, session_id, context.client, context.now)
                if session_id
                else NotFound()
            )
            if session_id == caller.id:
                context.cookie.clear_if_header_sent(context.response)
        context.record_outcome(outcome)
        match outcome:
            case RevokeSucceeded(family):
                return RevokeSessionSuccess(session=Session.of(family, context.now))
            case NotFound():
                return SessionNotFoundError()
            case Invalid():
                return InvalidRefreshTokenError()
            case _:
                assert_never(outcome)

    @strawberry.mutation(description="Revoke every session of the viewer except the current one.")
    async def revoke_other_sessions(self, info: Info) -> RevokeSessionsPayload | None:
        context = info.context
        caller = await context.caller()
        revoked = await context.services.sessions.revoke_all(
            caller.user_id, context.client, context.now, except_=caller.id
        )
        context.request_record.record_revocations(revoked)
        return RevokeSessionsPayload(revoked_count=revoked)

    @strawberry.mutation(description="Revoke every session of the viewer, including the current one.")
    async def revoke_all_sessions(self, info: Info) -> RevokeSessionsPayload | None:
        context = info.context
        caller = await context.caller()
        revoked = await context.services.sessions.revoke_all(caller.user_id, context.client, context.now)
        context.cookie.clear_if_header_sent(context.response)
        context.request_record.record_revocations(revoked)
        return RevokeSessionsPayload(revoked_count=revoked)

    @strawberry.mutation(description="Set a new password and revoke every other session.")
    async def change_password(
        self, info: Info, input: Annotated[ChangePasswordInput, strawberry.argument(description="The passwords.")]
    ) -> ChangePasswordResult | None:
        context = info.context
        outcome = await context.services.accounts.change_password(
            await context.caller(), input.current_password, input.new_password, context.client, context.now
        )
        context.record_outcome(outcome)
        match outcome:
            case PasswordSet(revoked_count):
                return ChangePasswordSuccess(revoked_count=revoked_count)
            case WrongCredentials():
                return InvalidCredentialsError(text="The current password is wrong.")
            case outcomes.WeakPassword(reason):
                return WeakPasswordError(text=reason)
            case TooManyAttempts(retry_after):
                return TooManyAttemptsError.after(retry_after)
            case _:
                assert_never(outcome)

    # A mutation although it changes nothing: a document has one mutation field, and each check costs CPU (GQL-01).
    @strawberry.mutation(
        description="Estimate the strength of a new password for the viewer, by the rule of `changePassword`."
    )
    async def check_password(
        self,
        info: Info,
        input: Annotated[CheckPasswordInput, strawberry.argument(description="The password to check.")],
    ) -> PasswordCheck | None:
        context = info.context
        check = await context.services.accounts.check_password(await context.caller(), input.new_password)
        return PasswordCheck(strength=check.strength, weakness=check.weakness)

    @strawberry.mutation(description="Give a session a name that its owner recognizes.")
    async def rename_session(
        self,
        info: Info,
        input: Annotated[RenameSessionInput, strawberry.argument(description="The session and its new name.")],
    ) -> RenameSessionResult | None:
        context = info.context
        caller = await context.caller()
        name = check_device_name(input.device_name)
        session_id = parse_id(input.id)
        family = await context.services.sessions.rename(caller.user_id, session_id, name) if session_id else None
        if family is None:
            context.record_outcome(NotFound())
            return SessionNotFoundError()
        return RenameSessionSuccess(session=Session.of(family, context.now))
