"""Password hashing with argon2id: off the event loop, with a bounded queue, in the same time for every username."""

import asyncio
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from passlib.context import CryptContext

from auth.credentials.password_strength import PasswordStrength, check_strength

T = TypeVar("T")

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane. bcrypt is read, never written.
_CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt"],
    deprecated=["bcrypt"],
    argon2__type="ID",
    argon2__memory_cost=19456,
    argon2__time_cost=2,
    argon2__parallelism=1,
)
MAX_PASSWORD_LENGTH = 1024  # bytes of UTF-8
_BCRYPT_MAX_LENGTH = 72  # bytes; bcrypt ignores the rest

# A stored hash sets its own cost of verification. An attacker who can write one must not hold a core for a minute
# (CRED-14), so a hash beyond these limits is refused unverified.
_ARGON2 = re.compile(r"\$argon2id?\$v=\d+\$m=(\d{1,9}),t=(\d{1,3}),p=(\d{1,3})\$")
_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$")
_MAX_MEMORY, _MAX_PASSES, _MAX_LANES, _MAX_ROUNDS = 256 * 1024, 16, 16, 14
# A whole hash: at least 8 bytes of salt and 16 of digest for argon2, 16 and 23 for bcrypt.
_WHOLE_HASH = re.compile(
    r"\$argon2id?\$v=\d+\$[mtp=,\d]+\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{22,128}"
    r"|\$2[aby]\$\d\d\$[A-Za-z0-9./]{53}"
)


class HashingQueueFull(Exception):
    """As many passwords wait to be hashed as the queue holds. The answer is 503, at once."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a password is right, and if its hash is out of date, a newer hash of it."""

    matches: bool
    newer_hash: str | None = None


def normalize_password(password: str) -> str | None:
    """Return a password in the form that is hashed: NFC (RFC 8265 section 4.2), the same from every keyboard.

    None for text that cannot be a password: empty, over 1,024 bytes, or with a lone surrogate.
    """
    if not password or len(password) > MAX_PASSWORD_LENGTH:
        return None
    try:
        normalized = unicodedata.normalize("NFC", password)
        return normalized if len(normalized.encode()) <= MAX_PASSWORD_LENGTH else None
    except UnicodeEncodeError:
        return None


def hash_password(password: str) -> str:
    """Hash a normalized password. It takes about 20 ms of a core: on the event loop, use `Hasher`."""
    return _CONTEXT.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether a normalized password matches a hash. False for a hash that is malformed or costs too much."""
    return _verify(password, hashed).matches


def is_usable_hash(hashed: str) -> bool:
    """Whether `verify_password` can match this hash: a whole hash of argon2id, argon2i or bcrypt, of bounded cost."""
    if not (_WHOLE_HASH.fullmatch(hashed) and _is_affordable(hashed)):
        return False
    try:
        _CONTEXT.needs_update(hashed)  # parses the parameters
    except (ValueError, TypeError):
        return False
    return True


def _verify(password: str, hashed: str) -> Verified:
    if not _is_affordable(hashed):
        return Verified(False)
    try:
        encoded = password.encode()
        if _BCRYPT.match(hashed) and len(encoded) > _BCRYPT_MAX_LENGTH:
            # No newer hash: it would require the rest as well, which bcrypt ignored and so never verified.
            return Verified(_CONTEXT.verify(encoded[:_BCRYPT_MAX_LENGTH], hashed))
        matches, newer_hash = _CONTEXT.verify_and_update(password, hashed)
    except (ValueError, TypeError):
        return Verified(False)
    return Verified(matches, newer_hash)


def _is_affordable(hashed: str) -> bool:
    if argon2 := _ARGON2.match(hashed):
        memory, passes, lanes = map(int, argon2.groups())
        return memory <= _MAX_MEMORY and passes <= _MAX_PASSES and lanes <= _MAX_LANES
    bcrypt = _BCRYPT.match(hashed)
    return bcrypt is not None and int(bcrypt[1]) <= _MAX_ROUNDS


class Hasher:
    """Hashes in its own threads, as many at once as there are cores, with a bounded queue (CRED-15)."""

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="hashing", initializer=lower_priority)
        self._in_progress = 0
        self._is_checking_strength = False
        # Verified for unknown usernames, so that they take as long as known ones. Making it here also shows before the
        # first sign-in that this machine can hash and verify (CRED-02).
        self._dummy_hash = hash_password("no user has this password")
        if not verify_password("no user has this password", self._dummy_hash):
            raise RuntimeError("argon2 does not verify a hash that it has just made. Install libpass.")

    async def verify(self, password: str, hashed: str | None) -> Verified:
        """Compare a normalized password with a hash. If there is no hash, it takes as long and never matches."""
        verified = await self._run(lambda: _verify(password, hashed or self._dummy_hash))
        return verified if hashed else Verified(False)

    async def hash(self, password: str) -> str:
        """Hash a normalized password."""
        return await self._run(lambda: hash_password(password))

    async def check_strength(self, password: str, *, at_least: int, known: tuple[str, ...]) -> PasswordStrength:
        """Estimate the strength of a normalized password, as `password_strength.check_strength` does."""
        return await self._run(lambda: check_strength(password, at_least=at_least, known=known))

    @property
    def slots(self) -> tuple[int, int]:
        """How many slots of the queue are taken, and how many there are."""
        return self._in_progress, 5 * self.threads

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot of the queue, for everything that a request hashes. Raises `HashingQueueFull`.

        Take it before any other work: then a flood of passwords that cannot be hashed costs no statement either.
        """
        if self._in_progress >= 5 * self.threads:
            raise HashingQueueFull
        self._in_progress += 1
        try:
            yield
        finally:
            self._in_progress -= 1

    @contextmanager
    def strength_check_slot(self) -> Iterator[None]:
        """Hold the only slot for checks of a password that is not being set. Raises `HashingQueueFull`.

        Every signed-in user may ask for such a check, and some passwords take a fifth of a second.
        """
        if self._is_checking_strength:
            raise HashingQueueFull
        self._is_checking_strength = True
        try:
            yield
        finally:
            self._is_checking_strength = False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Stop the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def lower_priority() -> None:
    """Make the current thread yield to all others, on Linux, where each thread has its own niceness.

    A refresh takes less than a millisecond. If every core is busy, it must not wait for passwords, which take twenty.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + 10)
