"""The server secret: where it comes from, and the file that development keeps its own in."""

import os
import stat
import tempfile
from pathlib import Path

from auth.config.secret_policy import weaknesses
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy


class InvalidSecret(Exception):
    """The service must not start. The message says which setting is wrong and how to mend it, never its value."""


def load_secret(settings: Settings, entropy: Entropy) -> bytes:
    """The server secret: from KINDRED_SECRET, else from the secret file, which development makes if it is not there.

    It may be several, newest first, with white space between them. Raises `UnfitSecret`.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.secret_file
    if not path.exists():
        if settings.in_production:
            raise InvalidSecret(
                "KINDRED_SECRET is not set, and production does not make up a secret of its own.\n"
                "Set KINDRED_SECRET to at least 32 random characters (try `openssl rand -base64 32`), "
                "or KINDRED_SECRET_FILE to a file that holds them."
            )
        _make(path, entropy.token())
    return _read(path)


def _read(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidSecret(f"Others may read {path}, which holds the server secret. Mend it: chmod 600 {path}")
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidSecret(f"The secret in {path} is not text (try `openssl rand -base64 32`)") from None
    if reason := weaknesses(secret):
        raise InvalidSecret(f"The secret in {path} {reason}")
    return secret.encode()


def _make(path: Path, secret: str) -> None:
    # Written whole under another name and then linked: of two workers that start at the same time one wins,
    # and the other finds a complete file. mkstemp makes it readable by its owner alone.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
