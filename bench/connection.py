"""One kept-alive HTTP/1.1 connection, and little else: a client that costs less than what it measures."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Requests one after the other; opens itself, and again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Raises OSError where nobody answers; then it is not known what became of the request."""
        try:
            return await self._send(method, path, body, headers or {})
        except (OSError, EOFError, ValueError) as fault:
            self.close()
            raise ConnectionError(f"{self._host}:{self._port} did not answer ({type(fault).__name__})") from None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=MAX_HEAD_BYTES)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        status, found = _head(await self._reader.readuntil(b"\r\n\r\n"))
        content = await self._reader.readexactly(int(found["content-length"]))
        if found.get("connection") == "close":
            self.close()
        return Answer(status, found, content)


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, value in pairs}
