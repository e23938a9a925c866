"""Forged, damaged and misplaced tokens: every endpoint refuses them, and no session changes."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from auth.crypto.base64url import base64url
from auth.crypto.derived_keys import SecretKeys
from auth.crypto.key_ring import MAX_CACHED_CLAIMS
from auth.crypto.tokens import Claims, derive_successor
from auth.services import Services
from auth.use_cases.rotation import JUST_ISSUED
from db.tables.base import SigningAlgorithm
from db.tables.families import families
from db.tables.refresh_tokens import refresh_tokens
from db.tables.security_events import security_events
from db.tables.users import UserRow
from tests.support.clocks import FakeClock
from tests.support.endpoints import (
    ENDPOINTS,
    EXPIRED,
    INVALID,
    REPLAYED,
    REVOKE,
    REVOKED,
    ROTATED,
    UNAVAILABLE,
    Api,
    Pair,
)
from tests.support.servers import SECRET
from tests.support.sql import looking_at

REFRESH_KEY = SecretKeys.derive(SECRET.encode()).refresh_tokens
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Document = dict[str, Any]
Signer = Callable[[bytes], bytes]


# JWS by hand (RFC 7515), because no library makes what an attacker makes.


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def jws(header: Document | bytes, claims: Document | bytes, signer: Signer) -> str:
    """Return a token. Its header is in the service's own spelling: any other one is refused before a claim is read."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
        for part in (header, claims)
    ]
    text = ".".join(map(encode, parts))
    return f"{text}.{encode(signer(text.encode()))}"


def header_of(token: str) -> Document:
    header: Document = json.loads(decode(token.split(".")[0]))
    return header


def claims_of(token: str) -> Document:
    claims: Document = json.loads(decode(token.split(".")[1]))
    return claims


def with_hmac(key: bytes, hashed: str = "sha256") -> Signer:
    return lambda text: hmac.digest(key, text, hashed)


def unsigned(_text: bytes) -> bytes:
    return b""


def without(document: Document, name: str) -> Document:
    return {key: value for key, value in document.items() if key != name}


@dataclass
class Attack:
    """An attacker's tokens against every endpoint. The attacker knows a live session of Alice's."""

    http: AsyncClient
    services: Services
    pair: Pair

    @property
    def sign_access(self) -> Signer:
        """Sign with the real key of access tokens, for tokens in which only one thing is wrong."""
        (key,) = self.services.keys.ring
        assert isinstance(key.private, Ed25519PrivateKey)
        return key.private.sign

    @asynccontextmanager
    async def without_effect(self) -> AsyncIterator[None]:
        """Check that the block changes no row and the session stays live."""
        before = await self.rows()
        yield
        assert await self.rows() == before

    async def rows(self) -> list[Any]:
        rows: list[Any] = []
        async with looking_at(self.services.db) as conn:
            for table in (families, refresh_tokens, security_events):
                rows += sorted((await conn.execute(select(table))).all(), key=repr)
        return rows

    async def refused_as_refresh_token(self, token: str, why: str) -> None:
        for name, endpoint in ENDPOINTS.items():
            refreshed = await endpoint(self.http).refresh(token)
            assert refreshed.outcome == INVALID, f"{name}: {why}"
            assert refreshed.status == {"graphql": 200, "rest": 401}[name], why

    async def refused_as_bearer(self, token: str, why: str) -> None:
        response = await self.http.post(
            "/graphql",
            json={"query": "{ viewer { id } }"},
            headers=[(b"authorization", b"Bearer " + token.encode("utf-8", "surrogatepass"))],
        )
        assert response.status_code == 401, why
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"', why
        (error,) = response.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED", why
        assert response.json()["data"] == {"viewer": None}, why

    async def refused(self, token: str, why: str) -> None:
        await self.refused_as_refresh_token(token, why)
        await self.refused_as_bearer(token, why)


@pytest.fixture
async def attack(api: Api, services: Services, alice: UserRow) -> AsyncIterator[Attack]:
    """An attack, after which Alice's session must still be live."""
    attack = Attack(api.http, services, await api.login())
    # Made by these tests' means and unchanged, both tokens are the genuine ones. So a changed one is refused for what
    # was changed in it.
    for token, signer in ((attack.pair.refresh, with_hmac(REFRESH_KEY)), (attack.pair.access, attack.sign_access)):
        assert jws(header_of(token), claims_of(token), signer) == token
    yield attack
    assert await api.is_live(attack.pair.access)
    assert (await ENDPOINTS["rest"](api.http).refresh(attack.pair.refresh)).outcome == ROTATED


