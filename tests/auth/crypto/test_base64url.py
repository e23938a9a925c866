"""Base64url as tokens and key IDs use it."""

import pytest

from auth.crypto.base64url import base64url, from_base64url, is_canonical, thumbprint


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_text_that_was_encoded_decodes_to_the_same_bytes_and_is_canonical(data: bytes) -> None:
    text = base64url(data)
    assert "=" not in text
    assert from_base64url(text) == data
    assert is_canonical(text)


@pytest.mark.parametrize("text", ["A", "YR", "YQ==", "é", "a b", "_-A+"])
def test_tok_15_text_that_is_no_encoding_or_another_one_is_not_canonical(text: str) -> None:
    assert not is_canonical(text)


def test_the_thumbprint_of_a_key_is_the_one_of_rfc_8037_in_any_order_of_its_members() -> None:
    """RFC 8037, appendix A.3."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    for members in (jwk, dict(reversed(jwk.items()))):
        assert thumbprint(members) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
