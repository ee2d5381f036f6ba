"""The HTTP of OpenID4VP 1.0 on a verifier's side: request objects (section 5.10) and answers (section 8.2).

| address                    | method | what                                                        |
|----------------------------|--------|-------------------------------------------------------------|
| ``/requests/{handle}/jwt`` | GET    | the request object                                          |
|                            | POST   | the same with the wallet's nonce                            |
| ``/responses/{handle}``    | POST   | the answer; 200 ``{"redirect_uri"?}``, 400 refused, 404 unknown |
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity.errors import ProtocolError
from identity.openid4vp import respond, wallet_metadata
from identity.openid4vp.spec import INVALID_REQUEST, REDIRECT_URI, REQUEST_OBJECT_MEDIA_TYPE
from verifier.errors import RequestClosed, RequestUnknown, ResponseRefused
from verifier.http import FORM, NO_STORE, BodyRefused, body_refused, fault_answer, json_answer, read_body
from verifier.presentations import Presentations


def openid4vp_routes(presentations: Presentations) -> list[Route]:
    async def get_request(request: Request) -> Response:
        return await request_object(request, None)

    async def post_request(request: Request) -> Response:
        try:
            body = await read_body(request, media_type=FORM, max_bytes=wallet_metadata.MAX_BODY_BYTES)
            posted = wallet_metadata.parse(body)
        except BodyRefused as fault:
            return body_refused(fault)
        except ProtocolError as fault:
            return fault_answer(400, fault.code, fault.description)
        return await request_object(request, posted.wallet_nonce)

    async def request_object(request: Request, wallet_nonce: str | None) -> Response:
        try:
            signed = await run_in_threadpool(presentations.request_object, request.path_params["handle"], wallet_nonce)
        except (RequestUnknown, RequestClosed) as fault:
            # What was answered or has expired is not to be asked for again: the same to whoever tries.
            return fault_answer(404, INVALID_REQUEST, str(fault))
        return Response(signed, headers=NO_STORE | {"Content-Type": REQUEST_OBJECT_MEDIA_TYPE})

    async def post_response(request: Request) -> Response:
        try:
            body = await read_body(request, media_type=FORM, max_bytes=respond.MAX_BODY_BYTES)
            go_on = await run_in_threadpool(presentations.respond, request.path_params["handle"], body)
        except BodyRefused as fault:
            return body_refused(fault)
        except RequestUnknown as fault:
            return fault_answer(404, INVALID_REQUEST, str(fault))
        except RequestClosed as fault:
            return fault_answer(400, INVALID_REQUEST, str(fault))
        except ResponseRefused as fault:
            return fault_answer(400, fault.code, fault.description)
        return json_answer({} if go_on is None else {REDIRECT_URI: go_on})

    return [
        Route("/requests/{handle}/jwt", get_request, methods=["GET"]),
        Route("/requests/{handle}/jwt", post_request, methods=["POST"]),
        Route("/responses/{handle}", post_response, methods=["POST"]),
    ]
