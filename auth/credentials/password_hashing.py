"""Passwords: hashed with argon2id off the event loop, verified in the same time for everybody, and judged."""

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
from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

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
_BCRYPT_READS = 72  # bytes; what follows them was never part of the hash

# A stored hash says itself how dear it is to verify. Whoever can write one must not hold a core for a minute
# (CRED-14), so what lies beyond these bounds is refused unverified.
_ARGON2 = re.compile(r"\$argon2id?\$v=\d+\$m=(\d{1,9}),t=(\d{1,3}),p=(\d{1,3})\$")
_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$")
_MAX_MEMORY, _MAX_PASSES, _MAX_LANES, _MAX_ROUNDS = 256 * 1024, 16, 16, 14

# zxcvbn's estimate of the guesses that an attacker needs; eight random characters have just that many.
_WEAK_BELOW_GUESSES = 10**8
# From how many guesses on a password has a strength of 1, 2, 3 and 4. It will do from 2 on.
_STRENGTHS = (10**4, _WEAK_BELOW_GUESSES, 10**10, 10**12)
# zxcvbn refuses more, and takes longer than linear time; what 72 characters have is enough to judge by.
_SCORED_CHARACTERS = 72
# It tries what each sign that looks like a letter may stand for, with each of the others: 0.2 s for ten different ones,
# which are as many as there are digits, and 4 s for twenty.
_SCORED_LOOK_ALIKES = 10
_LOOK_ALIKES = frozenset(sign for signs in L33T_TABLE.values() for sign in signs)


class HashingQueueFull(Exception):
    """As many passwords wait to be hashed as may. What to answer is 503, at once."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a password is right, and if it is and its hash is out of date, a newer hash of it."""

    matches: bool
    newer_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordStrength:
    """What a password is worth: 0 to 4, and below 2 why it will not do, as a sentence for a person."""

    strength: int
    weakness: str | None = None


def normalize_password(password: str) -> str | None:
    """The password as it is hashed: NFC (RFC 8265 section 4.2), so it is the same from every keyboard.

    None for what can be nobody's password: empty, over 1,024 bytes, or no text at all (a lone surrogate).
    """
    if not password or len(password) > MAX_PASSWORD_LENGTH:
        return None
    try:
        normalized = unicodedata.normalize("NFC", password)
        return normalized if len(normalized.encode()) <= MAX_PASSWORD_LENGTH else None
    except UnicodeEncodeError:
        return None


def hash_password(password: str) -> str:
    """Hash a normalized password. Takes about 20 ms of a core: call it through `Hasher` from the event loop."""
    return _CONTEXT.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether the normalized password is the one that was hashed. False for a hash it cannot or must not read."""
    return _verify(password, hashed).matches


def _verify(password: str, hashed: str) -> Verified:
    if not _affordable(hashed):
        return Verified(False)
    try:
        encoded = password.encode()
        if _BCRYPT.match(hashed) and len(encoded) > _BCRYPT_READS:
            # The rest never counted, so a newer hash of all that was typed would pin down a part nobody verified.
            return Verified(_CONTEXT.verify(encoded[:_BCRYPT_READS], hashed))
        matches, newer = _CONTEXT.verify_and_update(password, hashed)
    except (ValueError, TypeError):
        return Verified(False)
    return Verified(matches, newer)


def _affordable(hashed: str) -> bool:
    if argon2 := _ARGON2.match(hashed):
        memory, passes, lanes = map(int, argon2.groups())
        return memory <= _MAX_MEMORY and passes <= _MAX_PASSES and lanes <= _MAX_LANES
    bcrypt = _BCRYPT.match(hashed)
    return bcrypt is not None and int(bcrypt[1]) <= _MAX_ROUNDS


class Hasher:
    """Hashing in threads of its own, so many at once as there are cores, and a queue that ends (CRED-15)."""

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="hashing", initializer=lower_priority)
        self._in_progress = 0
        self._checking = False
        # Compared with when there is nobody of that name, so that it takes as long as when there is. Made here,
        # which also shows before the first sign-in that this machine can hash and verify (CRED-02).
        self._dummy_hash = hash_password("nobody has this password")
        if not verify_password("nobody has this password", self._dummy_hash):
            raise RuntimeError("argon2 does not verify what it has just hashed; is libpass installed?")

    async def verify(self, password: str, hashed: str | None) -> Verified:
        """Compare a normalized password with a hash; with `hashed` None it takes as long and is never right."""
        verified = await self._run(lambda: _verify(password, hashed or self._dummy_hash))
        return verified if hashed else Verified(False)

    async def hash(self, password: str) -> str:
        """Hash a normalized password."""
        return await self._run(lambda: hash_password(password))

    async def check_strength(self, password: str, *, at_least: int, known: tuple[str, ...]) -> PasswordStrength:
        """What a normalized password is worth.

        `known` are words that an attacker would try first, such as the username.
        """
        return await self._run(lambda: check_strength(password, at_least=at_least, known=known))

    @property
    def slots(self) -> tuple[int, int]:
        """How many places of the queue are taken, and how many there are."""
        return self._in_progress, 5 * self.threads

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A place in the queue, for all that a request has to hash. Raises `HashingBusy` where all are taken.

        Taken before anything else is done for the request: a flood of passwords that cannot be hashed costs no
        statement either.
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
        """The one place of a password that is judged for advice alone. Raises `HashingBusy` where it is taken.

        Whoever is signed in may ask for advice, and of some passwords it takes a fifth of a second.
        """
        if self._checking:
            raise HashingQueueFull
        self._checking = True
        try:
            yield
        finally:
            self._checking = False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Let the threads go."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def lower_priority() -> None:
    # On Linux a thread has a niceness of its own. Refreshes take half a millisecond and must not wait for passwords,
    # which take twenty, on a machine whose cores are all busy with them.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + 10)


def check_strength(password: str, *, at_least: int, known: tuple[str, ...]) -> PasswordStrength:
    """What a normalized password is worth (ASVS 6.2.1, 6.2.4)."""
    if len(password) < at_least:
        return PasswordStrength(0, f"The password must have at least {at_least} characters.")
    judged = zxcvbn(scored_prefix(password), user_inputs=["kindred", *known])
    strength = sum(judged["guesses"] >= guesses for guesses in _STRENGTHS)
    if judged["guesses"] >= _WEAK_BELOW_GUESSES:
        return PasswordStrength(strength)
    why = judged["feedback"]["warning"] or "It would be guessed in a short time."
    return PasswordStrength(strength, f"The password is too easy to guess. {why}")


def scored_prefix(password: str) -> str:
    """As much of it as is judged. The whole is worth no less."""
    signs = set()
    for position, character in enumerate(password[:_SCORED_CHARACTERS]):
        if character in _LOOK_ALIKES:
            signs.add(character)
            if len(signs) > _SCORED_LOOK_ALIKES:
                return password[:position]
    return password[:_SCORED_CHARACTERS]