def spellings(token: str) -> Iterator[tuple[str, str]]:
    """Yield the token in every other spelling that some decoder reads as the same."""
    header, claims, signature = token.split(".")
    for end in ("=", "==", "===", "A", "AA", "AAA=", ".", "..", ".A", "-", "_", "%", "~", "\n", "\r\n", "\t", " x"):
        yield "with an end", token + end
    for start in ("=", ".", "A", "-", "\ufeff", "Bearer ", "bearer"):
        yield "with a start", start + token
    for cut in (1, 2, 3, 4, 10, len(signature) - 1, len(signature), len(signature) + 1, len(token) // 2, 80):
        yield "cut at the end", token[:-cut]
        yield "cut at the start", token[cut:]
    yield "cut to 80 characters", token[:80]
    # The last character of 32 or 64 bytes carries two or four bits that no byte uses.
    for last in ALPHABET:
        if last != token[-1]:
            yield "with another last character", token[:-1] + last
    for segment in (0, 1, 2):
        parts = token.split(".")
        yield "in capitals", ".".join(part.upper() if place == segment else part for place, part in enumerate(parts))
        yield (
            "in small letters",
            ".".join(part.lower() if place == segment else part for place, part in enumerate(parts)),
        )
        yield "padded", ".".join(part + "=" if place == segment else part for place, part in enumerate(parts))
        yield "without a part", ".".join("" if place == segment else part for place, part in enumerate(parts))
        yield (
            "with a line break",
            ".".join(part[:9] + "\n" + part[9:] if place == segment else part for place, part in enumerate(parts)),
        )
    for separator in ("", " ", ",", "\u2024", "\uff0e", "\u3002"):
        yield "with other dots", separator.join((header, claims, signature))
    yield "twice", f"{token}.{token}"
    yield "twice with a space", f"{token} {token}"
    yield "as five parts", f"{header}.{claims}.{signature}.{claims}.{signature}"
    yield "in another order", f"{claims}.{header}.{signature}"
    yield "in full-width letters", "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in token)
    yield "with a Greek letter", token.replace("e", "\u03b5", 1)
    yield "with a Cyrillic letter", token.replace("a", "\u0430", 1).replace("e", "\u0435", 1)
    yield "with a Kelvin sign", token.replace("K", "\u212a", 1) if "K" in token else f"\u212a{token}"
    yield "with an Arabic digit", token.replace("0", "\u0660", 1) if "0" in token else f"{token}\u0660"
    yield "with a zero-width space", f"{token[:20]}\u200b{token[20:]}"
    yield "in plain base64", f"{header}.{claims}.{base64.b64encode(decode(signature)).decode()}"
    yield "in hexadecimal", f"{header}.{claims}.{decode(signature).hex()}"
    yield "as JSON", json.dumps({"protected": header, "payload": claims, "signature": signature})
    yield "percent-encoded", token.replace(".", "%2E")
    yield "quoted", f'"{token}"'
    yield "empty", ""
    yield "dots", ".."
    yield "a word", "token"


async def test_tok_15_and_tok_09_a_refresh_token_in_another_spelling_is_refused(attack: Attack) -> None:
    async with attack.without_effect():
        for how, token in spellings(attack.pair.refresh):
            await attack.refused_as_refresh_token(token, f"{how}: {token!r}")


async def test_tok_15_and_tok_09_an_access_token_in_another_spelling_is_refused(attack: Attack) -> None:
    async with attack.without_effect():
        for how, token in spellings(attack.pair.access):
            # White space around a header's value is not part of it (RFC 9110 section 5.5), and a line break ends it.
            if token == token.strip(" \t\r\n") and "\n" not in token:
                await attack.refused_as_bearer(token, f"{how}: {token!r}")


async def test_tok_09_unicode_spaces_around_a_bearer_token_are_not_stripped(attack: Attack) -> None:
    for space in "\u00a0\u0085\u000b\u000c\u001c\u001f":
        for value in (f"Bearer {attack.pair.access}{space}", f"Bearer {space}{attack.pair.access}"):
            response = await attack.http.post(
                "/graphql", json={"query": "{ viewer { id } }"}, headers=[(b"authorization", value.encode("latin-1"))]
            )
            assert response.status_code == 401, repr(value)


async def test_tok_09_a_token_of_a_megabyte_is_refused_unparsed(attack: Attack) -> None:
    async with attack.without_effect():
        header, claims, signature = attack.pair.refresh.split(".")
        for token in (
            attack.pair.refresh + "A" * 2**20,
            f"{header}.{claims}{'A' * 2**20}.{signature}",
            "A" * 2**20,
            "." * 2**20,
        ):
            rest = await attack.http.post("/auth/token/refresh", json={"refresh_token": token})
            assert rest.status_code in (401, 413)
            document = "mutation ($t: String!) { refreshToken(input: {refreshToken: $t}) { __typename } }"
            graphql = await attack.http.post("/graphql", json={"query": document, "variables": {"t": token}})
            assert graphql.status_code == 413 or graphql.json()["data"]["refreshToken"]["__typename"] == INVALID
            # A real server refuses such a header itself; here it reaches the endpoint.
            bearer = await attack.http.post(
                "/graphql", json={"query": "{ viewer { id } }"}, headers={"authorization": f"Bearer {token}"}
            )
            assert bearer.status_code in (401, 413, 431)


async def test_tok_15_a_token_with_any_changed_character_is_refused(attack: Attack) -> None:
    other = await Api(attack.http).login()
    genuine = {attack.pair.access, attack.pair.refresh, other.access, other.refresh}
    places = st.integers(0, 10_000)
    texts = st.text(st.sampled_from(ALPHABET + ".=+/ \x00é\u212a"), max_size=3)

    # One event loop for all examples, because the application runs in it.
    loop = asyncio.get_running_loop()
    tried: list[tuple[str, str]] = []

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), places, places, texts, st.sampled_from(("replace", "splice", "flip", "swap")))
    def mutate(access: bool, start: int, length: int, text: str, how: str) -> None:
        genuine_token, other_token = (
            (attack.pair.access, other.access) if access else (attack.pair.refresh, other.refresh)
        )
        at = start % len(genuine_token)
        match how:
            case "replace":
                mutated = genuine_token[:at] + text + genuine_token[at + length % 3 :]
            case "splice":  # of two genuine tokens
                mutated = genuine_token[:at] + other_token[at + length % 3 :]
            case "flip":  # one bit of one byte
                mutated = genuine_token[:at] + chr(ord(genuine_token[at]) ^ 1 << length % 7) + genuine_token[at + 1 :]
            case _:
                parts = list(zip(genuine_token.split("."), other_token.split("."), strict=True))
                mutated = ".".join(pair[start >> place & 1] for place, pair in enumerate(parts))
        if mutated not in genuine:
            tried.append((mutated, f"{how} at {at}"))

    await loop.run_in_executor(None, mutate)
    assert len(tried) > 100
    async with attack.without_effect():
        for mutated, why in tried:
            await attack.refused_as_refresh_token(mutated, f"{why}: {mutated!r}")
            if not set(mutated) & set("\x00\n\r") and mutated.strip() == mutated:
                await attack.refused_as_bearer(mutated, f"{why}: {mutated!r}")


