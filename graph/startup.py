"""How a worker starts: it needs every migration and the signing keys, and waits for an unavailable database.

While it waits it listens and answers 503. If it exited instead, an operator would have to start it again when the
database is back. A wrong secret and missing migrations end `kindred serve` at its first check; a worker waits for these
too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from auth.clock import Clock
from auth.crypto.derived_keys import WrongSecret
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable
from db.migration import current, head
from graph.http.startup_gate import Readiness

logger = logging.getLogger("kindred")

# Seconds between two attempts. A started worker reloads the signing keys every two seconds, so a waiting worker is no
# greater load.
FIRST_PAUSE, MAX_PAUSE = 0.25, 2.0


class NotMigrated(Exception):
    """The database lacks migrations. The message says what to do."""


async def require_migrations(services: Services) -> None:
    """Raise `NotMigrated` if a migration is missing, or `DatabaseUnavailable` after the database timeout."""
    try:
        async with asyncio.timeout(services.settings.database_timeout):
            revision = await current(services.db)
    except TimeoutError as error:
        raise DatabaseUnavailable from error
    if revision != head():
        raise NotMigrated("The database is not up to date. Run `alembic upgrade head`, then start again.")


async def check_before_serving(services: Services) -> None:
    """Raise `NotMigrated` or `WrongSecret`, which need an operator. An unavailable database passes: workers wait."""
    try:
        await require_migrations(services)
        await services.keys.reload()
    except DatabaseUnavailable:
        return


async def worker_status(readiness: Readiness, services: Services) -> str:
    """Return "ok", "not migrated" or "starting". Raises `DatabaseUnavailable`."""
    try:
        await require_migrations(services)
    except NotMigrated:
        return "not migrated"
    return "ok" if readiness.is_ready else "starting"


def describe_outage(error: DatabaseUnavailable) -> str:
    """A message for operators."""
    return (
        f"The database did not answer ({error.reason}). Check that the database is running and that "
        "KINDRED_DATABASE_URL is correct."
    )


class Startup:
    """The start of one worker."""

    def __init__(self, services: Services, clock: Clock, readiness: Readiness) -> None:
        self._services = services
        self._clock = clock
        self._readiness = readiness
        self._complete = asyncio.Event()
        self._logged: type[Exception] | None = None

    async def try_once(self) -> bool:
        """Return whether the worker has started. If it has to wait, log the reason. Raises any other error."""
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
            logger.info("The worker is ready: the database is available and migrated, and the signing keys are loaded.")
        self._complete.set()
        self._readiness.is_ready = True
        return True

    async def keep_trying(self) -> None:
        """Try until the worker has started."""
        pause = FIRST_PAUSE
        while True:
            # Random, so that workers that lost the database together do not retry together.
            await asyncio.sleep(pause * (0.5 + 0.5 * self._services.entropy.fraction()))
            pause = min(2 * pause, MAX_PAUSE)
            try:
                if await self.try_once():
                    return
            except Exception as error:
                self._log(logging.ERROR, type(error), "The worker cannot start.", error)

    async def when_started(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait until the worker has started, then run `work`."""
        await self._complete.wait()
        await work()

    def _log(self, level: int, kind: type[Exception], reason: str, error: Exception | None = None) -> None:
        # One line when the waiting begins and one when the reason changes, not one for each attempt.
        if self._logged is not kind:
            logger.log(level, "%s The worker answers 503 and tries again until it can start.", reason, exc_info=error)
        self._logged = kind
