"""Errors of the database, by what they mean for the work.

An error is never an answer. The caller has to know whether anything can have been written: `RolledBack` says that
nothing was, `OutcomeUnknown` that it cannot be known.
"""

import sqlite3
from typing import NoReturn

# Serialization failure and deadlock: the database aborted this transaction in favour of another.
_CONFLICTS = {"40001", "40P01"}
# Classes 08 connection exception, 57 operator intervention (shutdown, crash, statement timeout), 58 system error;
# 28 invalid authorization, 3D no such database, 53 insufficient resources; 25006 read-only (a standby), 25P03 a
# transaction that was idle for too long, 55P03 lock timeout.
_GOING_DOWN = {"08", "57", "58"}
_OUTAGE_CLASSES = {*_GOING_DOWN, "28", "3D", "53"}
_OUTAGES = {"25006", "25P03", "55P03"}


class DatabaseUnavailable(Exception):
    """The database did not confirm the work. The client gets 503."""

    @property
    def reason(self) -> str:
        """The name of the driver's error, for the log. Its message may contain the database's address (LOG-01)."""
        error: BaseException = self
        while error.__cause__ is not None:
            error = error.__cause__
        return "no answer in time" if error is self else type(error).__name__


class RolledBack(DatabaseUnavailable):
    """Nothing was written, so any work may be tried again."""


class TransactionConflict(RolledBack):
    """Another transaction held what this one needed, or was preferred to it."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection broke during a commit: the work is in the database, or it is not."""


def raise_translated(error: Exception, *, commit_under_way: bool) -> NoReturn:
    """Raise what the error means, from it; the error itself if it is a bug and no outage."""
    translated = _translate(error, commit_under_way=commit_under_way)
    if translated is None:
        raise error
    raise translated from error


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection writes to the SQLite file."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _translate(error: Exception, *, commit_under_way: bool) -> DatabaseUnavailable | None:
    lost = OutcomeUnknown() if commit_under_way else RolledBack()
    if isinstance(error, OSError):  # connections refused, reset, timed out
        return lost
    if isinstance(error, sqlite3.OperationalError):
        # "database is locked", a full disk, an I/O error: SQLite rolled back, with certainty.
        return TransactionConflict() if is_busy(error) else RolledBack()
    state = getattr(error, "sqlstate", None)
    if state in _CONFLICTS:
        return TransactionConflict()
    if state is not None and (state in _OUTAGES or state[:2] in _OUTAGE_CLASSES):
        # The server named the error. Only a server that was going down can have committed all the same.
        return lost if state[:2] in _GOING_DOWN else RolledBack()
    return None
