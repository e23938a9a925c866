"""Checks of a server secret: its length, and signs that it is not random."""

MIN_SECRET_LENGTH = 32
# Words that example files and tutorials put in place of a secret, in lower case.
_PLACEHOLDERS = (
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "example",
    "placeholder",
    "your-",
)


def weaknesses(text: str) -> str | None:
    """Say what is wrong with a list of server secrets (white space between them); None if all are accepted."""
    secrets = text.encode().split() or [b""]
    for position, secret in enumerate(secrets, 1):
        if reason := weakness(secret.decode()):
            return reason if len(secrets) == 1 else f"(number {position} of {len(secrets)}) {reason}"
    return None


def weakness(secret: str) -> str | None:
    """Say what is wrong with a server secret, without its value; None if it is accepted."""
    if len(secret) < MIN_SECRET_LENGTH:
        return f"must have at least {MIN_SECRET_LENGTH} characters (try `openssl rand -base64 32`)"
    if any(word in secret.lower() for word in _PLACEHOLDERS):
        return "looks like a placeholder; it must be random (try `openssl rand -base64 32`)"
    if len(set(secret)) < 10:
        return "repeats itself; it must be random (try `openssl rand -base64 32`)"
    return None