async def test_tok_01_a_token_cannot_choose_its_algorithm(attack: Attack) -> None:
    refresh, access = claims_of(attack.pair.refresh), claims_of(attack.pair.access)
    kid = header_of(attack.pair.access)["kid"]
    async with attack.without_effect():
        for algorithm in ("none", "None", "nOnE", "NONE", "", None, 0, ["HS256"], {"HS256": 1}):
            for signer in (unsigned, with_hmac(b""), with_hmac(REFRESH_KEY)):
                # The compact form needs a signature, so "none" is tried with several, one of them empty.
                token = jws({"alg": algorithm, "typ": "rt+jwt"}, refresh, signer)
                await attack.refused_as_refresh_token(token, f"alg {algorithm}")
                token = jws({"alg": algorithm, "typ": "at+jwt", "kid": kid}, access, signer)
                await attack.refused_as_bearer(token, f"alg {algorithm}")
        for algorithm, hashed in (("HS384", "sha384"), ("HS512", "sha512")):
            token = jws({"alg": algorithm, "typ": "rt+jwt"}, refresh, with_hmac(REFRESH_KEY, hashed))
            await attack.refused_as_refresh_token(token, algorithm)
        for algorithm in ("hs256", "HS256 ", "HS-256", "EdDSA", "ES256", "RS256", "PS256", "ES256K"):
            token = jws({"alg": algorithm, "typ": "rt+jwt"}, refresh, with_hmac(REFRESH_KEY))
            await attack.refused_as_refresh_token(token, algorithm)
        for algorithm in ("eddsa", "Ed25519 ", "ES256", "HS256", "RS256", "none"):
            token = jws({"alg": algorithm, "typ": "at+jwt", "kid": kid}, access, attack.sign_access)
            await attack.refused_as_bearer(token, algorithm)


