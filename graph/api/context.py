"""The context of one GraphQL request: its instant, its client, and its caller, authenticated when first needed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from strawberry.dataloader import DataLoader
from strawberry.types import Info as StrawberryInfo

from auth.credentials.ip_addresses import normalize_address
from auth.outcomes import ClientInfo, Outcome
from auth.services import Services
from auth.use_cases.sessions import Unauthenticated
from db.drivers.errors import DatabaseUnavailable
from db.tables.base import USER_AGENT_LENGTH
from db.tables.families import FamilyKey, FamilyRow
from db.tables.refresh_tokens import RefreshTokenRow
from graph.api.refresh_cookie import RefreshCookie
from graph.observability.access_log import RequestRecord


def client_of(request: Request) -> ClientInfo:
    """Return the peer's address and the User-Agent header, cut to the length that the database stores."""
    user_agent = request.headers.get("user-agent")
    return ClientInfo(
        ip=normalize_address(request.client.host) if request.client else None,
        user_agent=user_agent[:USER_AGENT_LENGTH] if user_agent else None,
    )


@dataclass
class Context:
    """Created for each GraphQL request. `now` was read from the clock once, and every check of the request uses it."""

    services: Services
    request: Request
    response: Response
    now: datetime
    # The caller's session, once it is authenticated.
    authenticated_session: FamilyRow | None = None
    # The response has new tokens. An error would lose them, so optional parts of the response may then be empty.
    response_has_tokens: bool = False

    @cached_property
    def client(self) -> ClientInfo:
        """The address and user agent of the request."""
        return client_of(self.request)

    @cached_property
    def cookie(self) -> RefreshCookie:
        """The refresh cookie of the request."""
        return RefreshCookie(self.request, self.services.settings)

    @property
    def is_anonymous(self) -> bool:
        """Whether the request has no `Authorization` header."""
        return "authorization" not in self.request.headers

    @property
    def request_record(self) -> RequestRecord:
        """What the access log and the metrics get about the request."""
        record: RequestRecord = self.request.scope["request_record"]
        return record

    def record_outcome(self, outcome: Outcome) -> None:
        """Record the outcome of a use case for the access log and the metrics."""
        self.request_record.record_outcome(outcome, self.now)

    def record_plan_fallback(self, reason: str) -> None:
        """Record for the metrics why graphql-core executed the operation although plans are on."""
        self.request_record.plan_fallback = reason

    async def caller(self) -> FamilyRow:
        """Return the caller's live session. Raises `Unauthenticated`, which becomes HTTP 401."""
        return await self._authentication

    @cached_property
    def _authentication(self) -> asyncio.Task[FamilyRow]:
        # One task: fields that ask at the same time share one query and get the same result.
        return asyncio.create_task(self._authenticate())

    async def _authenticate(self) -> FamilyRow:
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated
        family = await self.services.sessions.authenticate(token.strip(" "), self.now)
        self.request_record.user_id, self.request_record.session_id = family.user_id, family.id
        self.authenticated_session = family
        return family

    async def optional_caller(self) -> FamilyRow | None:
        """Return the caller's live session; None without an access token, or with one that is not accepted."""
        try:
            return await self.caller()
        except Unauthenticated:
            return None
        except DatabaseUnavailable:
            if self.response_has_tokens:
                return None
            raise

    async def yield_to_loop(self) -> None:
        """Let other requests run between two lists of this request.

        A DataLoader resumes all waiting fields at once. Without the pause, the lineages of a hundred sessions, sixteen
        tokens each, would block the worker's event loop until all are completed (GQL-09).
        """
        async with self._loop_lock:
            await asyncio.sleep(0)

    @cached_property
    def _loop_lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def lineages(self) -> DataLoader[FamilyKey, list[RefreshTokenRow]]:
        """Loads lineages of families: one statement for a page of sessions."""

        async def load(keys: list[FamilyKey]) -> Sequence[list[RefreshTokenRow]]:
            family_ids = [key.id for key in keys]
            try:
                lineages = await self.services.sessions.list_lineages(_user_of(keys), family_ids)
            except DatabaseUnavailable:
                if self.response_has_tokens:
                    return [[] for _ in keys]
                raise
            return [lineages[family_id] for family_id in family_ids]

        return DataLoader(load)

    @cached_property
    def families(self) -> DataLoader[FamilyKey, FamilyRow | None]:
        """Loads families: one statement for a page of security events."""

        async def load(keys: list[FamilyKey]) -> Sequence[FamilyRow | None]:
            family_ids = [key.id for key in keys]
            families = await self.services.sessions.get_many(_user_of(keys), family_ids)
            return [families.get(family_id) for family_id in family_ids]

        return DataLoader(load)


def _user_of(keys: list[FamilyKey]) -> UUID:
    # A request sees rows of one user only: the viewer, or the owner of the token in its one mutation.
    (user_id,) = {key.user_id for key in keys}
    return user_id


Info = StrawberryInfo[Context, None]
