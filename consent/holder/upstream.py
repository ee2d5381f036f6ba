"""An existing ASGI application behind the enforcement point: it answers JSON for a row, and is asked by nobody else.

It runs in the same process, so nothing of it needs to listen; its own addresses cannot be reached
through the data holder's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from consent.errors import RegisterFault
from consent.holder.source import Key
from identity.codec import strict_json
from identity.errors import EncodingError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BYTES = 1_048_576
"""One row of an application, in JSON."""

ANSWER_SECONDS = 4.0
"""An allow lives for 5 s: what needs longer answers too late."""


_LOOP: ContextVar[asyncio.AbstractEventLoop] = ContextVar("loop")
"""Where the application runs; the thread that answers a request has its context."""


@dataclass(frozen=True, slots=True)
class Paths:
    """How the application is asked, and where in its answers things stand (members, by dots).

    ``find``, as ``/residents?nif={claim}``: answered by an object whose member ``key`` names the row,
    or 404. ``read``, as ``/residents/{row}``: answered by an object.
    """

    find: str
    key: str
    read: str
    members: Mapping[str, str]

    def __post_init__(self) -> None:
        if "{claim}" not in self.find or "{row}" not in self.read:
            raise RegisterFault("upstream: find must have {claim}, and read {row}")


class Upstream:
    """Asked by a worker thread, in the loop of the request that it answers (see ``EnforcedApp``)."""

    def __init__(self, app: Application, paths: Paths) -> None:
        self._app = app
        self._paths = paths

    def find(self, claim: str) -> Key | None:
        """Raises RegisterFault, as all here."""
        found = self._get(self._paths.find.replace("{claim}", quote(claim, safe="")))
        if found is None:
            return None
        key = _member(found, self._paths.key)
        if not isinstance(key, int | str) or isinstance(key, bool):
            raise RegisterFault("upstream: its answer names no row")
        return key

    def values(self, row: Key, attributes: tuple[str, ...]) -> dict[str, Any]:
        found = self._get(self._paths.read.replace("{row}", quote(str(row), safe="")))
        if found is None:
            raise RegisterFault("upstream: it no longer has the row")
        return {name: _member(found, self._paths.members[name]) for name in attributes}

    def _get(self, target: str) -> dict[str, Any] | None:
        status, body = asyncio.run_coroutine_threadsafe(self._ask(target), _LOOP.get()).result()
        if status == 404:
            return None
        if status != 200:
            raise RegisterFault(f"upstream: it answered {status}")
        try:
            return strict_json.parse_object(body, what="upstream", max_bytes=MAX_BYTES)
        except EncodingError:
            # Its text may hold values.
            raise RegisterFault("upstream: its answer is no JSON object") from None

    async def _ask(self, target: str) -> tuple[int, bytes]:
        status, body = 500, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if len(body) > MAX_BYTES:
                    raise RegisterFault(f"upstream: more than {MAX_BYTES} bytes")

        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._app(_scope(target), receive, send)
        except TimeoutError:
            raise RegisterFault(f"upstream: no answer within {ANSWER_SECONDS} s") from None
        return status, bytes(body)


class EnforcedApp:
    """The addresses of a data holder (``front``), and of the application behind them none.

    Startup and shutdown go to both.
    """

    def __init__(self, front: Application, app: Application) -> None:
        self._front = front
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _LOOP.set(asyncio.get_running_loop())
        if scope["type"] != "lifespan":
            await self._front(scope, receive, send)
            return
        async with _started(self._app):
            await self._front(scope, receive, send)


@asynccontextmanager
async def _started(app: Application) -> AsyncIterator[None]:
    """Runs an application's own startup, and its shutdown at the end; one that knows no lifespan has none."""
    up, down, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    failed = False

    async def receive() -> Message:
        if not up.is_set():
            return {"type": "lifespan.startup"}
        await end.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        nonlocal failed
        failed = failed or message["type"] == "lifespan.startup.failed"
        (up if message["type"].startswith("lifespan.startup") else down).set()

    async def run() -> None:
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        except Exception:  # noqa: BLE001, S110
            # An application without a lifespan refuses the scope: it needs no startup.
            pass
        finally:
            up.set()
            down.set()

    running = asyncio.create_task(run())
    try:
        await up.wait()
        if failed:
            raise RegisterFault("upstream: it does not start")
        yield
        end.set()
        await down.wait()
    finally:
        running.cancel()


def _scope(target: str) -> Scope:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(b"accept", b"application/json"), (b"host", b"upstream.invalid")],
        "client": None,
        "server": None,
    }


def _member(value: Mapping[str, Any], path: str) -> Any:
    found: Any = value
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise RegisterFault("upstream: a member that the configuration names is missing")
        found = found[name]
    return found
