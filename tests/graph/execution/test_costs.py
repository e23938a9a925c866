"""What each operation costs that can be counted, and no more of it by mistake: statements, calls. No timed tests."""

import asyncio
import sys
from collections import namedtuple
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import pytest
from fastapi import FastAPI
from graphql import Executor
from sqlalchemy import select

from auth.services import Services
from db.tables.families import families
from db.tables.users import UserRow as User
from tests.bench.limits import InPlace, asked
from tests.bench.service import REFRESH as ONLY_TOKENS
from tests.support.doors import LOGIN, PASSWORD, REFRESH, REVOKE, SESSIONS, Api, Pair
from tests.support.sql import looking_at
from tests.support.statements import statements

Operation = Callable[[Api, Pair], Awaitable[object]]

LINEAGE = "{ sessions { edges { node { isCurrent lineage { generation } } } } }"
OPERATIONS: dict[str, tuple[Operation, int]] = {
    "the state of an access token": (lambda api, pair: api.data("{ viewer { id } }", bearer=pair.access), 2),
    "a page of sessions": (lambda api, pair: api.data(SESSIONS, bearer=pair.access), 2),
    "a page of sessions with their lineage": (
        lambda api, pair: api.data(
            "{ sessions { edges { node { isCurrent lineage { generation } } } } }", bearer=pair.access
        ),
        3,
    ),
    "refreshToken": (lambda api, pair: api.data(REFRESH, {"input": {"refreshToken": pair.refresh}}), 1),
    "revokeSession": (lambda api, pair: api.data(REVOKE, {"input": {"refreshToken": pair.refresh}}), 3),
    "login": (lambda api, pair: api.data(LOGIN, {"input": {"username": "alice", "password": PASSWORD}}), 4),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_asks_the_database_no_more_often_than_it_did(
    api: Api, services: Services, alice: User, name: str
) -> None:
    operation, most = OPERATIONS[name]
    for _ in range(3):
        pair = await api.login()
    await operation(api, pair)
    pair = await api.login()
    with statements(services, of_writer=True) as sent:
        await operation(api, pair)
        await asyncio.sleep(0)  # the driver tells of a statement one turn of the event loop later
    if services.db.writer:  # one after the other what is one statement on PostgreSQL
        most = {"refreshToken": 2, "login": 19}.get(name, most)
    assert len(sent) == most, sent


PLANNED: dict[str, Operation] = {
    "refreshToken": OPERATIONS["refreshToken"][0],
    "a page of sessions": OPERATIONS["a page of sessions"][0],
    "a page of sessions behind another": lambda api, pair: api.data(SESSIONS, {"first": 1}, bearer=pair.access),
    "the state of an access token": OPERATIONS["the state of an access token"][0],
    "login": OPERATIONS["login"][0],
    "revokeSession": lambda api, pair: api.data(REVOKE, {"input": {"id": pair.session_id}}, bearer=pair.access),
}


@pytest.mark.parametrize("name", PLANNED)
async def test_what_is_asked_for_most_is_answered_by_plan_alone(
    api: Api, alice: User, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await api.login()

    def asked_for(*_: Any, **__: Any) -> Any:
        raise AssertionError("graphql-core was asked")

    monkeypatch.setattr(Executor, "execute_operation", asked_for)
    await PLANNED[name](api, pair)


async def test_a_refresh_makes_no_more_calls_than_it_did(
    app: FastAPI, api: Api, services: Services, alice: User
) -> None:
    """Calls of functions written in Python, without the database and the client: 281 by Python 3.11. What needs more is
    to be weighed against what it gives."""
    pair = await api.login()
    async with looking_at(services.db) as conn:
        row = (await conn.execute(select(families))).one()
    object.__setattr__(services.rotation, "batcher", InPlace(namedtuple("Row", row._fields)(*row)))  # type: ignore[arg-type]
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    scope, receive = asked(
        ONLY_TOKENS, {"input": {"refreshToken": pair.refresh, "idempotencyKey": "attempt-number-0001"}}
    )
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    for _ in range(3):  # the first one fills caches
        calls = 0
        sys.setprofile(count)
        try:
            await app(dict(scope), receive, send)
        finally:
            sys.setprofile(None)
    assert b"RefreshTokenSuccess" in answers[-1]["body"]
    assert calls <= 282
