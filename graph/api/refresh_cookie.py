"""The refresh cookie: a session's refresh token in a browser, and what a request must prove before it counts.

A browser sends a cookie with every request to the service, also with one that another site caused. So the cookie alone
does not prove that the user's page sent the request (cross-site request forgery, WEB-02).
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from auth.config.settings import Settings
from auth.outcomes import Expired, Invalid, RefreshOutcome, Replayed, Revoked, Rotated, TokenPair
from graph.problems import BadUserInput, Forbidden

# HTML forms cannot send this header, and pages of other origins only after a preflight request.
HEADER, COOKIE = "kindred-delivery", "cookie"
# WSP of RFC 6265 section 2.2: browsers strip no other byte from a cookie's name or value.
_WHITE_SPACE = b" \t"


@dataclass(frozen=True)
class RefreshCookie:
    """The refresh cookie of one request."""

    request: Request
    settings: Settings

    @property
    def name(self) -> str:
        """The cookie's name. With the prefix `__Host-`, browsers do not accept it from a sibling domain.

        Front ends on other origins have cookies of their own. If two of them shared one, each would refresh without
        the other's knowledge, and the second refresh would be a replay.
        """
        name = "__Host-kindred-refresh" if self._secure else "kindred-refresh"
        origin = self.request.headers.get("origin")
        if origin is None or origin in self._own_origins:
            return name
        return f"{name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"

    @property
    def _secure(self) -> bool:
        # Over plain HTTP, as in development, some browsers refuse a cookie with the attribute `Secure`.
        return self.settings.in_production or self.request.url.scheme == "https"

    @property
    def is_requested(self) -> bool:
        """Whether the request has the header `Kindred-Delivery`, or the cookie itself."""
        return HEADER in self.request.headers or bool(self._sent)

    @cached_property
    def _sent(self) -> list[bytes]:
        """Values of every cookie of this name, from all `Cookie` headers: HTTP/2 may split them (RFC 9113 8.2.3).

        Names are compared byte for byte. Starlette strips A0, 85 and 1C to 1F from names too. Browsers do not: to them
        `<A0>__Host-kindred-refresh` is a name without the prefix, which a sibling domain could set (WEB-01).
        """
        name = self.name.encode()
        headers = [value for header, value in self.request.scope["headers"] if header == b"cookie"]
        pairs = [pair.partition(b"=") for pair in b";".join(headers).split(b";")]
        return [value.strip(_WHITE_SPACE) for key, equals, value in pairs if equals and key.strip(_WHITE_SPACE) == name]

    def require(self) -> None:
        """Raise `Forbidden` unless a page of the service or of an allowed origin meant to send the request.

        Also raise it if the cookie was sent twice: the service cannot tell which one it set.
        """
        if self.request.headers.get(HEADER) != COOKIE:
            raise Forbidden("Requests that use the cookie must send `Kindred-Delivery: cookie`.")
        if self.request.headers.get("origin") not in {*self._own_origins, *self.settings.allowed_origins}:
            raise Forbidden(
                "The request's origin may not use cookies. Use a page of the service, or add the origin to "
                "KINDRED_ALLOWED_ORIGINS."
            )
        if len(self._sent) > 1:
            raise Forbidden(
                f"The cookie `{self.name}` was sent more than once, so none of them counts. "
                "Delete the cookies of this site and sign in again."
            )

    @property
    def _own_origins(self) -> set[str]:
        host = self.request.headers.get("host", "").lower()
        # The second one: TLS ends at a proxy that is not in KINDRED_TRUSTED_PROXIES.
        return {f"{self.request.url.scheme}://{host}", f"https://{host}"}

    def token(self) -> str:
        """Return the refresh token in the cookie; the empty string, which is never valid, if there is no cookie.

        Raises `Forbidden`, and `BadUserInput` if the request has neither the cookie nor its header.
        """
        if not self.is_requested:
            raise BadUserInput("The refresh token is missing. Send it as `refreshToken`, or use the cookie.")
        self.require()
        return str(self._sent[0], "latin-1") if self._sent else ""

    def set(self, response: Response, tokens: TokenPair, now: datetime) -> TokenPair:
        """Set the refresh token as the cookie. Return the pair for the body, without the refresh token."""
        self._set(response, tokens.refresh_token, int((tokens.refresh_token_expires_at - now).total_seconds()))
        return replace(tokens, refresh_token="")

    def apply_outcome(self, response: Response, outcome: RefreshOutcome, now: datetime) -> RefreshOutcome:
        """Set the cookie after a refresh, or clear it if its token will never be accepted again."""
        match outcome:
            case Rotated(tokens):
                return replace(outcome, tokens=self.set(response, tokens, now))
            case Invalid() | Expired() | Revoked() | Replayed():
                self.clear_if_sent(response)
        return outcome

    def clear_if_sent(self, response: Response) -> None:
        """Clear the cookie if the request had it.

        If it had none, do nothing: another tab may just have signed in, and this response would clear its cookie.
        """
        if self._sent:
            self.clear(response)

    def clear(self, response: Response) -> None:
        """Make the browser delete the cookie (SESS-12)."""
        self._set(response, "", 0)

    def clear_if_header_sent(self, response: Response) -> None:
        """Clear the cookie if the request has the header `Kindred-Delivery: cookie`: its session was revoked by ID."""
        if self.request.headers.get(HEADER) == COOKIE:
            self.clear(response)

    def _set(self, response: Response, value: str, max_age: int) -> None:
        response.set_cookie(
            self.name, value, max_age=max_age, path="/", secure=self._secure, httponly=True, samesite="strict"
        )
