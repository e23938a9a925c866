"""The one place that draws random bits, all of them from the operating system's generator."""

import secrets
from datetime import datetime
from uuid import UUID


class Entropy:
    """The dice."""

    def token(self) -> str:
        """256 random bits as 43 characters of base64url: a secret nobody guesses (ASVS 7.2.3, 11.5.1)."""
        return secrets.token_urlsafe(32)

    def password(self) -> str:
        """A password for a person to paste: 120 random bits as 20 characters."""
        return secrets.token_urlsafe(15)

    def fraction(self) -> float:
        """A number from 0 up to 1, to spread over time what would else happen at once."""
        return secrets.randbits(32) / 2**32

    def bytes(self, count: int) -> bytes:
        """That many random bytes."""
        return secrets.token_bytes(count)

    def id(self, now: datetime) -> UUID:
        """A UUID version 7 (RFC 9562 section 5.7): sorted by time, so inserts stay at the right edge of an index.

        Identifiers are not secrets, and nothing is granted to whoever knows one.
        """
        milliseconds, drawn = int(now.timestamp() * 1000), secrets.randbits(74)
        version, variant = 0x7 << 76, 0x2 << 62
        return UUID(int=milliseconds << 80 | version | drawn >> 62 << 64 | variant | drawn & (1 << 62) - 1)
