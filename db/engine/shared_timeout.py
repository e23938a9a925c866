"""How long something may take, where many things may take the same time at once.

`asyncio.timeout` sets a timer for each and takes it away again, which for the three limits of a refresh is a twentieth
of it. Here those with the same limit stand in a queue, in the order in which their time is up, and one timer looks at
the first of them.
"""

import asyncio
from types import TracebackType


class Patience:
    """A limit of so many seconds: `async with patience():` is `async with asyncio.timeout(seconds):`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_set = False
        self._queue: dict[_Limited, float] = {}  # and when the time of each is up, the soonest first

    def __call__(self) -> "_Limited":
        return _Limited(self)

    def begin(self, limited: "_Limited") -> "asyncio.Task[object]":
        """Put somebody into the queue. Returns the task that it is; raises RuntimeError outside of one."""
        loop = asyncio.get_running_loop()
        if (task := asyncio.current_task(loop)) is None:
            raise RuntimeError("only what a task does can be cut off")
        if loop is not self._loop:  # the first one, or another than before it was closed
            self._loop, self._queue, self._is_set = loop, {}, False
        up = self._queue[limited] = loop.time() + self.seconds
        if not self._is_set:
            self._set(loop, up)
        return task

    def end(self, limited: "_Limited") -> None:
        """Take somebody out of it, who may be out of it already."""
        self._queue.pop(limited, None)

    def _set(self, loop: asyncio.AbstractEventLoop, up: float) -> None:
        self._is_set = True
        loop.call_at(up, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_set = False
        while self._queue:
            limited, up = next(iter(self._queue.items()))
            if up > loop.time():
                return self._set(loop, up)
            del self._queue[limited]
            limited.cut_off()
        return None


class _Limited:
    """One use of a limit."""

    __slots__ = ("_cancelling", "_is_up", "_patience", "_task")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._is_up = False

    async def __aenter__(self) -> None:
        self._task = self._patience.begin(self)
        self._cancelling = self._task.cancelling()

    def cut_off(self) -> None:
        """The time is up."""
        self._is_up = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._patience.end(self)
        # Somebody else may have cancelled the task as well, and then it has to know.
        if self._is_up and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
