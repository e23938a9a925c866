"""The SQL statements that a block sends to the database."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from auth.services import Services
from db.drivers.postgresql import PostgreSQLConnection
from db.drivers.sqlite_reader import SQLiteReader
from db.drivers.sqlite_writer import SQLiteWriter, _WriterConnection

_FRAME = ("BEGIN", "COMMIT", "ROLLBACK")
_SIGNING_KEYS = "FROM signing_keys"
_METHODS = ("all", "execute", "execute_many")


@contextmanager
def statements(services: Services, *, of_writer: bool = False) -> Iterator[list[str]]:
    """Record the statements that the block sends, without those that begin or end a transaction.

    The reload of the signing keys, every two seconds, is left out too. On SQLite, `of_writer` records each statement
    that the writer executes in its thread, also those that it combines in one call.
    """
    sent: list[str] = []

    def record(statement: str) -> None:
        if not statement.startswith(_FRAME) and _SIGNING_KEYS not in statement:
            sent.append(statement)

    writer = services.db.writer
    with ExitStack() as stack:
        if writer is None:
            _listen(stack, PostgreSQLConnection, "on_postgresql", record)
        else:
            stack.enter_context(patch.object(SQLiteReader, "rows", _recording_rows(record)))
            if of_writer:
                _trace(writer, record)
                stack.callback(_trace, writer, None)
            else:
                _listen(stack, _WriterConnection, "on_sqlite", record)
        yield sent


def _listen(stack: ExitStack, connection: type, form: str, record: Callable[[str], None]) -> None:
    def recording(method: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(self: Any, statement: Any, values: Any) -> Any:
            record(getattr(statement, form)._text)
            return method(self, statement, values)

        return recorded

    for name in _METHODS:
        stack.enter_context(patch.object(connection, name, recording(getattr(connection, name))))


def _recording_rows(record: Callable[[str], None]) -> Callable[..., Any]:
    rows = SQLiteReader.rows

    def recorded(reader: SQLiteReader, text: str, values: dict[str, Any]) -> Any:
        record(text)
        return rows(reader, text, values)

    return recorded


def _trace(writer: SQLiteWriter, callback: Callable[[str], None] | None) -> None:
    # In the writer's own thread: sqlite3 raises an error in any other.
    writer._thread = writer._thread or ThreadPoolExecutor(1)
    writer._thread.submit(writer._do, lambda connection: connection.set_trace_callback(callback)).result()
