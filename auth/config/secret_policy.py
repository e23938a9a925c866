"""What a server secret must be, apart from random, which nobody can see."""

MIN_SECRET_LENGTH = 32
# In lower case; what example files and tutorials put where a secret belongs.
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
    """Why these are no server secrets (with white space between them, newest first); None if all of them will do."""
    listed = text.encode().split() or [b""]
    for place, secret in enumerate(listed, 1):
        if reason := weakness(secret.decode()):
            return reason if len(listed) == 1 else f"(number {place} of {len(listed)}) {reason}"
    return None


def weakness(secret: str) -> str | None:
    """Why this is no server secret, without a word of it; None if it will do."""
    if len(secret) < MIN_SECRET_LENGTH:
        return f"must have at least {MIN_SECRET_LENGTH} characters (try `openssl rand -base64 32`)"
    if any(word in secret.lower() for word in _PLACEHOLDERS):
        return "looks like a placeholder; it must be random (try `openssl rand -base64 32`)"
    if len(set(secret)) < 10:
        return "repeats itself; it must be random (try `openssl rand -base64 32`)"
    return None