async def test_tok_01_a_token_signed_with_the_public_key_as_a_secret_is_refused(attack: Attack) -> None:
    kid = header_of(attack.pair.access)["kid"]
    (key,) = attack.services.keys.ring
    public = key.public
    (jwk,) = (await attack.http.get("/.well-known/jwks.json")).json()["keys"]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = (
        pem,
        pem.strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        jwk["x"].encode(),
        json.dumps(jwk).encode(),
        kid.encode(),
    )
    async with attack.without_effect():
        for secret in secrets:
            for algorithm, hashed in (("HS256", "sha256"), ("HS512", "sha512")):
                signer = with_hmac(secret, hashed)
                access, refresh = claims_of(attack.pair.access), claims_of(attack.pair.refresh)
                bearer = jws({"alg": algorithm, "typ": "at+jwt", "kid": kid}, access, signer)
                await attack.refused_as_bearer(bearer, repr(secret))
                await attack.refused_as_refresh_token(
                    jws({"alg": algorithm, "typ": "rt+jwt"}, refresh, signer), repr(secret)
                )


async def test_a_token_that_another_service_signed_is_refused(attack: Attack) -> None:
    foreign = SecretKeys.derive(b"the secret of some other service altogether")
    kid = header_of(attack.pair.access)["kid"]
    attacker_key = Ed25519PrivateKey.generate()
    async with attack.without_effect():
        # The server secret itself signs nothing: each purpose has a key that is derived from it.
        for key in (foreign.refresh_tokens, foreign.successors, SECRET.encode(), b"", b"\0" * 32):
            token = jws(header_of(attack.pair.refresh), claims_of(attack.pair.refresh), with_hmac(key))
            await attack.refused_as_refresh_token(token, repr(key))
        for purpose in ("successors", "sealing"):
            key = getattr(SecretKeys.derive(SECRET.encode()), purpose)
            token = jws(header_of(attack.pair.refresh), claims_of(attack.pair.refresh), with_hmac(key))
            await attack.refused_as_refresh_token(token, purpose)
        for named in (kid, "another", None):
            header = {"alg": "EdDSA", "typ": "at+jwt"} | ({"kid": named} if named else {})
            await attack.refused_as_bearer(
                jws(header, claims_of(attack.pair.access), attacker_key.sign), f"kid {named}"
            )


async def test_tok_03_a_token_without_a_claim_is_refused_although_its_signature_is_valid(attack: Attack) -> None:
    async with attack.without_effect():
        claims, header = claims_of(attack.pair.refresh), header_of(attack.pair.refresh)
        for name in claims:
            for changed in (without(claims, name), claims | {name: None}):
                await attack.refused_as_refresh_token(jws(header, changed, with_hmac(REFRESH_KEY)), f"no {name}")
        claims, header = claims_of(attack.pair.access), header_of(attack.pair.access)
        for name in without(claims, "auth_time"):
            for changed in (without(claims, name), claims | {name: None}):
                await attack.refused_as_bearer(jws(header, changed, attack.sign_access), f"no {name}")


WRONG: dict[str, tuple[Any, ...]] = {
    "sub": (7, "", "alice", "0" * 31, [], {}, True),
    "sid": (7, "", "0" * 33, [], {}, "../../etc/passwd", "' or 1=1 --"),
    "jti": (7, [], {}, True, "\ud800"),
    "exp": ("soon", [], {}, float("nan"), float("inf"), 1e300, 10**30, -(10**30)),
    "iat": ("now", [], {}, float("nan"), float("inf"), 1e300, 10**30, -(10**30)),
    "gen": ("1", 0, -1, 2**70, 1.5, [], {}, True, float("nan")),
}


@pytest.mark.parametrize("name", WRONG)
async def test_tok_03_a_malformed_claim_is_refused_although_its_signature_is_valid(attack: Attack, name: str) -> None:
    """Only the service's own keys can sign such tokens. They are refused without a 500 all the same."""
    async with attack.without_effect():
        for value in WRONG[name]:
            claims = claims_of(attack.pair.refresh) | {name: value}
            token = jws(header_of(attack.pair.refresh), claims, with_hmac(REFRESH_KEY))
            await attack.refused_as_refresh_token(token, f"{name} {value!r}")
            if name != "gen":
                claims = claims_of(attack.pair.access) | {name: value}
                token = jws(header_of(attack.pair.access), claims, attack.sign_access)
                await attack.refused_as_bearer(token, f"{name} {value!r}")


async def test_signed_text_that_is_not_a_token_is_refused(attack: Attack) -> None:
    nested = b"[" * 1100
    async with attack.without_effect():
        for text in (b"", b"null", b"7", b'"text"', b"[]", b"{}", b"\xff", nested, b"{", b"9" * 1400, b'{"a":' * 200):
            refresh, access = header_of(attack.pair.refresh), header_of(attack.pair.access)
            await attack.refused_as_refresh_token(jws(refresh, text, with_hmac(REFRESH_KEY)), repr(text))
            await attack.refused_as_bearer(jws(access, text, attack.sign_access), repr(text))
            await attack.refused(jws(text, claims_of(attack.pair.refresh), with_hmac(REFRESH_KEY)), repr(text))
            await attack.refused(jws(text, claims_of(attack.pair.access), attack.sign_access), repr(text))


