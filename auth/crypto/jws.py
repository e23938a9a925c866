"""JSON Web Signatures in compact form (RFC 7515 section 7.1): framed here, signed by PyJWT's algorithms.

PyJWT's own framing loops over every character in Python, checks each secret for keys of other kinds, and builds every
header again: 0.2 ms for each refresh.
"""

import hmac
from functools import lru_cache
from typing import Any

import jwt
import orjson

from auth.crypto.base64url import base64url, from_base64url, is_canonical

_ALGORITHMS = {name: jwt.get_algorithm_by_name(name) for name in ("HS256", "EdDSA", "ES256")}


def sign(claims: dict[str, Any], key: Any, algorithm: str, **header: str) -> str:
    """Return a signed token with these claims. `key` is what PyJWT's algorithm of that name signs with."""
    signing_input = f"{encode_header(algorithm, **header)}.{base64url(orjson.dumps(claims))}"
    return f"{signing_input}.{_signature(signing_input, key, algorithm)}"


def verify(token: str, key: Any, algorithm: str) -> Any:
    """Return a token's claims, or None if this key did not sign it. Raises `ValueError` for claims that are not JSON.

    A signature in another spelling than `sign` gives does not count: one token has one spelling (TOK-15). The caller
    has checked that the token has three parts in base64url.
    """
    signing_input, _, signature = token.rpartition(".")
    if algorithm == "HS256":
        # Compare the text, not the decoded bytes: a decoder accepts other spellings, which are not genuine.
        genuine = hmac.compare_digest(_signature(signing_input, key, algorithm), signature)
    else:
        genuine = is_canonical(signature) and _ALGORITHMS[algorithm].verify(
            signing_input.encode(), key, from_base64url(signature)
        )
    return orjson.loads(from_base64url(signing_input.partition(".")[2])) if genuine else None


def _signature(signing_input: str, key: Any, algorithm: str) -> str:
    return base64url(_ALGORITHMS[algorithm].sign(signing_input.encode(), key))


def encode_header(algorithm: str, **header: str) -> str:
    """Return the first segment of a token with this header."""
    return _encode_header(algorithm, tuple(header.items()))


@lru_cache(maxsize=64)
def _encode_header(algorithm: str, header: tuple[tuple[str, str], ...]) -> str:
    return base64url(orjson.dumps({"alg": algorithm} | dict(header)))
