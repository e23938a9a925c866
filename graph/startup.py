"""How a worker starts: it needs every migration and the signing keys, and waits for a database that is unavailable.

Until it has them it listens and answers 503. A worker that ended instead would have to be started again by an operator
when the database is back. A wrong secret and missing migrations end only the command, at its first look.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.clock import Clock
from auth.crypto.secret_keys import WrongSecret
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.migration import current, head
from graph.http import rest
from graph.http.graphql import PATH, refusal
from graph.problems import RETRY_AFTER, UNAVAILABLE, Code

logger = logging.getLogger("kindred")

# Seconds between two tries. A worker that has started reads the signing keys every two seconds, so
# one that waits is no greater load.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0

# Paths that are answered before the start, as they need neither the database nor a key. `/readyz` says why not.
_NEEDS_NOTHING = frozenset(("/healthz", "/readyz", "/metrics", "/account"))


class NotMigrated(Exception):
    """The database lacks migrations. The message says what to do."""


async def require_migrations(services: Services) -> None:
    """Raise `NotMigrated` unless the database has had every migration; `DatabaseUnavailable` after its timeout."""
    try:
        async with asyncio.timeout(services.settings.database_timeout):
            found = await current(services.db)
    except TimeoutError as error:
        raise DatabaseUnavailable from error
    if found != head():
        raise NotMigrated("The database is not up to date. Run `alembic upgrade head`, then start again.")


async def check_before_serving(services: Services) -> None:
    """Raise `NotMigrated` or `WrongSecret`, which an operator has to fix. Workers wait for an unavailable database."""
    try:
        await require_migrations(services)
        await services.keys.reload()
    except DatabaseUnavailable:
        return


def describe_outage(error: DatabaseUnavailable) -> str:
    """What to tell an operator: the cause's name and no more, as its text may have the database's password in it."""
    cause = type(error.__cause__).__name__ if error.__cause__ else "no answer in time"
    return f"The database did not answer ({cause}). Is KINDRED_DATABASE_URL right, and is the database running?"


class Startup:
    """The start of one worker."""

    def __init__(self, services: Services, clock: Clock, gate: "Gate") -> None:
        self._services = services
        self._clock = clock
        self._gate = gate
        self._complete = asyncio.Event()
        self._logged: type[Exception] | None = None

    async def try_once(self) -> bool:
        """Try once. False if the worker has to wait; the log says for what. Raises any other error."""
        try:
            await require_migrations(self._services)
            await self._services.start(self._clock.now())
        except DatabaseUnavailable as error:
            self._log(logging.WARNING, DatabaseUnavailable, describe_outage(error))
            return False
        except NotMigrated:
            self._log(logging.ERROR, NotMigrated, "The database is not up to date. Run `alembic upgrade head`.")
            return False
        except WrongSecret as error:
            self._log(logging.ERROR, WrongSecret, str(error))
            return False
        if self._logged:
            logger.info("The worker is ready: the database answers and is migrated, and the signing keys were read.")
        self._complete.set()
        self._gate.is_open = True
        return True

    async def keep_trying(self) -> None:
        """Try until it succeeds."""
        pause = FIRST_PAUSE
        while True:
            # Workers that lost the database together do not ask for it together.
            await asyncio.sleep(pause * (0.5 + 0.5 * self._services.entropy.fraction()))
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                if await self.try_once():
                    return
            except Exception as error:
                self._log(logging.ERROR, type(error), "The worker cannot start.", error)

    async def when_started(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the start, then do this."""
        await self._complete.wait()
        await work()

    def _log(self, level: int, kind: type[Exception], what: str, error: Exception | None = None) -> None:
        # One line when the waiting begins and one when its reason changes, not one for each try.
        if self._logged is not kind:
            logger.log(level, "%s The worker answers 503 and tries again until it can start.", what, exc_info=error)
        self._logged = kind


class Gate:
    """ASGI middleware that answers 503 until the worker has started.

    Without signing keys an access token would look forged, the JWKS would be empty, which makes other services refuse
    good tokens, and a rotation would consume a refresh token that it cannot answer with new ones.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # An attribute, as each refresh asks for it.
        self.is_open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it in the form of the endpoint that it is for."""
        if scope["type"] != "http" or self.is_open or _needs_nothing(scope):
            return await self._app(scope, receive, send)
        if scope["path"] == PATH:
            answer = refusal(503, UNAVAILABLE, {"retry-after": str(RETRY_AFTER)}, code=Code.UNAVAILABLE)
        else:
            answer = await rest.unavailable(Request(scope), DatabaseUnavailable())
        return await answer(scope, receive, send)


def _needs_nothing(scope: Scope) -> bool:
    path: str = scope["path"]
    is_page = path == PATH and scope["method"] == "GET"
    return is_page or path in _NEEDS_NOTHING or path.startswith("/assets/")
