"""What each operation asks of the database: as many statements as it needs, and no more by mistake. No timed tests."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from auth.service import Kindred
from db.users import User
from tests.support.doors import LOGIN, PASSWORD, REFRESH, REVOKE, SESSIONS, Api, Pair
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
    api: Api, kindred: Kindred, alice: User, name: str
) -> None:
    operation, most = OPERATIONS[name]
    for _ in range(3):
        pair = await api.login()
    await operation(api, pair)
    pair = await api.login()
    with statements(kindred) as sent:
        await operation(api, pair)
        await asyncio.sleep(0)  # the driver tells of a statement one turn of the event loop later
    if name == "refreshToken" and kindred.db.writer:
        most = 0  # those of the writer are counted in test_rotations.py
    if name == "login" and kindred.db.writer:
        most = 14  # one after the other what is one statement on PostgreSQL
    assert len(sent) == most, sent
