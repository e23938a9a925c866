"""What a server secret must be, apart from random, which nobody can see."""

SHORTEST_SECRET = 32
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


def unfit_list(text: str) -> str | None:
    """Why these are no server secrets (with white space between them, newest first); None if all of them will do."""
    listed = text.encode().split() or [b""]
    for place, secret in enumerate(listed, 1):
        if reason := unfit(secret.decode()):
            return reason if len(listed) == 1 else f"(number {place} of {len(listed)}) {reason}"
    return None


def unfit(secret: str) -> str | None:
    """Why this is no server secret, without a word of it; None if it will do."""
    if len(secret) < SHORTEST_SECRET:
        return f"must have at least {SHORTEST_SECRET} characters (try `openssl rand -base64 32`)"
    if any(word in secret.lower() for word in _PLACEHOLDERS):
        return "looks like a placeholder; it must be random (try `openssl rand -base64 32`)"
    if len(set(secret)) < 10:
        return "repeats itself; it must be random (try `openssl rand -base64 32`)"
    return None
