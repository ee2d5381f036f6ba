"""Reading a request's body within a limit, whatever its headers claim."""

from starlette.requests import Request


class TooLarge(Exception):
    """The body is longer than what is read."""


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Raises TooLarge as soon as there is more than ``max_bytes``."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge
    return bytes(body)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
