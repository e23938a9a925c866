"""Base64url without padding (RFC 7515 section 2), and the JWK thumbprint (RFC 7638)."""

import base64
import hashlib
import json
from collections.abc import Mapping


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of base64url without padding; raises `ValueError`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_canonical(text: str) -> bool:
    """Whether this is how these bytes would be encoded.

    The last character of base64 may carry bits that no byte uses; a decoder ignores them, so without this check one
    token would have several spellings (TOK-15).
    """
    try:
        return base64url(from_base64url(text)) == text
    except ValueError:
        return False


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The SHA-256 thumbprint of a JWK that has its required members only (RFC 7638 section 3)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())
