"""Faults of the database, by what they mean.

A fault is never an answer. What matters about one is whether anything can have been written:
`RolledBack` says nothing was, `OutcomeUnknown` says it cannot be told.
"""

import sqlite3
from typing import NoReturn

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Serialization failure and deadlock: the database chose this transaction to give way.
_CONFLICTS = {"40001", "40P01"}
# Classes 08 connection exception, 57 operator intervention (shutdown, crash, statement timeout), 58 system error;
# 28 access refused, 3D no such database, 53 out of resources; 25006 a standby, 25P03 a transaction that was idle for
# too long, 55P03 no lock in time.
_GOING_DOWN = {"08", "57", "58"}
_OUTAGE_CLASSES = {*_GOING_DOWN, "28", "3D", "53"}
_OUTAGES = {"25006", "25P03", "55P03"}


class DatabaseUnavailable(Exception):
    """The database did not do what was asked. The cause is in `__cause__`; what to answer is 503."""


class RolledBack(DatabaseUnavailable):
    """Nothing was written, so the same work may be tried again whatever it is."""


class TransactionConflict(RolledBack):
    """Another transaction was in the way."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection broke while a commit was under way: it is either in the database or not."""


def raise_translated(error: Exception, *, commit_under_way: bool) -> NoReturn:
    """Raise what a fault means, from it; the error itself where it is no outage of the database's."""
    meaning = _translate(error, commit_under_way=commit_under_way)
    if meaning is None:
        raise error
    raise meaning from error


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether somebody else writes to the file of SQLite."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _translate(error: BaseException, *, commit_under_way: bool) -> DatabaseUnavailable | None:
    """What a fault means; None for one that is a bug and no outage."""
    lost = OutcomeUnknown() if commit_under_way else RolledBack()
    if isinstance(error, PoolTimeout | OSError):  # OSError: connections refused, reset, timed out
        return lost
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        # "database is locked", a full disk, an I/O error: SQLite rolled back, and says so with certainty.
        return TransactionConflict() if is_busy(cause) else RolledBack()
    state = getattr(cause, "sqlstate", None)
    if state in _CONFLICTS:
        return TransactionConflict()
    if state is not None and (state in _OUTAGES or state[:2] in _OUTAGE_CLASSES):
        # The server itself named the fault. Only where it was going down can a commit have gone in all the same.
        return lost if state[:2] in _GOING_DOWN else RolledBack()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return lost
    return None
