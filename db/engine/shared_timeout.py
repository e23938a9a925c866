"""A timeout that many tasks share: one event-loop timer for all of them.

`asyncio.timeout` sets a timer for each task and cancels it again. Tasks with the same timeout expire in the order in
which they began, so here they stand in a queue, and one timer waits for the first of them.
"""

import asyncio
from types import TracebackType


class SharedTimeout:
    """`async with shared_timeout():` does what `async with asyncio.timeout(seconds):` does."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_set = False
        self._queue: dict[_Deadline, float] = {}  # with the time at which each expires, the soonest first

    def __call__(self) -> "_Deadline":
        return _Deadline(self)

    def register(self, deadline: "_Deadline") -> "asyncio.Task[object]":
        """Put a deadline into the queue. Returns its task; raises RuntimeError outside of one."""
        loop = asyncio.get_running_loop()
        if (task := asyncio.current_task(loop)) is None:
            raise RuntimeError("A timeout needs a task. Call this from a coroutine that a task runs.")
        if loop is not self._loop:  # the first loop, or the next one after that was closed
            self._loop, self._queue, self._is_set = loop, {}, False
        expires = self._queue[deadline] = loop.time() + self.seconds
        if not self._is_set:
            self._set(loop, expires)
        return task

    def unregister(self, deadline: "_Deadline") -> None:
        """Take a deadline out of the queue, if it is in it."""
        self._queue.pop(deadline, None)

    def _set(self, loop: asyncio.AbstractEventLoop, expires: float) -> None:
        self._is_set = True
        loop.call_at(expires, self._expire_due, loop)

    def _expire_due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_set = False
        while self._queue:
            deadline, expires = next(iter(self._queue.items()))
            if expires > loop.time():
                return self._set(loop, expires)
            del self._queue[deadline]
            deadline.expire()
        return None


class _Deadline:
    """One use of a shared timeout."""

    __slots__ = ("_cancelling", "_is_expired", "_task", "_timeout")

    def __init__(self, timeout: SharedTimeout) -> None:
        self._timeout = timeout
        self._is_expired = False

    async def __aenter__(self) -> None:
        self._task = self._timeout.register(self)
        self._cancelling = self._task.cancelling()

    def expire(self) -> None:
        """Cancel the task."""
        self._is_expired = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._timeout.unregister(self)
        # If the task was cancelled for another reason as well, it has to see the cancellation.
        if self._is_expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
