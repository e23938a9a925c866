"""Random values and identifiers: their lengths, their form, and their order."""

from datetime import UTC, datetime, timedelta

from auth.crypto.entropy import Entropy

NOW = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)


def test_tokens_and_passwords_have_the_promised_length_and_differ() -> None:
    entropy = Entropy()
    assert {len(entropy.token()) for _ in range(20)} == {43}
    assert {len(entropy.password()) for _ in range(20)} == {20}
    assert len(entropy.bytes(12)) == 12
    assert len({entropy.token() for _ in range(20)} | {entropy.password() for _ in range(20)}) == 40


def test_a_fraction_is_at_least_0_and_below_1() -> None:
    fractions = [Entropy().fraction() for _ in range(1000)]
    assert 0 <= min(fractions) < 0.1
    assert 0.9 < max(fractions) < 1


def test_an_id_is_a_uuid_of_version_7_with_its_millisecond_and_74_random_bits() -> None:
    ids = [Entropy().id(NOW) for _ in range(200)]
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert {one.int >> 80 for one in ids} == {int(NOW.timestamp() * 1000)}
    random_bits = (1 << 76) - 1 - (0x3 << 62)
    seen = unseen = 0
    for one in ids:
        seen |= one.int & random_bits
        unseen |= ~one.int & random_bits
    # Each random bit is 1 in some of two hundred ids, and 0 in others.
    assert seen == unseen == random_bits


def test_ids_are_sorted_by_time() -> None:
    ids = [Entropy().id(NOW + timedelta(milliseconds=number)) for number in range(50)]
    assert ids == sorted(ids)
