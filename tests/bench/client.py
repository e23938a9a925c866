"""A client that costs little itself: HTTP/1.1 over one kept-alive connection, and no more of it than is needed."""

import asyncio
from typing import Any

import orjson


class Connection:
    """One connection to the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect."""
        return cls(*await asyncio.open_connection(host, port), f"{host}:{port}")

    async def graphql(self, query: str, variables: dict[str, Any], bearer: str = "") -> Any:
        """The data of one request; raises RuntimeError for any other answer than data without errors."""
        body = orjson.dumps({"query": query, "variables": variables})
        authorization = f"authorization: Bearer {bearer}\r\n" if bearer else ""
        self._writer.write(
            f"POST /graphql HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"user-agent: kindred-bench\r\n{authorization}content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        answer = orjson.loads(await self._reader.readexactly(length))
        if " 200 " not in head.split("\r\n")[0] or "errors" in answer:
            raise RuntimeError(f"{head.splitlines()[0]}: {answer.get('errors')}")
        return answer["data"]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
