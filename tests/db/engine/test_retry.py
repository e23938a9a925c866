"""An outage: requests that wait try again ever less often, not all at once, and cost next to nothing meanwhile."""

import asyncio
from collections.abc import Callable

import pytest

from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.services import Services
from db.drivers.errors import DatabaseUnavailable, OutcomeUnknown, RolledBack, TransactionConflict
from db.engine.database import create_database, url_of
from db.engine.retry import retried
from tests.support.servers import SECRET


class Work:
    """A use case over a database that is not asked, which fails as it is told to."""

    def __init__(self, *faults: Exception, always: Exception | None = None, timeout: float = 60) -> None:
        url = url_of("postgresql://nowhere.test/kindred")
        self.db = create_database(url, timeout=timeout, fraction=Entropy().fraction)
        self.faults = list(faults)
        self.always = always
        self.attempts = 0

    @retried(idempotent=True)
    async def do(self) -> int:
        self.attempts += 1
        if self.always is not None:
            raise self.always
        if self.faults:
            raise self.faults.pop(0)
        return self.attempts


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause was to be. None is waited for."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr("db.engine.retry.asyncio.sleep", sleep)
    return asked


@pytest.mark.parametrize("fault", [RolledBack, OutcomeUnknown])
async def test_each_pause_is_longer_than_the_one_before_up_to_a_second(
    pauses: list[float], fault: Callable[[], Exception]
) -> None:
    work = Work(*(fault() for _ in range(12)))
    assert await work.do() == 13
    for number, pause in enumerate(pauses):
        longest = min(0.01 * 2**number, 1)
        assert longest / 2 <= pause <= longest


async def test_waiting_requests_do_not_try_again_at_the_same_moments(pauses: list[float]) -> None:
    for _ in range(20):
        await Work(RolledBack()).do()
    assert len(set(pauses)) == 20


async def test_a_transaction_in_the_way_is_tried_again_soon_and_four_times_in_all(pauses: list[float]) -> None:
    work = Work(always=TransactionConflict())
    with pytest.raises(TransactionConflict):
        await work.do()
    assert (work.attempts, max(pauses) <= 0.04) == (4, True)


async def test_in_five_seconds_of_an_outage_a_request_makes_a_dozen_attempts() -> None:
    """Ten by their longest pauses, and sixteen by their shortest. It was one each ten milliseconds."""
    work = Work(always=RolledBack(), timeout=5)
    with pytest.raises(DatabaseUnavailable):
        await work.do()
    assert 2 <= work.attempts <= 16


async def test_sixteen_requests_that_wait_for_postgresql_hardly_ever_ask_for_it(
    settings_for: Callable[..., Settings],
) -> None:
    attempts = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1") as nobody:
        port = nobody.sockets[0].getsockname()[1]
        settings = settings_for(f"postgresql://kindred@127.0.0.1:{port}/kindred", database_timeout=3)
        services = Services.create(settings, SECRET.encode(), Entropy())
        try:
            await asyncio.gather(*(services.accounts.list_all() for _ in range(16)), return_exceptions=True)
        finally:
            await services.stop()
    # A request that tried each ten milliseconds would make 300 attempts, and all of them 4,800.
    assert 16 <= attempts < 16 * 16


async def test_log_01_an_outage_is_named_by_the_error_of_the_driver_without_its_message() -> None:
    fault = RolledBack()
    fault.__cause__ = ConnectionRefusedError("postgresql://kindred:hunter2@10.0.0.1/kindred")
    with pytest.raises(DatabaseUnavailable) as raised:
        await Work(always=fault, timeout=0.05).do()
    assert raised.value.reason == "ConnectionRefusedError"
    assert DatabaseUnavailable().reason == "no answer in time"
