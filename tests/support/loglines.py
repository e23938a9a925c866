"""The lines that a process of the service would write to its log."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graph.observability.log_format import formatter


class Lines(logging.Handler):
    """Keeps what would be written, as it would be."""

    def __init__(self, *, as_json: bool = True) -> None:
        super().__init__()
        self.setFormatter(formatter(as_json=as_json))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("httpx2"):  # the client's own
            self.texts.append(self.format(record))

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.texts)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The lines of requests, read."""
        return [line for line in map(json.loads, self.texts) if line["event"] == "request"]

    def last(self) -> dict[str, Any]:
        """The line of the last request."""
        return self.requests[-1]


@contextmanager
def logging_to(handler: Lines, level: int = logging.INFO) -> Iterator[Lines]:
    """While the block runs, every logger of this process writes there, from that level on."""
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
