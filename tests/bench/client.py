"""A client that uses little CPU: the necessary part of HTTP/1.1, over one kept-alive connection."""

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

    async def post(self, query: str, variables: dict[str, Any], **headers: str) -> tuple[int, Any]:
        """Send one request, and return the status and the body of the answer."""
        body = orjson.dumps({"query": query, "variables": variables})
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._writer.write(
            f"POST /graphql HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"user-agent: kindred-bench\r\n{more}content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        return int(head.split(" ", 2)[1]), orjson.loads(await self._reader.readexactly(length))

    async def graphql(self, query: str, variables: dict[str, Any], **headers: str) -> Any:
        """Return the data of one request. Raises RuntimeError for any answer but data without errors."""
        status, answer = await self.post(query, variables, **headers)
        if status != 200 or "errors" in answer:
            raise RuntimeError(f"HTTP {status}: {answer.get('errors')}")
        return answer["data"]

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
