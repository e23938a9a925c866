"""Minting: the token pair that belongs to a family as it now is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.crypto.entropy import Entropy
from auth.crypto.tokens import Issuer, create_access_token, create_refresh_token
from auth.outcomes import TokenPair
from db.tables.families import FamilyRow


@dataclass(frozen=True, slots=True)
class TokenPairFactory:
    """Makes token pairs."""

    issuer: Issuer
    entropy: Entropy
    access_token_ttl: timedelta

    def create(self, family: FamilyRow, jti: str, now: datetime) -> TokenPair:
        """A new access token, and the refresh token whose secret is `jti`, the current one of `family`.

        The refresh token depends on the family's row alone: while the family does not move, it is the same again.
        """
        # No access token outlives its session, not even where it is verified without asking us.
        access_ends = min(now + self.access_token_ttl, family.absolute_expires_at)
        return TokenPair(
            access_token=create_access_token(
                self.issuer,
                user_id=family.user_id,
                session_id=family.id,
                jti=self.entropy.token(),
                auth_time=family.created_at,
                issued_at=now,
                expires_at=access_ends,
            ),
            access_token_expires_at=access_ends,
            expires_in=int(access_ends.timestamp()) - int(now.timestamp()),
            refresh_token=create_refresh_token(
                self.issuer,
                user_id=family.user_id,
                session_id=family.id,
                generation=family.generation,
                jti=jti,
                issued_at=family.last_used_at,
                expires_at=family.expires_at,
            ),
            refresh_token_expires_at=family.expires_at,
        )
