"""Admin helpers of the sandbox verifier (WIRE section A): ask for anything, see how it ended."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atorga.town.admin_token import admin_route
from identity.codec import strict_json
from identity.codec.members import exact_members, mapping, text, texts
from identity.errors import EncodingError, FetchError, ProtocolError, TrustError
from identity.fetch import require_permitted
from identity.openid4vp import dcql, spec
from identity.openid4vp.client_metadata import FORMATS
from identity.trust.chain import MAX_ANCHORS, MAX_ANCHORS_PEM_BYTES, anchors_from_pem
from verifier.acceptance import Checked, Flow, Procedure
from verifier.asked import Asked, StandIn
from verifier.errors import RequestClosed, RequestUnknown
from verifier.http import JSON, BodyRefused, body_refused, fault_answer, json_answer, read_body
from verifier.presentations import Presentations
from verifier.sessions import State

SANDBOX_ANY = Procedure("sandbox-any", Checked())
"""No procedure of any service: a wallet shows its requests as unregistered."""

WHAT = "admin request"

MAX_PREFIXES = 16

_OPTIONAL = frozenset(
    {"client_id_prefix", spec.RESPONSE_MODE, spec.REQUEST_URI_METHOD, "trust_anchors", "status_prefixes"}
)  # fmt: skip


def verifier_admin_routes(presentations: Presentations, *, token_sha256: str) -> list[Route]:
    """The presentations' procedures must have ``SANDBOX_ANY``."""

    async def begin(request: Request) -> Response:
        try:
            body = await read_body(request, media_type=JSON, max_bytes=strict_json.MAX_BYTES)
            asked = parse_admin_request(strict_json.parse_object(body, what=WHAT))
            handle, reader = presentations.new_secret(), presentations.new_id()
            link = await run_in_threadpool(presentations.begin, asked, handle=handle, reader=reader)
        except BodyRefused as fault:
            return body_refused(fault)
        except (EncodingError, FetchError, TrustError) as fault:
            return fault_answer(400, spec.INVALID_REQUEST, str(fault))
        except ProtocolError as fault:
            return fault_answer(400, fault.code, fault.description)
        return json_answer({"request": link, "id": reader})

    async def state(request: Request) -> Response:
        try:
            return json_answer(await run_in_threadpool(admin_state, presentations, request.path_params["id"]))
        except RequestUnknown as fault:
            return fault_answer(404, spec.INVALID_REQUEST, str(fault))

    return [
        admin_route("/admin/requests", token_sha256, begin, method="POST"),
        admin_route("/admin/requests/{id}", token_sha256, state, method="GET"),
    ]


def parse_admin_request(obj: dict[str, Any]) -> Asked:
    """Raises EncodingError, FetchError, TrustError and ProtocolError. A member that is null is absent."""
    obj = {name: value for name, value in obj.items() if value is not None}
    exact_members(obj, what=WHAT, required=frozenset({"dcql"}), optional=_OPTIONAL)
    query = dcql.parse(mapping(obj, "dcql", what=WHAT))
    for credential in query.credentials:
        if credential.format not in FORMATS:
            raise ProtocolError(spec.VP_FORMATS_NOT_SUPPORTED, f"{WHAT}: {credential.id!r} asks for another format")
        if not credential.require_cryptographic_holder_binding:
            raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {credential.id!r} asks for no holder binding")
    method = _optional(obj, spec.REQUEST_URI_METHOD, spec.GET)
    if method not in (spec.GET, spec.POST):
        raise ProtocolError(
            spec.INVALID_REQUEST_URI_METHOD, f"{WHAT}: {spec.REQUEST_URI_METHOD} is neither get nor post"
        )
    return Asked(
        procedure=SANDBOX_ANY.id,
        query=query,
        flow=Flow.DIRECT,
        client_id_prefix=_optional(obj, "client_id_prefix", spec.X509_HASH),
        response_mode=_optional(obj, spec.RESPONSE_MODE, spec.DIRECT_POST_JWT),
        request_uri_method=method,
        stand_in=_stand_in(obj),
    )


def admin_state(presentations: Presentations, reader: str) -> dict[str, Any]:
    """Raises RequestUnknown."""
    outcome = presentations.outcome(reader, Flow.DIRECT)
    match outcome.state:
        case State.PENDING:
            return {"state": "pending"}
        case State.VERIFIED:
            try:
                return {"state": "verified", "claims": presentations.result(reader, Flow.DIRECT).claims}
            except RequestClosed:
                raise RequestUnknown("request: its result is no longer kept") from None
        case State.REFUSED:
            return {
                "state": "refused",
                "error": outcome.error,
                "error_description": outcome.error_description or "",
            }
        case _:
            raise RequestUnknown("request: its result is no longer kept")


def _stand_in(obj: dict[str, Any]) -> StandIn | None:
    if "trust_anchors" not in obj and "status_prefixes" not in obj:
        return None
    anchors: tuple[bytes, ...] = ()
    if "trust_anchors" in obj:
        pems = texts(
            obj, "trust_anchors", what=WHAT, max_count=MAX_ANCHORS, max_length=MAX_ANCHORS_PEM_BYTES, min_count=0
        )
        anchors = tuple(der for pem in pems for der in anchors_from_pem(pem.encode("utf-8")))
    prefixes: tuple[str, ...] = ()
    if "status_prefixes" in obj:
        prefixes = texts(obj, "status_prefixes", what=WHAT, max_count=MAX_PREFIXES, max_length=2_048, min_count=0)
        for prefix in prefixes:
            require_permitted(prefix, allow_loopback_http=True)
    return StandIn(anchors, prefixes)


def _optional(obj: dict[str, Any], name: str, default: str) -> str:
    return text(obj, name, what=WHAT, max_length=64) if name in obj else default