async def test_tok_04_a_token_of_another_type_is_refused_although_its_signature_is_valid(attack: Attack) -> None:
    types = ("JWT", "jwt", "refresh+jwt", "application/rt+jwt", "RT+JWT", "rt+jwt ", "", "AT+JWT", 7, None, ["rt+jwt"])
    async with attack.without_effect():
        for typ in (*types, "at+jwt"):
            header = header_of(attack.pair.refresh) | {"typ": typ}
            token = jws(header, claims_of(attack.pair.refresh), with_hmac(REFRESH_KEY))
            await attack.refused(token, f"typ {typ}")
        for typ in (*types, "rt+jwt", "application/at+jwt", ["at+jwt"]):
            header = header_of(attack.pair.access) | {"typ": typ}
            await attack.refused(jws(header, claims_of(attack.pair.access), attack.sign_access), f"typ {typ}")
        token = jws({"alg": "HS256"}, claims_of(attack.pair.refresh), with_hmac(REFRESH_KEY))
        await attack.refused(token, "no typ")
        header = without(header_of(attack.pair.access), "typ")
        await attack.refused(jws(header, claims_of(attack.pair.access), attack.sign_access), "no typ")


async def test_tok_05_neither_kind_of_token_passes_for_the_other(attack: Attack) -> None:
    async with attack.without_effect():
        await attack.refused_as_refresh_token(attack.pair.access, "an access token")
        await attack.refused_as_bearer(attack.pair.refresh, "a refresh token")
        # Not even with the type, audience and claims of the other kind, if its signature is of its own kind.
        access, refresh = claims_of(attack.pair.access), claims_of(attack.pair.refresh)
        dressed = jws({"alg": "EdDSA", "typ": "rt+jwt"}, refresh, attack.sign_access)
        await attack.refused_as_refresh_token(dressed, "a refresh token signed as an access token")
        header = header_of(attack.pair.access) | {"alg": "HS256"}
        await attack.refused_as_bearer(
            jws(header, access, with_hmac(REFRESH_KEY)), "an access token signed as a refresh token"
        )


async def test_tok_05_an_access_token_in_place_of_a_refresh_token_revokes_no_session(attack: Attack) -> None:
    async with attack.without_effect():
        for token in (attack.pair.access, attack.pair.refresh[:-1], attack.pair.refresh + "A", "x"):
            data = await Api(attack.http).data(REVOKE, {"input": {"refreshToken": token}})
            assert data["revokeSession"]["__typename"] == INVALID


async def test_tok_06_audience_and_issuer_must_match_exactly(attack: Attack) -> None:
    async with attack.without_effect():
        for genuine, header, sign, refused in (
            (
                claims_of(attack.pair.refresh),
                header_of(attack.pair.refresh),
                with_hmac(REFRESH_KEY),
                attack.refused_as_refresh_token,
            ),
            (
                claims_of(attack.pair.access),
                header_of(attack.pair.access),
                attack.sign_access,
                attack.refused_as_bearer,
            ),
        ):
            for name in ("iss", "aud"):
                ours = genuine[name]
                others: tuple[Any, ...] = (
                    *(f"https://{ours}", f"{ours}.example", f"{ours}/", f" {ours}", ours[:-1], ours.upper(), ""),
                    *([ours], [ours, "other"], ["other", ours], {ours: ours}, 7, [], True),
                )
                for other in others:
                    await refused(jws(header, genuine | {name: other}, sign), f"{name} {other!r}")
        access = claims_of(attack.pair.access) | {"aud": "kindred#refresh"}
        await attack.refused_as_bearer(jws(header_of(attack.pair.access), access, attack.sign_access), "audience")
        refresh = claims_of(attack.pair.refresh) | {"aud": "kindred"}
        token = jws(header_of(attack.pair.refresh), refresh, with_hmac(REFRESH_KEY))
        await attack.refused_as_refresh_token(token, "audience")


