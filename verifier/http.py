"""What the verifier's routes have in common: bodies within a limit, errors as JSON, nothing kept by caches."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.codec import strict_json
from identity.openid4vp.spec import INVALID_REQUEST

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

NO_STORE = {"Cache-Control": "no-store"}


class BodyRefused(Exception):
    """The body is larger than what is read (413), or of another media type (415)."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


async def read_body(request: Request, *, media_type: str, max_bytes: int) -> bytes:
    """Raises BodyRefused, as soon as there is more than ``max_bytes`` whatever the headers claim."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != media_type:
        raise BodyRefused(415, f"body: the media type must be {media_type}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyRefused(413, f"body: more than {max_bytes} bytes")
    return bytes(body)


def json_answer(value: Any, status: int = 200) -> Response:
    return Response(strict_json.compact(value), status, headers=NO_STORE, media_type=JSON)


def fault_answer(status: int, code: str, description: str) -> Response:
    return json_answer({"error": code, "error_description": description}, status)


async def store_down(_: Request, fault: Exception) -> Response:
    """For the application's exception handlers: nothing was decided, asking again later may help."""
    return fault_answer(503, "temporarily_unavailable", "the store does not answer")


def body_refused(fault: BodyRefused) -> Response:
    return fault_answer(fault.status, INVALID_REQUEST, fault.description)
