"""Passwords: which ones are strong enough, how they are normalized, and how much a hash may cost."""

import os
import sys
import threading
from contextlib import ExitStack
from hashlib import sha512

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.hash import argon2, bcrypt, sha512_crypt
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

from auth.credentials import password_hashing
from auth.credentials.password_hashing import (
    Hasher,
    HashingQueueFull,
    Verified,
    hash_password,
    is_usable_hash,
    normalize_password,
    verify_password,
)
from auth.credentials.password_strength import check_strength, scored_prefix

pytestmark = pytest.mark.real_hash_cost


def reason(password: str, *, at_least: int = 8, known: tuple[str, ...] = ("alice",)) -> str | None:
    return check_strength(password, at_least=at_least, known=known).weakness


@pytest.mark.parametrize("at_least", [8, 15, 64])
def test_cred_04_a_password_needs_the_minimum_length_of_the_setting(at_least: int) -> None:
    long_enough = "7Q!x k2Vp;wZ r9" * 5
    assert reason(long_enough[: at_least - 1], at_least=at_least) == (
        f"The password must have at least {at_least} characters."
    )
    assert reason(long_enough[:at_least], at_least=at_least) is None


@pytest.mark.parametrize(
    "guessable",
    [
        "password",
        "Passw0rd!",
        "passwordpassword",
        "12345678",
        "qwertyuiop",
        "iloveyou2",
        "letmein123",
        "aaaaaaaaaaaa",
        "kindred1",
        "kindredkindred",
        "Kindred2026",
        "alicealice",
        "alice1234",
        "ecilaecila",
        "abcdefgh",
        "11-11-1999",
    ],
)
def test_cred_07_a_common_password_is_refused(guessable: str) -> None:
    weakness = reason(guessable)
    assert weakness is not None
    assert weakness.startswith("The password is too easy to guess. ")


@pytest.mark.parametrize(
    "fine",
    ["k7#Vq2!m", "correct horse battery staple", "violet kettle orbits 42 lanterns", "🔑 clé de voûte 🔑", " 7Qx!k2Vp ",
     sha512(b"long").hexdigest() * 8, "пароль из четырёх слов", "MARMALADE TROMBONE ISLAND"],
)  # fmt: skip
def test_cred_05_a_strong_password_of_any_characters_is_accepted(fine: str) -> None:
    assert reason(fine) is None


@given(st.text(st.sampled_from("4@8({[<3691!|70$5+%2ab "), min_size=8, max_size=90))
@settings(max_examples=30, deadline=None)
def test_the_score_tries_at_most_128_substitutions_of_characters_that_look_like_letters(password: str) -> None:
    """zxcvbn tries every combination of substitutions: a password of twenty such characters took seconds."""
    prefix = scored_prefix(password)
    assert password.startswith(prefix)
    assert len(enumerate_l33t_subs(relevant_l33t_subtable(prefix, L33T_TABLE))) <= 128


@pytest.mark.parametrize("long", ["a" * 1024, "password" * 128, "1a" * 512, "()" * 512])
def test_the_score_reads_the_first_72_characters_of_a_long_password(long: str) -> None:
    """zxcvbn's time grows faster than the length."""
    assert scored_prefix(long) == long[:72]
    assert reason(long) == reason(long[:72])


@pytest.mark.parametrize(
    ("typed", "hashed"),
    [
        ("Zoe\u0308", "Zoë"),
        ("Zoë", "Zoë"),
        ("ﬀ", "ﬀ"),  # NFC and not NFKC: different characters stay different
        ("a\x00b", "a\x00b"),
        (" a ", " a "),
        ("x" * 1024, "x" * 1024),
        ("é" * 512, "é" * 512),
        ("", None),
        ("x" * 1025, None),
        ("é" * 513, None),
        ("\ud800", None),
        ("a\udfffb", None),
    ],
)
def test_cred_06_a_password_is_normalized_to_nfc_and_an_invalid_one_is_refused(typed: str, hashed: str | None) -> None:
    assert normalize_password(typed) == hashed