async def test_tok_08_keys_that_a_header_names_embeds_or_links_to_are_ignored(attack: Attack) -> None:
    """Keys come only from the database. The service ignores a key in the header and fetches no URL."""
    requests: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    attacker_key = Ed25519PrivateKey.generate()
    x = encode(attacker_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "mine", "alg": "EdDSA"}
    real = header_of(attack.pair.access)
    injected: tuple[Document, ...] = (
        {"jwk": jwk},
        {"jwk": jwk, "kid": "mine"},
        {"jku": address},
        {"x5u": address},
        {"x5c": [x]},
        {"jku": address, "kid": address},
        *({"kid": kid} for kid in ("../../dev/null", "/dev/null", "' or 1=1 --", "x" * 900, "", "\0", "é")),
        *({"kid": kid} for kid in (None, 0, [], {}, [real["kid"]], {"kid": real["kid"]})),
    )
    async with server, attack.without_effect():
        for more in injected:
            header = real | more
            await attack.refused_as_bearer(jws(header, claims_of(attack.pair.access), attacker_key.sign), repr(more))
            header = {"alg": "EdDSA", "typ": "rt+jwt"} | more
            token = jws(header, claims_of(attack.pair.refresh), attacker_key.sign)
            await attack.refused_as_refresh_token(token, repr(more))
            header = {"alg": "HS256", "typ": "rt+jwt"} | more
            token = jws(header, claims_of(attack.pair.refresh), with_hmac(b""))
            await attack.refused_as_refresh_token(token, repr(more))
        # A critical extension is refused (RFC 7515 section 4.1.11), even if the signature is valid.
        for crit in (["x"], ["x", "b64"], ["exp"], [], "x", None, 7):
            more = {"crit": crit, "x": 1, "b64": True, "exp": 1}
            await attack.refused_as_bearer(
                jws(real | more, claims_of(attack.pair.access), attack.sign_access), f"crit {crit}"
            )
            token = jws(header_of(attack.pair.refresh) | more, claims_of(attack.pair.refresh), with_hmac(REFRESH_KEY))
            await attack.refused_as_refresh_token(token, f"crit {crit}")
        # An id of 10 kB makes the token longer than a genuine one.
        long = jws(real | {"kid": "x" * 10_000}, claims_of(attack.pair.access), attack.sign_access)
        await attack.refused_as_bearer(long, "a kid of 10 kB")
    assert requests == []


async def test_tok_08_a_key_is_found_only_by_its_own_id(attack: Attack) -> None:
    """A token that a stored key signed, but that names another key or none, is refused."""
    async with attack.without_effect():
        for kid in ("another", header_of(attack.pair.access)["kid"] + " ", header_of(attack.pair.access)["kid"][:-1]):
            header = header_of(attack.pair.access) | {"kid": kid}
            await attack.refused_as_bearer(jws(header, claims_of(attack.pair.access), attack.sign_access), kid)
        header = without(header_of(attack.pair.access), "kid")
        await attack.refused_as_bearer(jws(header, claims_of(attack.pair.access), attack.sign_access), "no kid")


async def test_tok_10_an_access_token_is_accepted_from_thirty_seconds_early_until_it_expires(
    api: Api, alice: UserRow, clock: FakeClock
) -> None:
    pair, start = await api.login(), clock.now()
    instant = timedelta(microseconds=1)
    for accepted, waits in (
        (True, [timedelta(seconds=seconds) for seconds in (-30, -5, 0, 1, 899)] + [timedelta(seconds=900) - instant]),
        (False, [timedelta(seconds=seconds) for seconds in (-3600, -31, 900, 901, 3600)]),
        (False, [timedelta(seconds=-30) - instant]),
    ):
        for wait in waits:
            clock.instant = start + wait
            assert await api.is_live(pair.access) is accepted, wait


async def test_tok_11_and_tok_13_an_access_token_has_only_the_documented_claims(
    api: Api, alice: UserRow, clock: FakeClock
) -> None:
    pair = await api.login(device_name="Alice's telephone")
    header, claims = header_of(pair.access), claims_of(pair.access)
    now = int(clock.now().timestamp())
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": header["kid"]}
    assert claims == {
        "iss": "kindred",
        "aud": "kindred",
        "sub": str(alice.id),
        "sid": str(UUID(claims["sid"])),
        "jti": claims["jti"],
        "iat": now,
        "exp": now + 900,
        "auth_time": now,
    }
    assert len(decode(claims["jti"])) == 32


async def test_tok_13_a_refresh_token_has_only_the_documented_claims(
    api: Api, alice: UserRow, clock: FakeClock
) -> None:
    pair = await api.login(device_name="Alice's telephone")
    claims = claims_of(pair.refresh)
    now = int(clock.now().timestamp())
    assert header_of(pair.refresh) == {"alg": "HS256", "typ": "rt+jwt"}
    assert claims == {
        "iss": "kindred",
        "aud": "kindred#refresh",
        "sub": str(alice.id),
        "sid": claims_of(pair.access)["sid"],
        "gen": 1,
        "jti": claims["jti"],
        "iat": now,
        "exp": now + 30 * 86400,
    }
    successor = claims_of((await ENDPOINTS["rest"](api.http).refresh(pair.refresh)).tokens.refresh)
    assert successor == claims | {"gen": 2, "jti": successor["jti"]}


