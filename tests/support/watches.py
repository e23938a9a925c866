"""Observe and delay the verification of passwords, and replace stored hashes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auth.credentials import password_hashing
from auth.credentials.password_hashing import Verified
from auth.services import Services
from db.tables import users
from db.tables.users import UserRow


class Watch:
    """Observes each verification of a password, and can delay it. The real verification still runs."""

    def __init__(self, verify: Callable[[str, str], Verified]) -> None:
        self.verify = verify
        self.threads: list[str] = []
        self.going = threading.Event()
        self.going.set()
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, password: str, hashed: str) -> Verified:
        with self._lock:
            self.threads.append(threading.current_thread().name)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            assert self.going.wait(120)
            return self.verify(password, hashed)
        finally:
            with self._lock:
                self.at_once -= 1

    async def until(self, begun: int) -> None:
        """Wait until this many verifications have begun."""
        async with asyncio.timeout(60):
            while len(self.threads) < begun:
                await asyncio.sleep(0.005)


@contextmanager
def watching() -> Iterator[Watch]:
    """Observe every verification during the block."""
    verify = password_hashing._verify
    watch = Watch(verify)
    password_hashing._verify = watch
    try:
        yield watch
    finally:
        watch.going.set()
        password_hashing._verify = verify


async def store_hash(services: Services, user: UserRow, hashed: str) -> None:
    """Store a hash that the service did not make."""
    async with services.db.transaction() as conn:
        await users.set_password(conn, user.id, hashed, changed_at=None)
