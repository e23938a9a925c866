"""Base64url without padding (RFC 7515 section 2), and the JWK thumbprint (RFC 7638)."""

import base64
import hashlib
import json
from collections.abc import Mapping


def base64url(data: bytes) -> str:
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Decode base64url without padding. Raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_canonical(text: str) -> bool:
    """Whether encoding the decoded bytes gives this text again.

    The last character of base64 may carry bits that no byte uses, and a decoder ignores them. Without this check one
    token would have several spellings (TOK-15).
    """
    try:
        return base64url(from_base64url(text)) == text
    except ValueError:
        return False


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK that has only its required members (RFC 7638 section 3)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())
