"""What the database is asked: the SQL statements of a block, as they go out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiosqlite
from asyncpg import Connection
from asyncpg.connection import LoggedQuery
from sqlalchemy import event

from auth.services import Services
from db.drivers.sqlite_reader import SQLiteReader

_FRAME = ("BEGIN", "COMMIT", "ROLLBACK")
_BESIDE = ("FROM signing_keys", "typeinfo_tree", "set_config('jit'")


@contextmanager
def statements(services: Services, *, of_writer: bool = False) -> Iterator[list[str]]:
    """The statements that the block sends, without those that begin and end transactions.

    Nor those by which a worker takes up new signing keys, every other second, nor those by which the driver learns of a
    type, once on each connection.

    SQLAlchemy is listened to, and the drivers beside it for what goes there on the short way; with `of_writer` SQLite's
    writer as well.
    """
    sent: list[str] = []
    listened_to: set[Connection] = set()

    def record(statement: str) -> None:
        if not statement.startswith(_FRAME) and not any(one in statement for one in _BESIDE):
            sent.append(statement)

    def of_sqlalchemy(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        record(statement)

    def of_driver(logged: LoggedQuery) -> None:
        record(logged.query)

    def listen(connection: Any, *_: Any) -> None:
        driver = connection.driver_connection
        if driver not in listened_to:
            driver.add_query_logger(of_driver)
            listened_to.add(driver)

    usual, of_connection = SQLiteReader.rows, aiosqlite.Connection.execute_fetchall

    def rows(reader: SQLiteReader, text: str, values: dict[str, Any]) -> Any:
        record(text)
        return usual(reader, text, values)

    def execute_fetchall(connection: aiosqlite.Connection, text: str, values: Any = None) -> Any:
        record(text)
        return of_connection(connection, text, values)

    writer = services.db.writer

    def trace(callback: Callable[[str], None] | None) -> None:
        # In its own thread, or SQLite's driver refuses.
        if of_writer and writer and writer._thread and writer._connection:
            writer._thread.submit(writer._connection.set_trace_callback, callback).result()

    engine = services.db.engine.sync_engine
    listeners: dict[str, Any] = {"before_cursor_execute": of_sqlalchemy}
    if engine.dialect.name == "postgresql":
        listeners["checkout"] = listen
        for kept in services.db._idle:
            assert kept.sync_connection is not None
            listen(kept.sync_connection.connection)
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    trace(record)
    try:
        with (
            patch.object(SQLiteReader, "rows", rows),
            patch.object(aiosqlite.Connection, "execute_fetchall", execute_fetchall),
        ):
            yield sent
    finally:
        trace(None)
        for name, listener in listeners.items():
            event.remove(engine, name, listener)
        for driver in listened_to:
            driver.remove_query_logger(of_driver)