def test_a_malformed_or_unsupported_hash_matches_no_password() -> None:
    argon2d = "$argon2d$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
    truncated = ("$", "$argon2id$", argon2d[:31], argon2d[:31] + "c29tZQ$AAAA", "$2b$12$", "$2b$04$" + "." * 53)
    elsewhere = sha512_crypt.using(rounds=1000).hash("password")  # type: ignore[no-untyped-call]
    for stored in ("", "x", "password", "\x00", "é" * 60, elsewhere, argon2d, *truncated):
        assert verify_password("password", stored) is False, stored


ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
BCRYPT = "$2b$04$" + "a" * 53


@pytest.mark.parametrize(
    "usable",
    [
        ARGON2,
        ARGON2.replace("argon2id", "argon2i"),
        ARGON2.replace("m=19456,t=2,p=1", "m=262144,t=16,p=16"),
        ARGON2.replace("c29tZXNhbHRzb21lc2FsdA", "c29tZXNhbHQ") + "A" * 43,
        BCRYPT,
        BCRYPT.replace("2b", "2y"),
        BCRYPT.replace("$04$", "$14$"),
    ],
)
def test_cred_14_a_complete_hash_of_bounded_cost_can_be_imported(usable: str) -> None:
    assert is_usable_hash(usable)


@pytest.mark.parametrize(
    "unusable",
    [
        "",
        "no hash at all",
        ARGON2[:-22],
        ARGON2 + "\n",
        ARGON2 + "$",
        ARGON2.replace("argon2id", "argon2d"),
        ARGON2.replace("v=19", "v=99"),
        ARGON2.replace("m=19456", "m=262145"),
        ARGON2.replace("m=19456", "m=0"),
        ARGON2.replace("t=2", "t=17"),
        ARGON2.replace("p=1", "p=17"),
        ARGON2.replace("c29tZXNhbHRzb21lc2FsdA", ""),
        BCRYPT[:-1],
        BCRYPT + "a",
        BCRYPT.replace("$04$", "$15$"),
        BCRYPT.replace("2b", "2x"),
        "$6$rounds=5000$c29tZXNhbHQ$" + "a" * 86,
    ],
)
def test_cred_14_a_truncated_unsupported_or_too_expensive_hash_cannot_be_imported(unusable: str) -> None:
    assert not is_usable_hash(unusable)


def test_argon2_and_bcrypt_hashes_are_verified_and_new_hashes_are_argon2id() -> None:
    lighter = argon2.using(memory_cost=8192, time_cost=1).hash("right")  # type: ignore[no-untyped-call]
    assert verify_password("right", lighter)
    assert verify_password("right", bcrypt.using(rounds=4).hash("right"))
    assert not verify_password("Right", bcrypt.using(rounds=4).hash("right"))
    assert hash_password("right").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password("right") != hash_password("right")


def test_cred_15_the_hashing_queue_has_five_slots_for_each_thread() -> None:
    hasher = Hasher(threads=2)
    try:
        with ExitStack() as slots:
            for _ in range(10):
                slots.enter_context(hasher.slot())
            with pytest.raises(HashingQueueFull), hasher.slot():
                pass
        with hasher.slot():
            pass
    finally:
        hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a thread a niceness of its own")
async def test_cred_15_hashing_threads_have_a_lower_priority() -> None:
    hasher = Hasher(threads=1)
    try:
        niceness = await hasher._run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert niceness == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    finally:
        hasher.close()


async def test_a_password_without_a_hash_never_matches() -> None:
    hasher = Hasher(threads=1)
    try:
        assert await hasher.verify("no user has this password", None) == Verified(False)
    finally:
        hasher.close()


def test_cred_02_a_process_that_cannot_verify_its_own_hash_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hashing, "_verify", lambda *_: Verified(False))
    with pytest.raises(RuntimeError, match="libpass"):
        Hasher(threads=1)
