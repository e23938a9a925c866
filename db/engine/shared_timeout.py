"""How long something may take, where many things may take the same time at once.

`asyncio.timeout` sets a timer for each and takes it away again, which for the three limits of a refresh is a twentieth
of it. Here those with the same limit stand in a queue, in the order in which their time is up, and one timer looks at
the first of them.
"""

import asyncio
from types import TracebackType


class SharedTimeout:
    """A limit of so many seconds: `async with patience():` is `async with asyncio.timeout(seconds):`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_set = False
        self._queue: dict[_Deadline, float] = {}  # and when the time of each is up, the soonest first

    def __call__(self) -> "_Deadline":
        return _Deadline(self)

    def register(self, deadline: "_Deadline") -> "asyncio.Task[object]":
        """Put somebody into the queue. Returns the task that it is; raises RuntimeError outside of one."""
        loop = asyncio.get_running_loop()
        if (task := asyncio.current_task(loop)) is None:
            raise RuntimeError("only what a task does can be cut off")
        if loop is not self._loop:  # the first one, or another than before it was closed
            self._loop, self._queue, self._is_set = loop, {}, False
        up = self._queue[deadline] = loop.time() + self.seconds
        if not self._is_set:
            self._set(loop, up)
        return task

    def unregister(self, deadline: "_Deadline") -> None:
        """Take somebody out of it, who may be out of it already."""
        self._queue.pop(deadline, None)

    def _set(self, loop: asyncio.AbstractEventLoop, up: float) -> None:
        self._is_set = True
        loop.call_at(up, self._expire_due, loop)

    def _expire_due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_set = False
        while self._queue:
            limited, up = next(iter(self._queue.items()))
            if up > loop.time():
                return self._set(loop, up)
            del self._queue[limited]
            limited.expire()
        return None


class _Deadline:
    """One use of a limit."""

    __slots__ = ("_cancelling", "_is_up", "_task", "_timeout")

    def __init__(self, timeout: SharedTimeout) -> None:
        self._timeout = timeout
        self._is_up = False

    async def __aenter__(self) -> None:
        self._task = self._timeout.register(self)
        self._cancelling = self._task.cancelling()

    def expire(self) -> None:
        """The time is up."""
        self._is_up = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._timeout.unregister(self)
        # Somebody else may have cancelled the task as well, and then it has to know.
        if self._is_up and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
