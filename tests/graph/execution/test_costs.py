"""Costs of the usual operations: statements, calls of graphql-core, and calls of Python functions. No test is timed."""

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
from db.tables.users import UserRow
from tests.bench.limits import InPlace, asgi_request
from tests.bench.service import REFRESH as ONLY_TOKENS
from tests.support.endpoints import LOGIN, PASSWORD, REFRESH, REVOKE, SESSIONS, Api, Pair
from tests.support.plans import needs_plans
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
async def test_an_operation_sends_no_more_statements_than_before(
    api: Api, services: Services, alice: UserRow, name: str
) -> None:
    operation, most = OPERATIONS[name]
    for _ in range(3):
        pair = await api.login()
    await operation(api, pair)
    pair = await api.login()
    with statements(services, of_writer=True) as sent:
        await operation(api, pair)
        await asyncio.sleep(0)  # the driver reports a statement in the next turn of the event loop
    if services.db.writer:  # SQLite: several statements for one of PostgreSQL
        most = {"refreshToken": 2, "login": 19}.get(name, most)
    assert len(sent) == most, sent


PLANNED: dict[str, Operation] = {
    "refreshToken": OPERATIONS["refreshToken"][0],
    "a page of sessions": OPERATIONS["a page of sessions"][0],
    "the next page of sessions": lambda api, pair: api.data(SESSIONS, {"first": 1}, bearer=pair.access),
    "the state of an access token": OPERATIONS["the state of an access token"][0],
    "login": OPERATIONS["login"][0],
    "revokeSession": lambda api, pair: api.data(REVOKE, {"input": {"id": pair.session_id}}, bearer=pair.access),
}


@needs_plans
@pytest.mark.parametrize("name", PLANNED)
async def test_the_usual_operations_are_executed_by_plans_alone(
    api: Api, alice: UserRow, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await api.login()

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("graphql-core executed the operation")

    monkeypatch.setattr(Executor, "execute_operation", fail)
    await PLANNED[name](api, pair)


@needs_plans
async def test_a_refresh_makes_no_more_python_calls_than_before(
    app: FastAPI, api: Api, services: Services, alice: UserRow
) -> None:
    """Calls of functions written in Python, without the database and the client: 289 with Python 3.11.

    A change that needs more calls has to be worth them.
    """
    pair = await api.login()
    async with looking_at(services.db) as conn:
        row = (await conn.execute(select(families))).one()
    object.__setattr__(services.rotation, "batcher", InPlace(namedtuple("Row", row._fields)(*row)))  # type: ignore[arg-type]
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    scope, receive = asgi_request(
        ONLY_TOKENS, {"input": {"refreshToken": pair.refresh, "idempotencyKey": "attempt-number-0001"}}
    )
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    for _ in range(3):  # the first one fills the caches
        calls = 0
        sys.setprofile(count)
        try:
            await app(dict(scope), receive, send)
        finally:
            sys.setprofile(None)
    assert b"RefreshTokenSuccess" in answers[-1]["body"]
    assert calls <= 289
