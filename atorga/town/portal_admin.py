"""Admin helpers of the sandbox portal (WIRE section A): ask for a permission, read under it."""

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atorga.town.admin_token import admin_route
from consent import spec
from identity.codec import strict_json
from identity.codec.members import exact_members, integer, text, texts
from identity.errors import EncodingError
from verifier.errors import DeskClosed, NotAsked
from verifier.http import JSON, BodyRefused, body_refused, fault_answer, json_answer, read_body
from verifier.kit.outcome import Refused, Released
from verifier.kit.reading import UNKNOWN_GRANT
from verifier.portal.subsidy import ServiceDesk, value_of

WHAT = "admin request"

INVALID_REQUEST = spec.INVALID_REQUEST
MAX_DAYS = 3_660

_ASKABLE = frozenset({"service", "holder", "attributes", "purpose", "resolution", "days"})


def portal_admin_routes(desks: Mapping[str, ServiceDesk], *, token_sha256: str) -> list[Route]:
    """``desks`` by the party id of their service; the first is the default."""

    async def ask(request: Request) -> Response:
        try:
            asked = strict_json.parse_object(await _body(request), what=WHAT)
            made = await run_in_threadpool(_ask, desks, asked)
        except BodyRefused as fault:
            return body_refused(fault)
        except (EncodingError, NotAsked) as fault:
            return fault_answer(400, INVALID_REQUEST, str(fault))
        except DeskClosed as fault:
            return fault_answer(503, "temporarily_unavailable", str(fault))
        return json_answer(made)

    async def read(request: Request) -> Response:
        try:
            asked = strict_json.parse_object(await _body(request), what=WHAT)
            exact_members(asked, what=WHAT, required=frozenset({"grant", "attribute"}))
            grant = text(asked, "grant", what=WHAT, max_length=64)
            attribute = text(asked, "attribute", what=WHAT, max_length=spec.MAX_ATTRIBUTE_NAME)
        except BodyRefused as fault:
            return body_refused(fault)
        except EncodingError as fault:
            return fault_answer(400, INVALID_REQUEST, str(fault))
        return json_answer(await run_in_threadpool(_read, desks, grant, attribute))

    return [
        admin_route("/admin/requests", token_sha256, ask, method="POST"),
        admin_route("/admin/reads", token_sha256, read, method="POST"),
    ]


def _ask(desks: Mapping[str, ServiceDesk], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Raises EncodingError, NotAsked, DeskClosed. A member that is null is absent."""
    asked = {name: value for name, value in asked.items() if value is not None}
    exact_members(asked, what=WHAT, required=frozenset(), optional=_ASKABLE)
    service = _optional(asked, "service") or next(iter(desks))
    if service not in desks:
        raise EncodingError(f"{WHAT}: 'service' names a party whose key is not here")
    attributes = None
    if "attributes" in asked:
        attributes = texts(
            asked, "attributes", what=WHAT, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
        )
    made = desks[service].ask(
        holder=_optional(asked, "holder"),
        attributes=attributes,
        purpose=_optional(asked, "purpose"),
        resolution=_optional(asked, "resolution"),
        days=integer(asked, "days", what=WHAT, minimum=1, maximum=MAX_DAYS) if "days" in asked else None,
    )
    return {"request": made.link, "id": made.request_id}


def _read(desks: Mapping[str, ServiceDesk], grant: str, attribute: str) -> dict[str, Any]:
    answers = [desk.read(grant, attribute) for desk in desks.values()]
    # A grant is one service's; the others do not know it.
    found = next((one for one in answers if isinstance(one, Released)), None)
    if found is not None:
        return {"state": "released", "reasons": [], "value": value_of(found), "leaf_index": found.leaf_index}
    reasons = [list(one.reasons) for one in answers if isinstance(one, Refused)]
    told = next((codes for codes in reasons if codes != [UNKNOWN_GRANT]), [UNKNOWN_GRANT])
    return {"state": "refused", "reasons": told, "leaf_index": None}


async def _body(request: Request) -> bytes:
    return await read_body(request, media_type=JSON, max_bytes=strict_json.MAX_BYTES)


def _optional(obj: Mapping[str, Any], name: str) -> str | None:
    return text(obj, name, what=WHAT, max_length=512) if name in obj else None
