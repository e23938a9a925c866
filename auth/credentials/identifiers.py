"""Usernames, e-mail addresses and device names: which are valid, and which usernames are the same."""

import unicodedata

from db.tables.families import DEVICE_NAME_LENGTH
from db.tables.usernames import USERNAME_KEY_LENGTH
from db.tables.users import EMAIL_LENGTH, USERNAME_LENGTH

_JOINERS = "\u200c\u200d"


def username_key(username: str) -> str | None:
    """Return the form in which usernames are compared: NFKC and case-folded, so look-alikes share one account.

    None for text that cannot be a username: empty, too long, or with invisible characters.
    """
    if len(username) > USERNAME_LENGTH:
        return None
    key = _fold(_fold(username)).strip()  # twice: folding may produce characters that NFKC would compose
    return key if key and len(key) <= USERNAME_KEY_LENGTH and _is_visible(key) else None


def clean_username(username: str) -> str | None:
    """Return a username in its stored form, without outer spaces; None if it is not valid."""
    return None if username_key(username) is None else unicodedata.normalize("NFC", username).strip()


def clean_device_name(name: str) -> str | None:
    """Return a device name in its stored form, without outer spaces; None if it is not valid."""
    cleaned = unicodedata.normalize("NFC", name[: 4 * DEVICE_NAME_LENGTH]).strip()
    return cleaned if 0 < len(cleaned) <= DEVICE_NAME_LENGTH and _is_visible(cleaned) else None


def clean_email(address: str) -> str | None:
    """Return an e-mail address in its stored form, without outer spaces; None if it is not valid.

    This checks only its length, its characters and that it has two sides. Whether mail arrives, only a message can
    tell.
    """
    cleaned = unicodedata.normalize("NFC", address[: 4 * EMAIL_LENGTH]).strip()
    name, _, host = cleaned.rpartition("@")
    fits = len(cleaned) <= EMAIL_LENGTH and _is_visible(cleaned) and not any(map(str.isspace, cleaned))
    return cleaned if name and host and fits else None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_visible(text: str) -> bool:
    # Cc control, Cf format (except the joiners that names and emoji need), Cs surrogates, Co and Cn without meaning,
    # Zl and Zp line breaks: they hide in a list, or break a log line (LOG-05). PostgreSQL cannot store NUL.
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return all(character in _JOINERS or unicodedata.category(character) not in hidden for character in text)