async def test_tok_05_the_secret_of_a_refresh_token_has_256_bits_and_is_never_the_same(
    api: Api, alice: UserRow
) -> None:
    endpoint = ENDPOINTS["rest"](api.http)
    secrets = set()
    for _ in range(3):
        token = (await api.login()).refresh
        for _ in range(3):
            secrets.add(claims_of(token)["jti"])
            token = (await endpoint.refresh(token)).tokens.refresh
    assert len(secrets) == 9
    assert {len(decode(secret)) for secret in secrets} == {32}


async def test_tok_11_auth_time_stays_the_time_of_the_sign_in(api: Api, alice: UserRow, clock: FakeClock) -> None:
    pair = await api.login()
    clock.advance(timedelta(days=3))
    claims = claims_of((await ENDPOINTS["rest"](api.http).refresh(pair.refresh)).tokens.access)
    assert claims["auth_time"] == claims["iat"] - 3 * 86400


async def test_tok_11_a_client_cannot_request_a_longer_lifetime(api: Api, alice: UserRow) -> None:
    pair = await api.login()
    wishes = {"expires_in": 10**9, "expiresIn": 10**9, "exp": 10**10, "ttl": 10**9, "access_token_ttl": 10**9}
    answer = await api.http.post("/auth/token/refresh", json={"refresh_token": pair.refresh} | wishes, params=wishes)
    assert answer.json()["expires_in"] == 900
    claims = claims_of(answer.json()["access_token"])
    assert claims["exp"] - claims["iat"] == 900
    refresh = "mutation ($t: String!) { refreshToken(input: {refreshToken: $t, %s}) { __typename } }"
    for wish in wishes:
        document = refresh % f"{wish}: 1000000"
        body = (await api.post(document, {"t": answer.json()["refresh_token"]})).json()
        assert body["errors"]
        assert body.get("data") is None
    assert (await ENDPOINTS["rest"](api.http).refresh(answer.json()["refresh_token"])).outcome == ROTATED


async def test_rot_13_a_token_of_a_revoked_session_is_not_a_replay(
    api: Api, alice: UserRow, services: Services
) -> None:
    ended, other = await api.login(), await api.login()
    rotated = (await ENDPOINTS["rest"](api.http).refresh(ended.refresh)).tokens
    await api.data(REVOKE, {"input": {"refreshToken": rotated.refresh}})
    attack = Attack(api.http, services, other)
    async with attack.without_effect():
        for endpoint in ENDPOINTS.values():
            for token in (ended.refresh, rotated.refresh):
                assert (await endpoint(api.http).refresh(token)).outcome == REVOKED
    assert await api.is_live(other.access)
    assert await kinds(services) == {"LOGIN_SUCCEEDED", "SESSION_REVOKED"}


async def test_rot_13_a_token_of_an_expired_session_is_not_a_replay(
    api: Api, alice: UserRow, services: Services, clock: FakeClock
) -> None:
    old = await api.login()
    rotated = (await ENDPOINTS["rest"](api.http).refresh(old.refresh)).tokens
    clock.advance(timedelta(days=30))
    other = await api.login()
    async with Attack(api.http, services, other).without_effect():
        for endpoint in ENDPOINTS.values():
            for token in (old.refresh, rotated.refresh):
                assert (await endpoint(api.http).refresh(token)).outcome == EXPIRED
    assert await api.is_live(other.access)
    assert await kinds(services) == {"LOGIN_SUCCEEDED"}


async def test_rot_13_a_token_of_an_unknown_session_is_not_a_replay(attack: Attack) -> None:
    claims, header = claims_of(attack.pair.refresh), header_of(attack.pair.refresh)
    unknown_session = {"sid": str(uuid4())}
    issued_earlier = {"iat": claims["iat"] - int(JUST_ISSUED.total_seconds())}
    async with attack.without_effect():
        for changed in (
            {"sub": str(uuid4())},
            {"sub": claims["sid"], "sid": claims["sub"]},
            unknown_session | issued_earlier,
        ):
            token = jws(header, claims | changed, with_hmac(REFRESH_KEY))
            await attack.refused_as_refresh_token(token, repr(changed))
        # A session that was opened just now, of a user who exists, cannot have been pruned: the database is behind.
        token = jws(header, claims | unknown_session, with_hmac(REFRESH_KEY))
        assert (await ENDPOINTS["rest"](attack.http).refresh(token)).outcome == UNAVAILABLE


