"""`SharedTimeout` behaves as `asyncio.timeout` does, with one event-loop timer for all tasks that share it."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import uvloop

from db.engine.shared_timeout import SharedTimeout

SHORT, LONG = 0.02, 30.0
Timeout = Callable[[], Any]


@pytest.fixture(params=["SharedTimeout", "asyncio.timeout"])
def timeouts(request: pytest.FixtureRequest) -> Callable[[float], Timeout]:
    """Both kinds, so that `SharedTimeout` must pass the same tests as the standard library."""
    return SharedTimeout if request.param == "SharedTimeout" else lambda seconds: lambda: asyncio.timeout(seconds)


async def test_a_block_that_takes_too_long_raises_timeout_error(timeouts: Callable[[float], Timeout]) -> None:
    timeout = timeouts(SHORT)
    with pytest.raises(TimeoutError) as raised:
        async with timeout():
            await asyncio.sleep(LONG)
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    await asyncio.sleep(0)  # no cancellation is left pending


async def test_a_block_that_ends_in_time_returns_or_raises_as_without_a_timeout(
    timeouts: Callable[[float], Timeout],
) -> None:
    timeout = timeouts(SHORT)
    async with timeout():
        pass
    with pytest.raises(KeyError):
        async with timeout():
            raise KeyError
    await asyncio.sleep(2 * SHORT)  # the timer cancels nothing afterwards


async def test_a_task_cancelled_from_outside_raises_cancelled_error(timeouts: Callable[[float], Timeout]) -> None:
    timeout = timeouts(LONG)

    async def wait() -> None:
        async with timeout():
            await asyncio.sleep(LONG)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_cancelled_at_the_moment_of_the_timeout_raises_cancelled_error(
    timeouts: Callable[[float], Timeout],
) -> None:
    timeout = timeouts(SHORT)

    async def wait() -> None:
        async with timeout():
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                task.cancel()  # at the same moment, before the block is left
                raise

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_an_error_raised_while_the_timeout_cancels_is_not_hidden(timeouts: Callable[[float], Timeout]) -> None:
    timeout = timeouts(SHORT)

    async def fail_while_cancelled() -> None:
        async with timeout():
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                raise KeyError from None

    with pytest.raises(KeyError):
        await fail_while_cancelled()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_of_two_nested_timeouts_the_shorter_one_expires(timeouts: Callable[[float], Timeout]) -> None:
    short, long = timeouts(SHORT), timeouts(LONG)
    async with long():
        with pytest.raises(TimeoutError):
            async with short():
                await asyncio.sleep(LONG)
    with pytest.raises(TimeoutError):
        async with short(), long():
            await asyncio.sleep(LONG)


async def test_each_of_many_tasks_has_its_full_time() -> None:
    timeout, loop = SharedTimeout(0.1), asyncio.get_running_loop()

    async def wait(begin: float, need: float) -> tuple[bool, float]:
        await asyncio.sleep(begin)
        began = loop.time()
        try:
            async with timeout():
                await asyncio.sleep(need)
        except TimeoutError:
            return True, loop.time() - began
        return False, loop.time() - began

    # Every second task needs half of the time. The others start one after the other, and time out.
    ended = await asyncio.gather(*[wait(n * 0.01, 0.05 if n % 2 else LONG) for n in range(20)])
    assert [timed_out for timed_out, _ in ended] == [not n % 2 for n in range(20)]
    assert all(took >= 0.09 for timed_out, took in ended if timed_out)
    assert all(took < LONG / 2 for _, took in ended)


def test_one_timeout_works_in_several_event_loops_in_turn() -> None:
    timeout = SharedTimeout(SHORT)

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with timeout():
                await asyncio.sleep(LONG)

    async def leave_before_the_timer_fires() -> None:
        async with timeout():
            pass

    for factory in (None, uvloop.new_event_loop):
        for work in (wait, leave_before_the_timer_fires, wait):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(work())


async def test_a_hundred_tasks_with_the_same_timeout_set_one_timer() -> None:
    timeout, loop = SharedTimeout(LONG), asyncio.get_running_loop()

    async def wait() -> None:
        async with timeout():
            await asyncio.sleep(0)

    with patch.object(loop, "call_at", wraps=loop.call_at) as call_at:
        await asyncio.gather(*[wait() for _ in range(100)])
        await wait()
    assert call_at.call_count == 1
    assert timeout._queue == {}


def test_a_timeout_outside_a_task_is_an_error() -> None:
    timeout = SharedTimeout(SHORT)()
    loop = asyncio.new_event_loop()
    entering = timeout.__aenter__()
    loop.call_soon(lambda: outcomes.append(_error_of(entering)))
    outcomes: list[type[BaseException]] = []
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert outcomes == [RuntimeError]


def _error_of(coroutine: Any) -> type[BaseException]:
    try:
        coroutine.send(None)
    except BaseException as error:
        return type(error)
    raise AssertionError
