"""JSON Web Signatures in their compact form (RFC 7515 section 7.1): framed here, signed by PyJWT's algorithms.

PyJWT's own framing looks at every character in Python, asks of each secret whether it might be a key of another kind,
and builds every header anew: 0.2 ms for each refresh.
"""

import hmac
from functools import lru_cache
from typing import Any

import jwt
import orjson

from auth.crypto.base64url import base64url, from_base64url, is_canonical

_ALGORITHMS = {name: jwt.get_algorithm_by_name(name) for name in ("HS256", "EdDSA", "ES256")}


def sign(claims: dict[str, Any], key: Any, algorithm: str, **header: str) -> str:
    """A token with these claims. `key` is what PyJWT's algorithm of that name signs with."""
    signed = f"{encode_header(algorithm, **header)}.{base64url(orjson.dumps(claims))}"
    return f"{signed}.{_signature(signed, key, algorithm)}"


def verify(token: str, key: Any, algorithm: str) -> Any:
    """What a token claims; None where it was not signed so with this key, or its signature is spelt in another way
    than we spell it: one token has one spelling (TOK-15). Raises `ValueError` for what is no JSON.

    The caller has seen to it that the token is of three parts in base64url.
    """
    signed, _, signature = token.rpartition(".")
    if algorithm == "HS256":
        # Compared as it is spelt: of other spellings, which a decoder would take as well, none is genuine.
        genuine = hmac.compare_digest(_signature(signed, key, algorithm), signature)
    else:
        genuine = is_canonical(signature) and _ALGORITHMS[algorithm].verify(
            signed.encode(), key, from_base64url(signature)
        )
    return orjson.loads(from_base64url(signed.partition(".")[2])) if genuine else None


def _signature(signed: str, key: Any, algorithm: str) -> str:
    return base64url(_ALGORITHMS[algorithm].sign(signed.encode(), key))


def encode_header(algorithm: str, **header: str) -> str:
    """The first segment of a token with this header."""
    return _encode_header(algorithm, tuple(header.items()))


@lru_cache(maxsize=64)
def _encode_header(algorithm: str, header: tuple[tuple[str, str], ...]) -> str:
    return base64url(orjson.dumps({"alg": algorithm} | dict(header)))
