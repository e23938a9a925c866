"""The log of the service, captured in a test."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graph.observability.log_format import formatter


class CapturedLog(logging.Handler):
    """Keeps every line in the format of the service's log."""

    def __init__(self, *, as_json: bool = True) -> None:
        super().__init__()
        self.setFormatter(formatter(as_json=as_json))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("httpx2"):  # lines of the HTTP client
            self.texts.append(self.format(record))

    @property
    def text(self) -> str:
        """All lines as one text."""
        return "\n".join(self.texts)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The lines of requests, parsed."""
        return [line for line in map(json.loads, self.texts) if line["event"] == "request"]

    def last(self) -> dict[str, Any]:
        """The line of the last request."""
        return self.requests[-1]


@contextmanager
def logging_to(handler: CapturedLog, level: int = logging.INFO) -> Iterator[CapturedLog]:
    """During the block, every logger of this process also writes to this handler, from this level up."""
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
