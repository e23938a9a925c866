"""What is derived from the server secret, and what is sealed with it.

The server secret is a list, newest first: the newest one signs and seals, the older ones still read.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = 12


class WrongSecret(Exception):
    """The signing keys in the database were sealed with another server secret."""

    def __init__(self) -> None:
        super().__init__(
            "The signing keys in this database were sealed with another server secret. Set KINDRED_SECRET "
            "(or the file that KINDRED_SECRET_FILE names) to the secret this database was last used with; "
            "a new one goes before it, with a space or a line break between them."
        )


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """What is derived from one server secret (HKDF, RFC 5869): one key for each purpose."""

    refresh_tokens: bytes = field(repr=False)
    successors: bytes = field(repr=False)
    sealing: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> "SecretKeys":
        """The same secret gives the same keys, on every worker and after every restart."""

        def key(purpose: bytes) -> bytes:
            return HKDF(hashes.SHA256(), length=32, salt=None, info=b"kindred " + purpose).derive(secret)

        return cls(key(b"refresh tokens"), key(b"successors"), key(b"signing keys"))

    @classmethod
    def derive_all(cls, listed: bytes) -> tuple["SecretKeys", ...]:
        """Of each secret in a list with white space between them, in its order: newest first."""
        return tuple(cls.derive(secret) for secret in dict.fromkeys(listed.split()))

    def seal(self, plain: bytes, name: str, nonce: bytes) -> bytes:
        """Seal a private key. Bound to its name: whoever can write to the table cannot pass one off as another."""
        return nonce + AESGCM(self.sealing).encrypt(nonce, plain, name.encode())

    def unseal(self, sealed: bytes, name: str) -> bytes | None:
        """What was sealed under that name; None where it was not, or with another secret."""
        try:
            return AESGCM(self.sealing).decrypt(sealed[:NONCE], sealed[NONCE:], name.encode())
        except InvalidTag:
            return None
