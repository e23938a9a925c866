"""Log format: one formatter for every line, of Kindred and of libraries. JSON in production, text in development.

A log must never contain passwords, tokens or keys. The text of a driver may repeat each of these, so it is not logged.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import orjson

from auth.config.settings import Settings

Line = dict[str, object]

# Packages whose exceptions have messages that Kindred wrote.
_OWN_PACKAGES = ("auth.", "db.", "graph.")


def configure(settings: Settings) -> None:
    """Send every log line of this process to standard error, in the format and from the level of the settings."""
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
    # At level info, Alembic logs the database's dialect for each `/readyz` and each attempt to start.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    # uvicorn's access log has the URL with its query, where a client may put a token. Kindred has its own access log.
    logging.getLogger("uvicorn.access").disabled = True


def formatter(*, as_json: bool) -> logging.Formatter:
    """The formatter of log lines. In development a traceback follows on lines of its own."""
    return _Formatter(_as_json if as_json else _as_text)


class _Formatter(logging.Formatter):
    """Formats a record. The access log passes its fields as the attribute `line` of a record."""

    def __init__(self, render: Callable[[Line], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields: Line = getattr(record, "line", None) or _fields_of(record)
        line = {"time": fields["time"], "level": record.levelname.lower(), "event": "request"} | fields
        if record.exc_info and record.exc_info[1]:
            line["exception"] = traceback_of(record.exc_info[1])
        return self._render(line)


def _fields_of(record: logging.LogRecord) -> Line:
    message = record.getMessage()
    if record.name == "asyncio":
        # asyncio writes the repr of a lost exception, with its message, on further lines (LOG-01).
        message = message.partition("\n")[0]
    time = datetime.fromtimestamp(record.created, UTC)
    return {"time": time, "event": escape_control(message), "logger": record.name}


def escape_control(text: str) -> str:
    """Escape characters that would end a line or control a terminal (ASVS 16.4.1)."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def traceback_of(error: BaseException) -> str:
    """Where an exception was raised, and what caused it: files, lines and names, without variables and messages.

    The message of a driver may repeat a row or the database's URL (LOG-01). Kindred's own exceptions keep theirs.
    """
    return "\n".join(_traceback_lines(error, set()))


def _traceback_lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _traceback_lines(cause, seen)
        yield "which led to:"
    for frame in traceback.extract_tb(error.__traceback__, limit=-40):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"{type(error).__module__}.{type(error).__qualname__}{_safe_message(error)}"
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if id(member) not in seen:
                yield from _traceback_lines(member, seen)


def _safe_message(error: BaseException) -> str:
    if type(error).__module__.startswith(_OWN_PACKAGES):
        return f": {escape_control(str(error))}"
    code = getattr(error, "errno", None) or getattr(error, "sqlstate", None)
    return f" [{code}]" if isinstance(code, int | str) else ""


def _as_json(line: Line) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def _as_text(line: Line) -> str:
    exception = line.pop("exception", None)
    line.pop("logger", None)
    head = f"{line.pop('time'):%H:%M:%S} {line.pop('level'):<7} {line.pop('event')}"
    text = " ".join(
        [head, *(f"{name}={_quoted(value)}" for name, value in line.items() if value not in (None, "", ()))]
    )
    return f"{text}\n{exception}" if exception else text


def _quoted(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    if text.isprintable() and not {" ", '"', "="} & set(text):
        return text
    return orjson.dumps(escape_control(text)).decode()
