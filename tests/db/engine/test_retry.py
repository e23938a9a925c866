"""Retries during an outage: the pauses grow and vary, so that waiting requests make few attempts."""

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
    """A use case that raises the given faults and never uses its database."""

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
    """The length of each requested pause. The tests do not wait for them."""
    requested: list[float] = []

    async def sleep(seconds: float) -> None:
        requested.append(seconds)

    monkeypatch.setattr("db.engine.retry.asyncio.sleep", sleep)
    return requested


@pytest.mark.parametrize("fault", [RolledBack, OutcomeUnknown])
async def test_the_range_of_the_pauses_doubles_up_to_one_second(
    pauses: list[float], fault: Callable[[], Exception]
) -> None:
    work = Work(*(fault() for _ in range(12)))
    assert await work.do() == 13
    for number, pause in enumerate(pauses):
        longest = min(0.01 * 2**number, 1)
        assert longest / 2 <= pause <= longest


async def test_waiting_requests_retry_at_different_moments(pauses: list[float]) -> None:
    for _ in range(20):
        await Work(RolledBack()).do()
    assert len(set(pauses)) == 20


async def test_a_conflicting_transaction_is_attempted_four_times_with_short_pauses(pauses: list[float]) -> None:
    work = Work(always=TransactionConflict())
    with pytest.raises(TransactionConflict):
        await work.do()
    assert (work.attempts, max(pauses) <= 0.04) == (4, True)


async def test_a_request_makes_at_most_sixteen_attempts_in_an_outage_of_five_seconds() -> None:
    """Ten attempts with the longest pauses, sixteen with the shortest. A constant pause of 10 ms would make 500."""
    work = Work(always=RolledBack(), timeout=5)
    with pytest.raises(DatabaseUnavailable):
        await work.do()
    assert 2 <= work.attempts <= 16


async def test_sixteen_requests_that_wait_for_postgresql_make_few_connection_attempts(
    settings_for: Callable[..., Settings],
) -> None:
    attempts = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        settings = settings_for(f"postgresql://kindred@127.0.0.1:{port}/kindred", database_timeout=3)
        services = Services.create(settings, SECRET.encode(), Entropy())
        try:
            await asyncio.gather(*(services.accounts.list_all() for _ in range(16)), return_exceptions=True)
        finally:
            await services.stop()
    # With a constant pause of ten milliseconds, one request would make 300 attempts and all of them 4,800.
    assert 16 <= attempts < 16 * 16


async def test_log_01_the_reason_of_an_outage_is_the_class_of_the_driver_error_without_its_message() -> None:
    fault = RolledBack()
    fault.__cause__ = ConnectionRefusedError("postgresql://kindred:hunter2@10.0.0.1/kindred")
    with pytest.raises(DatabaseUnavailable) as raised:
        await Work(always=fault, timeout=0.05).do()
    assert raised.value.reason == "ConnectionRefusedError"
    assert DatabaseUnavailable().reason == "no answer in time"
