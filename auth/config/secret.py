"""The server secret: read from the setting or a file. Development creates the file."""

import os
import stat
import tempfile
from pathlib import Path

from auth.config.secret_policy import weaknesses
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy


class InvalidSecret(Exception):
    """The service must not start. The message says which setting is wrong and what to do, never its value."""


def load_secret(settings: Settings, entropy: Entropy) -> bytes:
    """Return the server secret: of KINDRED_SECRET, else of the secret file. Development creates a missing file.

    There may be several secrets, newest first, with white space between them. Raises `InvalidSecret`.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.secret_file
    if not path.exists():
        if settings.in_production:
            raise InvalidSecret(
                "KINDRED_SECRET is not set, and production does not create a secret.\n"
                "Set KINDRED_SECRET to at least 32 random characters (try `openssl rand -base64 32`), "
                "or KINDRED_SECRET_FILE to a file that holds them."
            )
        _create(path, entropy.token())
    return _read(path)


def _read(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidSecret(f"Other users may read {path}, which holds the server secret. Run: chmod 600 {path}")
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidSecret(f"The secret in {path} is not UTF-8 text (try `openssl rand -base64 32`)") from None
    if reason := weaknesses(secret):
        raise InvalidSecret(f"The secret in {path} {reason}")
    return secret.encode()


def _create(path: Path, secret: str) -> None:
    # Written under another name and then linked: if two workers start at the same time, one creates the file and the
    # other finds it complete. mkstemp makes it readable by its owner only.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
