"""Keys that are derived from the server secret, and sealing with one of them.

The server secret is a list, newest first: the newest one signs and seals, the older ones still verify and unseal.
"""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_LENGTH = 12  # bytes


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
        """Derive the keys of one secret: the same on every worker and after every restart."""

        def key(purpose: bytes) -> bytes:
            return HKDF(hashes.SHA256(), length=32, salt=None, info=b"kindred " + purpose).derive(secret)

        return cls(key(b"refresh tokens"), key(b"successors"), key(b"signing keys"))

    @classmethod
    def derive_all(cls, secret_list: bytes) -> tuple["SecretKeys", ...]:
        """Derive the keys of each secret in a list with white space between them, in its order: newest first."""
        return tuple(cls.derive(secret) for secret in dict.fromkeys(secret_list.split()))

    def seal(self, private_key: bytes, kid: str, nonce: bytes) -> bytes:
        """Encrypt a private key, bound to its id: an attacker who can write to the table cannot swap two keys."""
        return nonce + AESGCM(self.sealing).encrypt(nonce, private_key, kid.encode())

    def unseal(self, sealed: bytes, kid: str) -> bytes | None:
        """Return the private key that was sealed under this id; None if another secret or id sealed it."""
        try:
            return AESGCM(self.sealing).decrypt(sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:], kid.encode())
        except InvalidTag:
            return None
