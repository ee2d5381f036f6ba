"""What a resident's wallet asks of a data holder, proved by its link key (WIRE C1): journal, notices, changes."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent import spec
from consent.caller.proof import verify_proof
from consent.door.body import TooLarge, media_type, read_body
from consent.errors import LedgerConflict, MessageError, NotKnown, ProofNonceNeeded
from consent.holder.first_value import FOLLOW
from consent.holder.journal import journal_root
from consent.holder.link_store import StoredLink
from consent.holder.routes import NO_STORE, Services, conflict, error
from consent.signed_message import exact, reading
from identity.codec import members, strict_json
from identity.errors import EncodingError
from identity.keys.public_key import PublicKey

MAX_CHANGE_BYTES = 1_024

_CHANGE = "changed value"

Answer = Callable[[StoredLink, bytes], Any]
"""The link whose key proved the request, and the body → the JSON of the answer."""


def resident_routes(services: Services) -> list[Route]:
    def journal(link: StoredLink, _: bytes) -> Any:
        entries = services.journal.of_row(link.row_key)
        return {"releases": [entry.to_json() for entry in entries], "root": journal_root(entries)}

    def notices(link: StoredLink, _: bytes) -> Any:
        return {"notices": [notice.to_json() for notice in services.links.notices(link.handle)]}

    def change(link: StoredLink, body: bytes) -> Any:
        grant_id = read_change(strict_json.parse_object(body, what=_CHANGE, max_bytes=MAX_CHANGE_BYTES))
        services.changes.follow(grant_id, link.row_key)
        return {"grant_id": grant_id, "answer": FOLLOW}

    return [
        Route("/journal", _proven(services, "GET", "/journal", journal), methods=["GET"]),
        Route("/notices", _proven(services, "GET", "/notices", notices), methods=["GET"]),
        Route("/changes", _proven(services, "POST", "/changes", change), methods=["POST"]),
    ]


def read_change(value: Mapping[str, Any]) -> str:
    """The grant whose changed value may be released from now on (D15). Raises MessageError."""
    exact(value, _CHANGE, frozenset({"grant_id", "answer"}))
    with reading(_CHANGE):
        grant_id = members.identifier(value, "grant_id", what=_CHANGE)
    if value["answer"] != FOLLOW:
        raise MessageError(f"{_CHANGE}: the answer is {FOLLOW}; whoever wants nothing released says nothing")
    return grant_id


def _proven(services: Services, method: str, path: str, answer: Answer) -> Any:
    url = f"{services.url}{path}"

    def key_for(thumbprint: str) -> PublicKey | None:
        link = services.links.by_thumbprint(thumbprint)
        return None if link is None else link.key

    def respond(proof: str | None, body: bytes) -> Response:
        now = int(services.clock())
        headers = {spec.PROOF_NONCE_HEADER: services.nonces.fresh(now), **NO_STORE}
        try:
            caller = verify_proof(
                proof,
                method=method,
                url=url,
                body=body,
                now=now,
                accepts_nonce=lambda nonce: services.nonces.accepts(nonce, now),
                spend=lambda thumbprint, jti: services.proofs.spend(thumbprint, jti, now=now),
                key_for=key_for,
            )
        except ProofNonceNeeded:
            return error(401, spec.USE_PROOF_NONCE, headers=headers)
        except MessageError as fault:
            return error(401, spec.INVALID_PROOF, str(fault), headers=headers)
        link = services.links.by_thumbprint(caller.thumbprint)
        if link is None:
            return error(401, spec.INVALID_PROOF, "caller proof: the key is not known here", headers=headers)
        try:
            return JSONResponse(answer(link, body), headers=headers)
        except (MessageError, EncodingError) as fault:
            return error(400, spec.INVALID_REQUEST, str(fault), headers=headers)
        except NotKnown as fault:
            return error(404, fault.code, headers=headers)
        except LedgerConflict as fault:
            return conflict(fault)

    async def endpoint(request: Request) -> Response:
        body = b""
        if method == "POST":
            if media_type(request) != spec.MEDIA_JSON:
                return error(415, spec.INVALID_REQUEST, f"a body of type {spec.MEDIA_JSON} is expected")
            try:
                body = await read_body(request, max_bytes=MAX_CHANGE_BYTES)
            except TooLarge:
                return error(413, spec.INVALID_REQUEST, f"at most {MAX_CHANGE_BYTES} bytes are read")
        proofs = request.headers.getlist(spec.REQUEST_PROOF_HEADER)
        return await run_in_threadpool(respond, proofs[0] if len(proofs) == 1 else None, body)

    return endpoint
