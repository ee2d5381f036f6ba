"""The token of the admin helpers: the town prints it, a service's configuration holds its hash alone."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def admin_route(
    path: str, token_sha256: str, endpoint: Callable[[Request], Awaitable[Response]], *, method: str
) -> Route:
    """A route that only the bearer of the town's token reaches."""

    async def guarded(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        # A header is latin-1; anything else is no token of ours.
        found = sha256(token.strip().encode("utf-8")).hexdigest()
        if scheme.lower() != "bearer" or not compare_digest(found, token_sha256.lower()):
            return JSONResponse(
                {"error": "invalid_token", "error_description": "the admin helpers need the town's token"},
                401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await endpoint(request)

    return Route(path, guarded, methods=[method])
