"""The only module that draws random bits. All of them come from the operating system's generator."""

import secrets
from datetime import datetime
from uuid import UUID


class Entropy:
    """Cryptographically secure random values."""

    def token(self) -> str:
        """Return 256 random bits as 43 characters of base64url (ASVS 7.2.3, 11.5.1)."""
        return secrets.token_urlsafe(32)

    def password(self) -> str:
        """Return a password for a person to paste: 120 random bits as 20 characters."""
        return secrets.token_urlsafe(15)

    def fraction(self) -> float:
        """Return a number from 0 up to 1, which spreads over time what would otherwise happen at once."""
        return secrets.randbits(32) / 2**32

    def bytes(self, count: int) -> bytes:
        """Return that many random bytes."""
        return secrets.token_bytes(count)

    def id(self, now: datetime) -> UUID:
        """Return a UUID version 7 (RFC 9562 section 5.7): sorted by time, so inserts stay at the end of an index.

        Identifiers are not secrets: knowing one grants nothing.
        """
        milliseconds, random_bits = int(now.timestamp() * 1000), secrets.randbits(74)
        version, variant = 0x7 << 76, 0x2 << 62
        return UUID(int=milliseconds << 80 | version | random_bits >> 62 << 64 | variant | random_bits & (1 << 62) - 1)
