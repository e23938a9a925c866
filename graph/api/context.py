"""What a request carries: one instant, where it came from, and who is asking, found out when first needed."""

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

from auth.credentials.addresses import normalize_address
from auth.outcomes import Origin
from auth.services import Services
from auth.use_cases.sessions import Unauthenticated
from db.drivers.errors import DatabaseUnavailable
from db.tables.base import USER_AGENT_LENGTH
from db.tables.families import FamilyRow
from db.tables.refresh_tokens import RefreshTokenRow
from graph.api.refresh_cookie import RefreshCookie
from graph.observability.access_log import RequestRecord

# A user's id and a family's.
FamilyKey = tuple[UUID, UUID]


def origin_of(request: Request) -> Origin:
    """Where a request came from: the peer's address, and the User-Agent header, cut to what the store holds."""
    user_agent = request.headers.get("user-agent")
    return Origin(
        ip=normalize_address(request.client.host) if request.client else None,
        user_agent=user_agent[:USER_AGENT_LENGTH] if user_agent else None,
    )


@dataclass
class Context:
    """One for each GraphQL request. `now` was read from the clock once, and everything is judged by it."""

    services: Services
    request: Request
    response: Response
    now: datetime
    # Who is asking, once that was found out.
    authenticated_session: FamilyRow | None = None
    # Whether the answer has new tokens in it. If it failed they would be lost, so what else it tells may be missing.
    issued_tokens: bool = False

    @cached_property
    def origin(self) -> Origin:
        """Where the request came from."""
        return origin_of(self.request)

    @cached_property
    def cookie(self) -> RefreshCookie:
        """The refresh token in a cookie, if that is how it travels."""
        return RefreshCookie(self.request, self.services.settings)

    @property
    def is_anonymous(self) -> bool:
        """Whether the request carries no credentials at all."""
        return "authorization" not in self.request.headers

    @property
    def request_record(self) -> RequestRecord:
        """What is told of the request in the log."""
        watched: RequestRecord = self.request.scope["watched"]
        return watched

    def record_outcome(self, outcome: object) -> None:
        """Take note, for the log and the metrics, of what came of the use case."""
        self.request_record.record_outcome(outcome, self.now)

    async def caller(self) -> FamilyRow:
        """The live session that is asking. Raises `Unauthenticated`, which is answered with HTTP 401."""
        return await self._asking

    @cached_property
    def _asking(self) -> asyncio.Task[FamilyRow]:
        # Found out once, however many fields ask at the same time, and all of them get the same answer.
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
        """The live session that is asking; None where there is no access token, or one that is no good."""
        try:
            return await self.caller()
        except Unauthenticated:
            return None
        except DatabaseUnavailable:
            if self.issued_tokens:
                return None
            raise

    async def yield_to_loop(self) -> None:
        """Wait until no other field of this request answers a list, and others have had the event loop in between.

        A DataLoader wakes all who wait for it in one go: sixteen tokens for each of a hundred sessions would be
        answered without a pause, and the whole worker would stand for as long.
        """
        async with self._turns:
            await asyncio.sleep(0)

    @cached_property
    def _turns(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def lineages(self) -> DataLoader[FamilyKey, list[RefreshTokenRow]]:
        """The lineage of families, many in one statement: a page of sessions asks once."""

        async def load(keys: list[FamilyKey]) -> Sequence[list[RefreshTokenRow]]:
            try:
                found = await self.services.sessions.list_lineages(_user_of(keys), [family_id for _, family_id in keys])
            except DatabaseUnavailable:
                if self.issued_tokens:
                    return [[] for _ in keys]
                raise
            return [found[family_id] for _, family_id in keys]

        return DataLoader(load)

    @cached_property
    def families(self) -> DataLoader[FamilyKey, FamilyRow | None]:
        """Families, many in one statement: a page of security events asks once."""

        async def load(keys: list[FamilyKey]) -> Sequence[FamilyRow | None]:
            found = await self.services.sessions.get_many(_user_of(keys), [family_id for _, family_id in keys])
            return [found.get(family_id) for _, family_id in keys]

        return DataLoader(load)


def _user_of(keys: list[FamilyKey]) -> UUID:
    # All that one request may see belongs to one user: the viewer, or whose token the one mutation was about.
    (user_id,) = {user_id for user_id, _ in keys}
    return user_id


Info = StrawberryInfo[Context, None]
