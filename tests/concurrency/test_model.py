"""The refresh rule compared with a model: in every order of events, the service answers as the model does.

The model holds, for each sign-in, the list of its tokens and what each was exchanged with. It has no digests, no
statements and no transactions; the service has no list of tokens. The store may forget: a row is put back to what it
was, by one generation or many, a revocation is undone with it, a row is gone, and all of it may return. Hypothesis
finds the order of events in which they differ, and shortens it. `HYPOTHESIS_PROFILE=long` looks for it much longer.
"""

import asyncio
import json
import os
import shutil
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, insert, select, update

from auth.clock_agreement import CLOCKS_MUST_AGREE
from auth.config.settings import Settings
from auth.credentials.login_throttle import REFRESH_RATE_LIMIT
from auth.outcomes import (
    ClientInfo,
    Expired,
    Invalid,
    NotFound,
    Replayed,
    Revoked,
    RevokeSucceeded,
    Rotated,
    SignedIn,
    StoreBehind,
    TooManyAttempts,
)
from auth.services import Services
from auth.use_cases.rotation import JUST_ISSUED
from auth.use_cases.sessions import Unauthenticated
from db.tables.base import SessionState
from db.tables.families import families, state_of
from db.tables.refresh_tokens import SLOTS, refresh_tokens
from db.tables.users import UserRow
from graph.app import create_app
from tests.support import databases
from tests.support.clocks import FakeClock
from tests.support.endpoints import (
    ENDPOINTS,
    EXPIRED,
    INVALID,
    REPLAYED,
    REVOKED,
    ROTATED,
    THROTTLED,
    UNAVAILABLE,
)
from tests.support.servers import SECRET
from tests.support.sql import looking_at

T = TypeVar("T")
# Makes a migrated database without rows, one for each example.
Fresh = Callable[[], Coroutine[Any, Any, str]]

settings.register_profile("short", max_examples=15, stateful_step_count=40)
settings.register_profile("long", max_examples=500, stateful_step_count=120)
PROFILE = settings(
    settings.get_profile("long" if os.environ.get("HYPOTHESIS_PROFILE") == "long" else "short"),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)

IDLE, ABSOLUTE, RETENTION, ACCESS = timedelta(days=7), timedelta(days=30), timedelta(days=10), timedelta(minutes=15)
NAMES = ("alice", "bob")
MOST_FAMILIES = 5
# As stored; nothing is verified against them here, for hashing is not part of the rule.
# Whole bcrypt hashes of no known password: the machine changes hashes and never verifies one.
HASHES = (f"$2b$04${'a' * 53}", f"$2b$04${'b' * 53}")
# The order in which the answers of a race are compared with the model.
IN_A_RACE = (ROTATED, REPLAYED, REVOKED, EXPIRED, INVALID, THROTTLED, UNAVAILABLE)
OUTCOMES = {
    Rotated: ROTATED,
    Invalid: INVALID,
    Expired: EXPIRED,
    Revoked: REVOKED,
    Replayed: REPLAYED,
    StoreBehind: UNAVAILABLE,
    TooManyAttempts: THROTTLED,
}

number = st.integers(0, 99)
spans = st.one_of(
    st.integers(0, 20).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 40).map(lambda days: timedelta(days=days)),
)
endpoints = st.sampled_from(["use case", "use case", *ENDPOINTS])