async def test_attack_9_only_a_replay_revokes_a_session_and_only_its_own(
    api: Api, alice: UserRow, bob: UserRow, services: Services
) -> None:
    endpoint = ENDPOINTS["rest"](api.http)
    first, other, bobs = await api.login(), await api.login(), await api.login("bob")
    rotated = (await endpoint.refresh(first.refresh)).tokens
    attack = Attack(api.http, services, rotated)
    secret = claims_of(first.refresh)["jti"]
    async with attack.without_effect():
        # A secret that differs in one character, in tokens with the old signature.
        for changed in (secret[:-1] + "A", secret.lower(), hashlib.sha256(secret.encode()).hexdigest()):
            header, _, signature = first.refresh.split(".")
            payload = encode(json.dumps(claims_of(first.refresh) | {"jti": changed}).encode())
            await attack.refused_as_refresh_token(f"{header}.{payload}.{signature}", changed)
        # One session's token under the id of another.
        for victim in (other, bobs):
            header, _, signature = first.refresh.split(".")
            token = f"{header}.{victim.refresh.split('.')[1]}.{signature}"
            await attack.refused_as_refresh_token(token, "another session's claims")
    assert (await endpoint.refresh(first.refresh)).outcome == REPLAYED
    assert not await api.is_live(rotated.access)
    for pair in (other, bobs):
        assert await api.is_live(pair.access)
        assert (await endpoint.refresh(pair.refresh)).outcome == ROTATED


async def kinds(services: Services) -> set[str]:
    """Return the kinds of all stored security events."""
    async with looking_at(services.db) as conn:
        return set((await conn.execute(select(security_events.c.kind))).scalars())


def test_a_successor_is_the_hmac_that_every_release_derives() -> None:
    """A fixed value: or a client that repeats an attempt after an upgrade would be taken for a thief."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    presented = Claims(UUID(int=1), UUID(int=2), "the-jti-of-a-token", then, then, generation=3, successors=b"k" * 32)
    assert derive_successor(presented, "the-first-attempt") == "KNNRINn_0Mwtur8g4BYV07Tv017QJiMPuMP05j_iCDI"
    assert "kkkk" not in repr(presented)


async def test_pyjwt_reads_the_tokens(api: Api, services: Services, clock: FakeClock, alice: UserRow) -> None:
    """So do other libraries for JSON Web Tokens."""
    pair = await api.login()
    key = services.keys.ring.signing_key(clock.now())
    reading: Any = {"issuer": "kindred", "options": {"verify_exp": False, "verify_iat": False}}
    access = jwt.decode_complete(pair.access, key.public, [key.algorithm], audience="kindred", **reading)
    refresh = jwt.decode_complete(
        pair.refresh, services.keys.secret.refresh_tokens, ["HS256"], audience="kindred#refresh", **reading
    )
    assert access["header"] == {"alg": "EdDSA", "typ": "at+jwt", "kid": key.kid}
    assert refresh["header"] == {"alg": "HS256", "typ": "rt+jwt"}
    assert access["payload"]["sub"] == refresh["payload"]["sub"] == str(alice.id)
    assert access["payload"]["sid"] == refresh["payload"]["sid"] == pair.session_id


async def test_a_cached_access_token_is_checked_again_for_expiry_key_and_session(
    api: Api, services: Services, clock: FakeClock, alice: UserRow
) -> None:
    """Its signature is not verified again. Its expiry, its key and its session are checked."""
    by_time, by_key, by_session = [await api.login() for _ in range(3)]
    for pair in (by_time, by_key, by_session):
        assert await api.is_live(pair.access)
    start = clock.now()
    clock.advance(services.settings.access_token_ttl)
    assert not await api.is_live(by_time.access)
    clock.instant = start
    await api.data("mutation { revokeAllSessions { revokedCount } }", bearer=by_session.access)
    assert not await api.is_live(by_session.access)
    fresh = await api.login()
    assert await api.is_live(fresh.access)
    ttl = services.settings.access_token_ttl
    await services.keys.rotate(SigningAlgorithm.EDDSA, clock.now(), access_token_ttl=ttl, immediately=True)
    await services.keys.reload()
    assert not await api.is_live(fresh.access)
    ring = services.keys.ring
    assert ring.verified_claims.cache_info().maxsize == MAX_CACHED_CLAIMS


async def test_a_forged_token_is_not_cached(api: Api, services: Services, alice: UserRow) -> None:
    """Otherwise a flood of forged tokens would evict genuine ones."""
    pair = await api.login()
    assert await api.is_live(pair.access)
    before = services.keys.ring.verified_claims.cache_info().currsize
    head, claims, _ = pair.access.split(".")
    for number in range(5):
        assert not await api.is_live(f"{head}.{claims}.{base64url(bytes([number]) * 64)}")
    assert services.keys.ring.verified_claims.cache_info().currsize == before
