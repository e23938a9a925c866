"""What can be asked."""

from typing import Annotated
from uuid import UUID

import strawberry

from db.tables.base import SessionState
from db.tables.families import FamilyRow
from db.tables.security_events import SecurityEventRow
from graph.api import pagination
from graph.api.context import Info
from graph.api.inputs import parse_id
from graph.api.pagination import SecurityEventConnection, SecurityEventEdge, SessionConnection, SessionEdge
from graph.api.types import SecurityEvent, Session, User

First = Annotated[int, strawberry.argument(description="How many at most: 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="An `endCursor`: what comes behind that page.")]


def _family_cursor(family: FamilyRow) -> str:
    return pagination.time_cursor(family.last_used_at, family.id)


def _event_cursor(event: SecurityEventRow) -> str:
    return pagination.id_cursor(event.id)


@strawberry.type(description="What can be asked. All but `viewer` needs an access token.")
class Query:
    @strawberry.field(description="The person asking. Null when the request carries no access token.")
    async def viewer(self, info: Info) -> User | None:
        context = info.context
        if context.is_anonymous:
            return None
        user = await context.services.accounts.get((await context.caller()).user_id)
        return User.of(user) if user else None

    @strawberry.field(description="The viewer's sessions, last used first. `state: null` lists every state.")
    async def sessions(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        state: Annotated[
            SessionState | None, strawberry.argument(description="Only sessions in this state; null for all.")
        ] = SessionState.ACTIVE,
    ) -> SessionConnection:
        context = info.context
        caller = await context.caller()
        found = await context.services.sessions.page(
            caller.user_id,
            state=state,
            after=pagination.parse_time_cursor(after) if after is not None else None,
            limit=pagination.page_size(first) + 1,
            now=context.now,
        )
        return SessionConnection(
            edges=[SessionEdge(node=Session.of(row, context.now), cursor=_family_cursor(row)) for row in found[:first]],
            page_info=pagination.page_info(found, first, after, _family_cursor),
        )

    @strawberry.field(description="One of the viewer's sessions. Null if the viewer has none with this ID.")
    async def session(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The session's ID.")]
    ) -> Session | None:
        context = info.context
        caller = await context.caller()
        session_id: UUID | None = parse_id(id)
        if session_id is None:
            return None
        family = await context.families.load((caller.user_id, session_id))
        return Session.of(family, context.now) if family else None

    @strawberry.field(description="What happened to the viewer's account, newest first.")
    async def security_events(self, info: Info, first: First = 20, after: After = None) -> SecurityEventConnection:
        context = info.context
        caller = await context.caller()
        found = await context.services.accounts.events(
            caller.user_id,
            after=pagination.parse_id_cursor(after) if after is not None else None,
            limit=pagination.page_size(first) + 1,
        )
        return SecurityEventConnection(
            edges=[SecurityEventEdge(node=SecurityEvent.of(row), cursor=_event_cursor(row)) for row in found[:first]],
            page_info=pagination.page_info(found, first, after, _event_cursor),
        )
