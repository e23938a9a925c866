"""Logs: every line, ours and the libraries', through one formatter. JSON in production, for people in development.

What a log must never have: passwords, tokens, keys, and any text that a driver wrote, which may repeat all of these.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from auth.config.settings import Settings

# The packages whose exceptions have messages of our own making.
_OURS = ("auth.", "db.", "graph.")


def configure(settings: Settings) -> None:
    """Send every log line of this process to standard error, as the settings have it."""
    # Looked up for each record otherwise, and nobody is told.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(as_json=settings.in_production))
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # At `debug`, libraries log values that must not be in a log.
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    logging.getLogger("kindred").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)
    # It names the database's dialect at each look at the revision: with every `/readyz`, and with each try to start.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    # Its line has the URL with the query, and somebody will put a token there. The line for a request is ours.
    logging.getLogger("uvicorn.access").disabled = True


def log_request(logger: logging.Logger, level: int, line: dict[str, Any], error: BaseException | None) -> None:
    """Log fields, which the formatter gives their form.

    Without what the standard library finds out for each record: which line of code logs, in which file, thread and
    process, and when. That costs more than all the rest.
    """
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = _BLANK | {
        "name": logger.name,
        "msg": "request",
        "levelno": level,
        "levelname": logging.getLevelName(level),
        "created": line["time"].timestamp(),
        "exc_info": (type(error), error, error.__traceback__) if error else None,
        "line": line,
    }
    logger.handle(record)


_BLANK = logging.makeLogRecord({}).__dict__


def formatter(*, as_json: bool) -> logging.Formatter:
    """Makes one line of a record; in development a traceback is on lines of its own behind it."""
    return _Formatter(processors=[_normalize, _as_json if as_json else _console])


class _Formatter(ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """A record as a line. structlog copies each, and with it a refresh would cost twice as much to tell of."""
        if (fields := getattr(record, "line", None)) is None:
            return super().format(record)
        complete, render = self.processors
        line = complete(None, "", {"_record": record, "event": record.msg, "exc_info": record.exc_info, **fields})
        return str(render(None, "", line))  # type: ignore[arg-type]


def escape_control(text: str) -> str:
    """The text without characters that would end a line or steer a terminal (ASVS 16.4.1)."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def traceback_of(error: BaseException) -> str:
    """Where an exception came from, and what caused it: files, lines and names; neither variables nor messages.

    A driver's message may repeat a row or the database's URL (LOG-01). Our own exceptions have messages that do not.
    """
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "which led to:"
    for frame in traceback.extract_tb(error.__traceback__, limit=-40):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"{type(error).__module__}.{type(error).__qualname__}{safe_message(error)}"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            if id(one) not in seen:
                yield from _lines(one, seen)


def safe_message(error: BaseException) -> str:
    if type(error).__module__.startswith(_OURS):
        return f": {escape_control(str(error))}"
    number, state = getattr(error, "errno", None), getattr(error, "sqlstate", None)
    return f" [{number or state}]" if isinstance(number or state, int | str) else ""


def _normalize(_logger: Any, _method: str, line: EventDict) -> EventDict:
    record: logging.LogRecord = line.pop("_record")
    if "_from_structlog" in line:
        del line["_from_structlog"]
        # asyncio tells what was lost on further lines, by its repr, with the message of the exception in it.
        message = line["event"].partition("\n")[0] if record.name == "asyncio" else line["event"]
        line["time"] = datetime.fromtimestamp(record.created, UTC)
        line["logger"], line["event"] = record.name, escape_control(message)
    error = line.pop("exc_info", None)
    if error and error[1]:
        line["exception"] = traceback_of(error[1])
    return {"time": line.pop("time"), "level": record.levelname.lower(), **line}


def _as_json(_logger: Any, _level: str, line: EventDict) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def _console(_logger: Any, _level: str, line: EventDict) -> str:
    time, level, event = line.pop("time"), line.pop("level"), line.pop("event")
    exception = line.pop("exception", None)
    line.pop("logger", None)
    fields = [f"{name}={_shown(value)}" for name, value in line.items() if value not in (None, "", ())]
    said = " ".join([f"{time:%H:%M:%S} {level:<7} {event}", *fields])
    return f"{said}\n{exception}" if exception else said


def _shown(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return (
        text if text.isprintable() and not {" ", '"', "="} & set(text) else orjson.dumps(escape_control(text)).decode()
    )
