"""A witness over HTTP (C2SP tlog-witness): ``POST /add-checkpoint``, ``GET /{origin hash}/checkpoint``.

Submission and monitoring prefix are the same. ``sign-subtree``, which is optional, is not offered.
"""

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.errors import (
    LogError,
    NotConsistent,
    NotSignedByLog,
    OldSizeDiffers,
    SubmissionMalformed,
    UnknownLog,
)
from consent.log.submission import MAX_SUBMISSION_BYTES, MEDIA_SIZE
from consent.log.witness import Witness

_STATUS: dict[type[LogError], int] = {
    SubmissionMalformed: 400,
    NotSignedByLog: 403,
    UnknownLog: 404,
    NotConsistent: 422,
}


def witness_app(witness: Witness) -> Starlette:
    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_SUBMISSION_BYTES:
                return PlainTextResponse(f"more than {MAX_SUBMISSION_BYTES} bytes\n", 413)
        try:
            cosignature = await run_in_threadpool(witness.add_checkpoint, bytes(body))
        except OldSizeDiffers as fault:
            # Exactly this media type: Starlette would add a charset to one given as such.
            return Response(f"{fault.size}\n", 409, headers={"Content-Type": MEDIA_SIZE})
        except tuple(_STATUS) as fault:
            return PlainTextResponse(f"{fault}\n", _STATUS[type(fault)])
        except (LogError, OSError):
            # Its own record is damaged or cannot be written: nothing is cosigned until somebody looks.
            return PlainTextResponse("this witness cannot cosign now\n", 503)
        return PlainTextResponse(cosignature.format())

    async def newest(request: Request) -> Response:
        kept = await run_in_threadpool(witness.newest, request.path_params["origin_hash"])
        if kept is None:
            return PlainTextResponse("no checkpoint of this log was cosigned\n", 404)
        return PlainTextResponse(kept, headers={"Cache-Control": "no-cache"})

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", newest, methods=["GET"]),
        ]
    )
