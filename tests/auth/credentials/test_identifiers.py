"""Usernames, e-mail addresses and device names: which are equal, and which are not valid."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.credentials.identifiers import clean_device_name, clean_email, clean_username, username_key
from graph.api.device_names import describe_device
from graph.api.inputs import parse_id


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("alice", ["ALICE", " alice ", "ａｌｉｃｅ", "𝒶𝓁𝒾𝒸ℯ", "Alice\u00a0"]),
        ("straße", ["STRASSE", "strasse", "STRAẞE"]),
        ("zoë", ["zoe\u0308", "ZOË"]),
        ("ﬀ", ["ff", "FF"]),
        ("ΣΊΣΥΦΟΣ", ["σίσυφος", "σίσυφοσ"]),
    ],
)
def test_usernames_that_look_alike_have_the_same_key(name: str, others: list[str]) -> None:
    assert {username_key(other) for other in others} == {username_key(name)}


def test_different_usernames_have_different_keys() -> None:
    # A Cyrillic letter that looks Latin is a different letter: the two names are two accounts.
    names = ["alice", "аlice", "a lice", "alice2", "a-lice", "álice"]
    assert len({username_key(name) for name in names}) == len(names)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=140))
def test_the_key_of_a_username_does_not_depend_on_its_unicode_form(name: str) -> None:
    key = username_key(name)
    if key is not None:
        assert username_key(key) == key
        assert username_key(unicodedata.normalize("NFD", name)) in (key, None)  # None: too long for a username
        cleaned = clean_username(name)
        assert cleaned is not None
        assert username_key(cleaned) == key
        assert cleaned == cleaned.strip()
        assert len(cleaned) <= 128
    else:
        assert clean_username(name) is None


HIDDEN = [
    "a\x00",
    "a\nb",
    "a\rb",
    "\x1b[31m",
    "a\u200bb",
    "\u202eb",
    "\ufeffa",
    "\ud800",
    "\u2028",
    "\ue000",
    "\U000e0001a",
]


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_log_05_invisible_characters_are_refused_in_every_name(hidden: str) -> None:
    assert username_key(f"x{hidden}x") is None
    assert clean_device_name(f"x{hidden}x") is None
    assert clean_email(f"x{hidden}x@example.org") is None


def test_names_have_a_maximum_length() -> None:
    assert username_key("x" * 128) == "x" * 128
    assert [username_key(name) for name in ("", " ", "\u3000", "x" * 129, "ﷺ" * 100)] == [None] * 5
    assert clean_device_name("x" * 100) == "x" * 100
    assert [clean_device_name(name) for name in ("", " ", "x" * 101, "x" * 10**6)] == [None] * 4
    assert clean_device_name(" " * 50 + "x" + " " * 50) == "x"
    assert clean_device_name("👩‍💻") == "👩‍💻"


def test_an_email_address_has_a_local_part_a_domain_and_a_maximum_length() -> None:
    assert clean_email(" Zoe\u0308@example.org ") == "Zoë@example.org"
    assert clean_email("a@b") == "a@b"
    assert clean_email("x" * 242 + "@example.org") is not None
    for invalid in ("", "a", "@", "a@", "@b", "a b@c", "a@b c", "x" * 243 + "@example.org", "x" * 10**6 + "@b"):
        assert clean_email(invalid) is None


@pytest.mark.parametrize("text_of", ["", "x", "{0}", "urn:uuid:{0}", "{0}\n", " {0}", "{0}x", "0" * 32, "0" * 10**5])
def test_an_id_has_one_spelling(text_of: str) -> None:
    text = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert str(parse_id(text)) == text
    for other in (text.upper(), text.replace("-", ""), "{" + text + "}", text_of.format(text) + "."):
        assert parse_id(other) is None


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=600))
def test_every_user_agent_gives_a_device_name(user_agent: str) -> None:
    assert describe_device(user_agent)
    assert describe_device(None) == "Unknown device"
