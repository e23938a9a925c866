"""The refresh token in a cookie, for pages: how it travels, and what a request must show before the cookie counts.

A browser sends a cookie whoever made it send the request, so the cookie alone proves nothing (WEB-02).
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from auth.config.settings import Settings
from auth.outcomes import Expired, Invalid, RefreshOutcome, Replayed, Revoked, Rotated, TokenPair
from graph.execution.error_masking import BadUserInput, Forbidden

# A header that no form can send, and no page of another origin without being allowed to first.
HEADER, COOKIE = "kindred-delivery", "cookie"
# WSP of RFC 6265 section 2.2: browsers strip no other byte from a cookie's name or value.
_WHITE_SPACE = b" \t"


@dataclass(frozen=True)
class RefreshCookie:
    """The cookie of one request."""

    request: Request
    settings: Settings

    @property
    def name(self) -> str:
        """What it is called. With the prefix, browsers take it from the service alone, and from no sibling domain.

        Front ends on other origins have cookies of their own. With one for all, two of them would refresh without
        knowing of each other, and be a replay.
        """
        name = "__Host-kindred-refresh" if self._secure else "kindred-refresh"
        origin = self.request.headers.get("origin")
        if origin is None or origin in self._own:
            return name
        return f"{name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"

    @property
    def _secure(self) -> bool:
        # Over plain HTTP, which is for development, not every browser keeps a cookie that asks for TLS.
        return self.settings.in_production or self.request.url.scheme == "https"

    @property
    def is_requested(self) -> bool:
        """Whether the request says that it is about the cookie, or has one with it."""
        return HEADER in self.request.headers or bool(self._sent)

    @cached_property
    def _sent(self) -> list[bytes]:
        """The value of every cookie of that name, in all `Cookie` headers: HTTP/2 may split them (RFC 9113 8.2.3).

        The name counts to the byte. Starlette strips A0, 85 and 1C to 1F from names too. Browsers do not, so to them
        `<A0>__Host-kindred-refresh` is a name without the prefix: a sibling domain could plant it (WEB-01).
        """
        name = self.name.encode()
        headers = [value for header, value in self.request.scope["headers"] if header == b"cookie"]
        pairs = [pair.partition(b"=") for pair in b";".join(headers).split(b";")]
        return [value.strip(_WHITE_SPACE) for key, equals, value in pairs if equals and key.strip(_WHITE_SPACE) == name]

    def require(self) -> None:
        """Raises `Forbidden` unless a page of ours, or of an allowed origin, meant to send this request.

        Raises it too where the cookie came more than once: the service cannot tell which of them it set.
        """
        if self.request.headers.get(HEADER) != COOKIE:
            raise Forbidden("The refresh token in the cookie counts only with the header `Kindred-Delivery: cookie`.")
        if self.request.headers.get("origin") not in {*self._own, *self.settings.allowed_origins}:
            raise Forbidden("Cookies count only for the service's own pages, and those of KINDRED_ALLOWED_ORIGINS.")
        if len(self._sent) > 1:
            raise Forbidden(
                f"The cookie `{self.name}` came more than once, so none of them counts. "
                "Delete the cookies of this site, and sign in again."
            )

    @property
    def _own(self) -> set[str]:
        host = self.request.headers.get("host", "").lower()
        # The second where TLS ends at a proxy whose word is not believed.
        return {f"{self.request.url.scheme}://{host}", f"https://{host}"}

    def token(self) -> str:
        """The refresh token in it; the empty string, which is none, where there is no cookie.

        Raises `Forbidden`, and `BadUserInput` where nothing in the request is about the cookie.
        """
        if not self.is_requested:
            raise BadUserInput("There is no refresh token: give it as `refreshToken`, or have it in the cookie.")
        self.require()
        return str(self._sent[0], "latin-1") if self._sent else ""

    def set(self, response: Response, tokens: TokenPair, now: datetime) -> TokenPair:
        """Answer the refresh token in the cookie; returns the pair as the body may have it, without."""
        self._set(response, tokens.refresh_token, int((tokens.refresh_token_expires_at - now).total_seconds()))
        return replace(tokens, refresh_token="")

    def apply_outcome(self, response: Response, outcome: RefreshOutcome, now: datetime) -> RefreshOutcome:
        """The same for what came of a refresh: after a refusal for good, the browser forgets the token."""
        match outcome:
            case Rotated(tokens):
                return replace(outcome, tokens=self.set(response, tokens, now))
            case Invalid() | Expired() | Revoked() | Replayed():
                self.clear_if_sent(response)
        return outcome

    def clear_if_sent(self, response: Response) -> None:
        """Have the browser forget the cookie that it sent.

        If it sent none, do nothing: another tab may just have signed in, and this answer would clear its cookie.
        """
        if self._sent:
            self.clear(response)

    def clear(self, response: Response) -> None:
        """Have the browser forget it (SESS-12)."""
        self._set(response, "", 0)

    def clear_if_requested(self, response: Response) -> None:
        """The same, if the request says that it is about the cookie: its session was ended in another way."""
        if self.request.headers.get(HEADER) == COOKIE:
            self.clear(response)

    def _set(self, response: Response, value: str, max_age: int) -> None:
        response.set_cookie(
            self.name, value, max_age=max_age, path="/", secure=self._secure, httponly=True, samesite="strict"
        )
