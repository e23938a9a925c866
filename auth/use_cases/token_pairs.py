"""The token pair of a session: its current refresh token, and a new access token."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.crypto.entropy import Entropy
from auth.crypto.tokens import Issuer, create_access_token, create_refresh_token
from auth.outcomes import TokenPair
from db.tables.families import FamilyRow


@dataclass(frozen=True, slots=True)
class TokenPairFactory:
    """Creates token pairs."""

    issuer: Issuer
    entropy: Entropy
    access_token_ttl: timedelta

    def create(self, family: FamilyRow, jti: str, now: datetime) -> TokenPair:
        """Create a new access token, and the family's current refresh token, whose secret is `jti`.

        The refresh token depends on the family's row alone: until the family rotates, it is the same each time.
        """
        # No access token outlives its session. Other services verify it by public key, without asking this one.
        access_expires_at = min(now + self.access_token_ttl, family.absolute_expires_at)
        return TokenPair(
            access_token=create_access_token(
                self.issuer,
                user_id=family.user_id,
                session_id=family.id,
                jti=self.entropy.token(),
                auth_time=family.created_at,
                issued_at=now,
                expires_at=access_expires_at,
            ),
            access_token_expires_at=access_expires_at,
            expires_in=int(access_expires_at.timestamp()) - int(now.timestamp()),
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
