"""Patience: a limit of time does what `asyncio.timeout` does, with one timer for all who have the same."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import uvloop

from db.engine.shared_timeout import SharedTimeout

SHORT, LONG = 0.02, 30.0
Limit = Callable[[], Any]


@pytest.fixture(params=["Patience", "asyncio.timeout"])
def limits(request: pytest.FixtureRequest) -> Callable[[float], Limit]:
    """Both kinds, so that what is asked of ours is what the standard library's does."""
    return SharedTimeout if request.param == "Patience" else lambda seconds: lambda: asyncio.timeout(seconds)


async def test_what_takes_too_long_is_cut_off(limits: Callable[[float], Limit]) -> None:
    limit = limits(SHORT)
    with pytest.raises(TimeoutError) as raised:
        async with limit():
            await asyncio.sleep(LONG)
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    await asyncio.sleep(0)  # and nothing of it is left behind


async def test_what_ends_in_time_ends_as_it_does(limits: Callable[[float], Limit]) -> None:
    limit = limits(SHORT)
    async with limit():
        pass
    with pytest.raises(KeyError):
        async with limit():
            raise KeyError
    await asyncio.sleep(2 * SHORT)  # nobody is cut off later


async def test_whoever_is_cancelled_from_outside_learns_of_it(limits: Callable[[float], Limit]) -> None:
    limit = limits(LONG)

    async def wait() -> None:
        async with limit():
            await asyncio.sleep(LONG)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_is_cancelled_when_the_time_is_up_learns_that_they_were_cancelled(
    limits: Callable[[float], Limit],
) -> None:
    limit = limits(SHORT)

    async def wait() -> None:
        async with limit():
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                task.cancel()  # at the same moment, before the limit is left
                raise

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_an_error_on_the_way_out_is_not_hidden(limits: Callable[[float], Limit]) -> None:
    limit = limits(SHORT)

    async def stumble() -> None:
        async with limit():
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await stumble()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_of_two_limits_the_shorter_one_ends(limits: Callable[[float], Limit]) -> None:
    short, long = limits(SHORT), limits(LONG)
    async with long():
        with pytest.raises(TimeoutError):
            async with short():
                await asyncio.sleep(LONG)
    with pytest.raises(TimeoutError):
        async with short(), long():
            await asyncio.sleep(LONG)


async def test_each_of_many_has_the_whole_of_its_time() -> None:
    limit, loop = SharedTimeout(0.1), asyncio.get_running_loop()

    async def wait(begin: float, need: float) -> tuple[bool, float]:
        await asyncio.sleep(begin)
        began = loop.time()
        try:
            async with limit():
                await asyncio.sleep(need)
        except TimeoutError:
            return True, loop.time() - began
        return False, loop.time() - began

    # Every other one is done in half of it, and the others begin one after the other.
    ended = await asyncio.gather(*[wait(n * 0.01, 0.05 if n % 2 else LONG) for n in range(20)])
    assert [cut_off for cut_off, _ in ended] == [not n % 2 for n in range(20)]
    assert all(took >= 0.09 for cut_off, took in ended if cut_off)
    assert all(took < LONG / 2 for _, took in ended)


def test_a_limit_serves_one_event_loop_after_another() -> None:
    limit = SharedTimeout(SHORT)

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with limit():
                await asyncio.sleep(LONG)

    async def leave_its_timer_behind() -> None:
        async with limit():
            pass

    for factory in (None, uvloop.new_event_loop):
        for work in (wait, leave_its_timer_behind, wait):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(work())


async def test_many_with_the_same_limit_set_one_timer() -> None:
    limit, loop = SharedTimeout(LONG), asyncio.get_running_loop()

    async def wait() -> None:
        async with limit():
            await asyncio.sleep(0)

    with patch.object(loop, "call_at", wraps=loop.call_at) as call_at:
        await asyncio.gather(*[wait() for _ in range(100)])
        await wait()
    assert call_at.call_count == 1
    assert limit._queue == {}


def test_outside_of_a_task_nothing_can_be_cut_off() -> None:
    limited = SharedTimeout(SHORT)()
    loop = asyncio.new_event_loop()
    entering = limited.__aenter__()
    loop.call_soon(lambda: outcomes.append(_sent(entering)))
    outcomes: list[type[BaseException]] = []
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert outcomes == [RuntimeError]


def _sent(coroutine: Any) -> type[BaseException]:
    try:
        coroutine.send(None)
    except BaseException as error:
        return type(error)
    raise AssertionError
