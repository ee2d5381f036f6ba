"""The log's files over HTTP (C2SP tlog-tiles): tiles and bundles never change, the checkpoint does."""

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.log.tile import is_tile_path
from consent.log.writer import CHECKPOINT
from consent.service.exchange import fault_reply, json_reply
from consent.service.periods import Periods

_FOREVER = "public, max-age=31536000, immutable"
_NEVER = "no-cache"
_TILES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


def log_routes(periods: Periods) -> list[Route]:
    """The current log at ``/log/`` and, like the closed ones, under its own name at ``/log/PERIOD/``."""

    async def listed(request: Request) -> Response:
        reply = json_reply(200, await run_in_threadpool(periods.to_json))
        return Response(reply.body, 200, media_type=reply.media_type, headers={"Cache-Control": _NEVER})

    async def checkpoint(request: Request) -> Response:
        folder = _folder(request)
        return _missing() if folder is None else await _answer(folder / CHECKPOINT, _TEXT, _NEVER)

    async def tile(request: Request) -> Response:
        path: str = request.path_params["path"]
        folder = _folder(request)
        # Nothing that is not the one spelling of a tile's path comes near the file system.
        if folder is None or not is_tile_path(path):
            return _missing()
        return await _answer(folder / "tile" / path, _TILES, _FOREVER)

    def _folder(request: Request) -> Path | None:
        return periods.folder_of(request.path_params.get("period", periods.name))

    return [
        Route("/log/periods", listed, methods=["GET"]),
        *(
            route
            for prefix in ("/log", "/log/{period}")
            for route in (
                Route(f"{prefix}/{CHECKPOINT}", checkpoint, methods=["GET"]),
                Route(f"{prefix}/tile/{{path:path}}", tile, methods=["GET"]),
            )
        ),
    ]


async def _answer(path: Path, media_type: str, cache: str) -> Response:
    try:
        content = await run_in_threadpool(path.read_bytes)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return _missing()
    return Response(content, headers={"Content-Type": media_type, "Cache-Control": cache})


def _missing() -> Response:
    """It may be there with the next checkpoint: no cache keeps the absence."""
    reply = fault_reply(404, "not_found")
    return Response(reply.body, 404, media_type=reply.media_type, headers={"Cache-Control": "no-store"})