@dataclass(frozen=True)
class Token:
    """A refresh token, and the attempt that it answered: the secret it was exchanged for, and the key."""

    text: str
    generation: int
    issued: datetime
    parent: str = ""
    key: str | None = None

    @cached_property
    def secret(self) -> str:
        """The `jti`. A token that is issued again, after the store forgot it, has the same `jti` and another time."""
        claims = self.text.split(".")[1]
        return str(json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"])


@dataclass(frozen=True)
class Stored:
    """What the store holds of a session: the index of the current token, and since when it is current."""

    current: int
    moved: datetime
    rate_limit_tat: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    revoked_at: datetime | None = None
    # The row was pruned or lost.
    gone: bool = False


@dataclass
class Session:
    """What the model knows of a sign-in."""

    owner: str
    id: UUID
    created: datetime
    store: Stored
    tokens: list[Token]
    access: list[tuple[str, datetime]] = field(default_factory=list)
    # The rows that a backup or a standby may still have, with what the model knew then.
    copies: list[tuple[Any, Stored]] = field(default_factory=list)
    was_put_back: bool = False
    # Whether a token was presented after its exchange: two parties hold tokens of this session.
    is_shared: bool = False

    @property
    def limit(self) -> datetime:
        return self.limit_from(self.store.moved)

    def limit_from(self, moved: datetime) -> datetime:
        return min(moved + IDLE, self.created + ABSOLUTE)

    @property
    def current(self) -> Token:
        return self.tokens[self.store.current]

    def is_live(self, now: datetime) -> bool:
        return not self.store.gone and self.store.revoked_at is None and now < self.limit

    def is_busy(self, now: datetime) -> bool:
        return self.store.rate_limit_tat > now + (REFRESH_RATE_LIMIT.burst - 1) * timedelta(
            seconds=REFRESH_RATE_LIMIT.interval
        )

    def was_exchanged(self, place: int) -> bool:
        """Whether the token was exchanged for another one."""
        return any(token.parent == self.tokens[place].secret for token in self.tokens)

    def expected(self, place: int, key: str | None, now: datetime) -> str:
        """Return the outcome that a refresh with that token must have."""
        presented, current = self.tokens[place], self.current
        if self.store.gone:
            return UNAVAILABLE if now - presented.issued < JUST_ISSUED else INVALID
        if self.store.revoked_at is not None:
            return REVOKED if self.store.revoked_at < self.limit else EXPIRED
        if presented.generation > current.generation and self.store.moved <= presented.issued + CLOCKS_MUST_AGREE:
            return UNAVAILABLE if now < self.limit_from(presented.issued) else EXPIRED
        if now >= self.limit:
            return EXPIRED
        if presented.secret == current.secret:
            return THROTTLED if self.is_busy(now) else ROTATED
        repeats = presented.secret == current.parent and key is not None and key == current.key
        return ROTATED if repeats else REPLAYED


class Machine(RuleBasedStateMachine):
    """The service and the model, side by side."""

    fresh: Fresh
    clock: FakeClock

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.url = self.run(self.fresh())
        self.clock.instant = FakeClock().instant
        self.sessions: list[Session] = []
        self.keys: list[str] = []
        self.numbers = count()
        self.active = dict.fromkeys(NAMES, True)
        self.users: dict[str, UserRow] = {}

    def run(self, work: Awaitable[T]) -> T:
        async def waited() -> T:
            return await work

        return self.runner.run(waited())

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # The service, started and stopped

    async def start(self) -> None:
        app: FastAPI = create_app(
            Settings(
                database_url=self.url,
                secret=SECRET,
                refresh_token_ttl=IDLE,
                session_ttl=ABSOLUTE,
                session_retention=RETENTION,
                hashing_threads=1,
            ),
            clock=self.clock,
        )
        await self.stack.enter_async_context(app.router.lifespan_context(app))
        http = AsyncClient(transport=ASGITransport(app), base_url="http://kindred.test")
        await self.stack.enter_async_context(http)
        self.endpoints = {name: endpoint(http) for name, endpoint in ENDPOINTS.items()}
        self.services: Services = app.state.services

    def stop(self) -> None:
        self.run(self.stack.aclose())

    def teardown(self) -> None:
        try:
            if self.users:
                self.try_every_token()
        finally:
            self.stop()
            self.runner.close()

    @initialize()
    def two_users(self) -> None:
        self.run(self.start())
        for name in NAMES:
            self.users[name] = self.run(self.services.accounts.import_user(name, None, HASHES[0], self.now))

    # Events

    @precondition(lambda self: sum(not session.store.gone for session in self.sessions) < MOST_FAMILIES)
    @rule(name=st.sampled_from(NAMES))
    def login(self, name: str) -> None:
        user = self.run(self.services.accounts.get(self.users[name].id))
        assert user is not None
        # A sign-in after its password was verified.
        signed_in = self.run(self.services.sign_in.open_session(user, None, ClientInfo(), self.now))
        assert isinstance(signed_in, SignedIn) == self.active[name]
        if signed_in is not None:
            first = Token(signed_in.tokens.refresh_token, 1, self.now)
            session = Session(name, signed_in.family.id, self.now, Stored(0, self.now), [first])
            session.access.append((signed_in.tokens.access_token, min(self.now + ACCESS, self.now + ABSOLUTE)))
            self.sessions.append(session)
            self.copy(session)

    @precondition(lambda self: self.sessions)
    @rule(which=number, place=number, key=st.one_of(st.none(), number), fresh=st.booleans(), through=endpoints)
    def refresh_with_any_token(self, which: int, place: int, key: int | None, fresh: bool, through: str) -> None:
        session = self.sessions[which % len(self.sessions)]
        self.refresh(session, place % len(session.tokens), self.key(key, fresh), through)

    @precondition(lambda self: self.sessions)
    @rule(which=number, back=st.integers(1, 2), key=st.one_of(st.none(), number), through=endpoints)
    def refresh_with_a_recent_token(self, which: int, back: int, key: int | None, through: str) -> None:
        session = self.sessions[which % len(self.sessions)]
        self.refresh(session, max(len(session.tokens) - back, 0), self.key(key, key == 0), through)

    @precondition(lambda self: self.sessions)
    @rule(which=number, again=st.integers(0, 3), through=endpoints)
    def retry_with_the_same_key(self, which: int, again: int, through: str) -> None:
        session = self.sessions[which % len(self.sessions)]
        attempt = session.tokens[max(len(session.tokens) - 1 - again, 0)]
        secrets = [token.secret for token in session.tokens]
        self.refresh(session, secrets.index(attempt.parent or attempt.secret), attempt.key, through)

    @precondition(lambda self: self.sessions)
    @rule(which=number, times=st.integers(2, 20))
    def use_a_session_for_long(self, which: int, times: int) -> None:
        session = self.sessions[which % len(self.sessions)]
        for _ in range(times):
            self.refresh(session, session.store.current, self.key(None, True), "use case")

    @precondition(lambda self: self.sessions)
    @rule(which=number, back=st.integers(1, 2), requests=st.integers(2, 3))
    def race_for_a_token(self, which: int, back: int, requests: int) -> None:
        session = self.sessions[which % len(self.sessions)]
        place = max(len(session.tokens) - back, 0)
        token = session.tokens[place].text

        async def race() -> list[tuple[str, str, str]]:
            return list(await asyncio.gather(*(self.answer(token, None, "use case") for _ in range(requests))))

        # In any order, the answers are those of as many sequential requests. Exception: every request that found the
        # session live before another one revoked it reports the replay.
        replayed = False
        for answer in sorted(self.run(race()), key=lambda answer: IN_A_RACE.index(answer[0])):
            if not (replayed and answer[0] == REPLAYED):
                self.check_answer(session, place, None, answer)
            replayed |= answer[0] == REPLAYED

    @precondition(lambda self: self.sessions)
    @rule(which=number, asking=st.sampled_from(NAMES))
    def revoke_by_id(self, which: int, asking: str) -> None:
        session = self.sessions[which % len(self.sessions)]
        outcome = self.run(self.services.sessions.revoke(self.users[asking].id, session.id, ClientInfo(), self.now))
        if session.store.gone or asking != session.owner:
            assert isinstance(outcome, NotFound)
        else:
            assert isinstance(outcome, RevokeSucceeded)
            self.revoke(session)

    @precondition(lambda self: self.sessions)
    @rule(which=number, place=number)
    def revoke_by_any_token(self, which: int, place: int) -> None:
        session = self.sessions[which % len(self.sessions)]
        token = session.tokens[place % len(session.tokens)].text
        outcome = self.run(self.services.sessions.revoke_by_token(token, ClientInfo(), self.now))
        assert isinstance(outcome, Invalid if session.store.gone else RevokeSucceeded)
        self.revoke(session)

    @rule(name=st.sampled_from(NAMES))
    def revoke_all(self, name: str) -> None:
        owned = [session for session in self.sessions if session.owner == name]
        live = sum(session.is_live(self.now) for session in owned)
        assert self.run(self.services.sessions.revoke_all(self.users[name].id, ClientInfo(), self.now)) == live
        for session in owned:
            self.revoke(session)

    @rule(name=st.sampled_from(NAMES))
    def disable(self, name: str) -> None:
        self.run(self.services.accounts.disable(self.users[name].id, self.now))
        self.active[name] = False
        for session in self.sessions:
            if session.owner == name:
                self.revoke(session)

    @rule()
    def enable_all_users(self) -> None:
        for name in NAMES:
            self.run(self.services.accounts.enable(self.users[name].id))
            self.active[name] = True

    @precondition(lambda self: self.sessions)
    @rule(which=number, hashed=st.sampled_from(HASHES))
    def change_password(self, which: int, hashed: str) -> None:
        current = self.sessions[which % len(self.sessions)]
        # A change after the old password was verified.
        change = self.services.accounts._store_password(
            self.users[current.owner].id, hashed, ClientInfo(), self.now, current=current.id, verified=None
        )
        if not current.is_live(self.now):
            with pytest.raises(Unauthenticated):
                self.run(change)
            return
        self.run(change)
        for session in self.sessions:
            if session.owner == current.owner and session is not current:
                self.revoke(session)

    @rule(span=spans)
    def let_time_pass(self, span: timedelta) -> None:
        self.clock.advance(span)

    @precondition(lambda self: any(session.is_live(self.now) for session in self.sessions))
    @rule(which=number, off=st.integers(-1, 1))
    def wait_until_a_session_would_expire(self, which: int, off: int) -> None:
        live = [session for session in self.sessions if session.is_live(self.now)]
        limit = live[which % len(live)].limit
        self.clock.instant = max(self.now, limit + timedelta(seconds=off))

    @rule()
    def prune(self) -> None:
        before = self.now - RETENTION
        gone = [
            session
            for session in self.sessions
            if not session.store.gone
            and (
                session.created + ABSOLUTE < before
                or (session.store.revoked_at is not None and session.store.revoked_at < before)
            )
        ]
        assert self.run(self.services.pruning.prune(self.now)).sessions == len(gone)
        for session in gone:
            session.store = replace(session.store, gone=True)

    # A store that forgets

    @precondition(lambda self: self.sessions)
    @rule(which=number, back=st.one_of(st.integers(0, 2), st.integers(0, 40)))
    def put_a_row_back(self, which: int, back: int) -> None:
        """Go back by some generations, which also undoes a revocation. With `back` 0 the store catches up."""
        session = self.sessions[which % len(self.sessions)]
        row, stored = session.copies[max(len(session.copies) - 1 - back, 0)]
        self.run(self.put_back(row))
        session.store, session.was_put_back = stored, True

    @precondition(lambda self: self.sessions)
    @rule(which=number)
    def lose_a_row(self, which: int) -> None:
        session = self.sessions[which % len(self.sessions)]
        self.run(self.lose(session))
        session.store, session.was_put_back = replace(session.store, gone=True), True

    @rule()
    def restart(self) -> None:
        self.stop()
        self.run(self.start())

    # Invariants

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        if not self.users:
            return
        rows, lineages = self.run(self.stored())
        kept = {session.id: session for session in self.sessions if not session.store.gone}
        assert set(rows) == set(kept)
        for family_id, session in kept.items():
            row = rows[family_id]
            assert row.revoked_at == session.store.revoked_at
            assert (state_of(row, self.now) is SessionState.ACTIVE) == session.is_live(self.now)
            assert row.generation == session.current.generation
            assert row.expires_at == session.limit
            assert row.expires_at <= row.absolute_expires_at == session.created + ABSOLUTE
            if not session.was_put_back:
                assert lineages[family_id] == min(len(session.tokens), SLOTS)

    @precondition(lambda self: self.sessions)
    @invariant()
    def access_tokens_work_until_their_session_ends(self) -> None:
        for session in self.sessions:
            access, until = session.access[-1]
            assert self.run(self.accepts(access)) == (session.is_live(self.now) and self.now < until)

    def try_every_token(self) -> None:
        """At the end: of all tokens of a session, only the current one works, and only while the session is live."""
        for session in self.sessions:
            live, current = session.is_live(self.now), session.current
            busy = live and session.is_busy(self.now)
            others = [token for token in reversed(session.tokens) if token.secret != current.secret]
            first = self.run(self.answer(current.text, None, "use case"))
            assert (first[0] == ROTATED) == (live and not busy)
            assert (first[0] == THROTTLED) == busy
            outcomes = [self.run(self.answer(token.text, None, "use case"))[0] for token in others]
            assert ROTATED not in outcomes
            # A token newer than the store and its last use does not prove a second party. Any other token does.
            newest = current.generation + (live and not busy)
            moved = self.now if live and not busy else session.store.moved
            replayed = live and any(
                token.generation <= newest or moved > token.issued + CLOCKS_MUST_AGREE for token in others
            )
            assert (REPLAYED in outcomes) == replayed
            if replayed:
                assert self.run(self.answer(current.text if busy else first[1], None, "use case"))[0] == REVOKED
            assert (live and not replayed) or not any(self.run(self.accepts(access)) for access, _ in session.access)

    # Helpers

    def key(self, which: int | None, fresh: bool) -> str | None:
        """Return a key that any attempt used before, a new key, or None."""
        if fresh or (which is not None and not self.keys):
            self.keys.append(f"the-attempt-with-number-{next(self.numbers)}")
            return self.keys[-1]
        return None if which is None else self.keys[which % len(self.keys)]

    def refresh(self, session: Session, place: int, key: str | None, through: str) -> None:
        self.check_answer(session, place, key, self.run(self.answer(session.tokens[place].text, key, through)))
        if session.is_live(self.now):
            self.copy(session)

    async def answer(self, token: str, key: str | None, through: str) -> tuple[str, str, str]:
        """Return the outcome's name and the tokens, which are empty if there are none."""
        if through == "use case":
            outcome = await self.services.rotation.refresh(token, key, ClientInfo(), self.now)
            if isinstance(outcome, Rotated):
                return ROTATED, outcome.tokens.refresh_token, outcome.tokens.access_token
            return OUTCOMES[type(outcome)], "", ""
        refreshed = await self.endpoints[through].refresh(token, key)
        assert refreshed.status in (200, 401, 429, 503)
        pair = refreshed.pair
        return (refreshed.outcome, pair.refresh, pair.access) if pair else (refreshed.outcome, "", "")

    def check_answer(self, session: Session, place: int, key: str | None, answer: tuple[str, str, str]) -> None:
        """Compare an answer with the model, and update the model."""
        outcome, refresh, access = answer
        assert outcome == session.expected(place, key, self.now)
        session.is_shared |= session.was_exchanged(place)
        if outcome == REPLAYED:
            # Whatever the store forgot, there is no replay unless a token was presented after its exchange.
            assert session.is_shared
            self.revoke(session)
        if outcome != ROTATED:
            return
        presented = session.tokens[place]
        if presented.secret == session.current.secret:
            token = Token(refresh, session.current.generation + 1, self.now, presented.secret, key)
            same = [known for known in session.tokens if known.secret == token.secret]
            assert all((known.parent, known.key) == (presented.secret, key) and key for known in same)
            session.tokens.append(token)
            rate_limit_tat = max(session.store.rate_limit_tat, self.now) + timedelta(
                seconds=REFRESH_RATE_LIMIT.interval
            )
            session.store = Stored(len(session.tokens) - 1, self.now, rate_limit_tat)
        else:
            assert refresh == session.current.text
        session.access.append((access, min(self.now + ACCESS, session.created + ABSOLUTE)))

    def revoke(self, session: Session) -> None:
        if not session.store.gone and session.store.revoked_at is None:
            session.store = replace(session.store, revoked_at=self.now)

    def copy(self, session: Session) -> None:
        """Keep a copy of the session's row, as a backup or a standby does."""
        session.copies.append((self.run(self.stored())[0][session.id], session.store))

    async def put_back(self, row: Any) -> None:
        values = dict(row._mapping)
        async with looking_at(self.services.db) as conn:
            found = await conn.execute(update(families).where(families.c.id == row.id).values(values))
            if not found.rowcount:
                await conn.execute(insert(families), values)

    async def lose(self, session: Session) -> None:
        async with looking_at(self.services.db) as conn:
            await conn.execute(delete(families).where(families.c.id == session.id))

    async def stored(self) -> tuple[dict[UUID, Any], dict[UUID, int]]:
        of_family = refresh_tokens.c.family_id
        async with looking_at(self.services.db) as conn:
            rows = (await conn.execute(select(families))).all()
            lineages = (await conn.execute(select(of_family, func.count()).group_by(of_family))).all()
        return {row.id: row for row in rows}, dict(map(tuple, lineages))

    async def accepts(self, access: str) -> bool:
        try:
            await self.services.sessions.authenticate(access, self.now)
        except Unauthenticated:
            return False
        return True


@pytest.fixture
def fresh_sqlite(_sqlite_template: Path, tmp_path: Path) -> Fresh:
    numbers = count()

    async def fresh() -> str:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(_sqlite_template, path)
        return databases.sqlite_url(path)

    return fresh


@pytest.fixture
def fresh_postgresql(_worker_database: str) -> Fresh:
    async def fresh() -> str:
        await databases.empty(_worker_database)
        return _worker_database

    return fresh


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_answer_is_the_one_that_the_model_gives(
    database: str, request: pytest.FixtureRequest, clock: FakeClock
) -> None:
    class OnThisDatabase(Machine):
        fresh = staticmethod(request.getfixturevalue(f"fresh_{database}"))

    OnThisDatabase.clock = clock
    run_state_machine_as_test(OnThisDatabase, settings=PROFILE)
