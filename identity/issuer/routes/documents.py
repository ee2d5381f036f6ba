"""What anybody may read: metadata, offers by reference, status lists; in the sandbox the list and the roots."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from identity.issuer import messages
from identity.issuer.routes.halls import Halls
from identity.openid4vci.spec import (
    AUTHORIZATION_SERVER_METADATA,
    CREDENTIAL_ISSUER_METADATA,
    JWT_VC_ISSUER_METADATA,
)
from identity.status import spec as status
from identity.trust import spec as trust

METADATA_SECONDS = 60
"""How long a wallet may keep metadata."""


def router(halls: Halls, *, registry_file: Path | None, trust_file: Path | None) -> APIRouter:
    routes = APIRouter()

    @routes.get(f"{CREDENTIAL_ISSUER_METADATA}/{{tenant}}")
    async def credential_issuer(tenant: str) -> Response:
        return _metadata(halls.of(tenant).tenant.metadata())

    @routes.get(f"{AUTHORIZATION_SERVER_METADATA}/{{tenant}}")
    async def authorization_server(tenant: str) -> Response:
        return _metadata(halls.of(tenant).tenant.server_metadata())

    @routes.get(f"{JWT_VC_ISSUER_METADATA}/{{tenant}}")
    async def jwt_vc_issuer(tenant: str) -> Response:
        return _metadata(halls.of(tenant).tenant.keys_metadata())

    @routes.get("/{tenant}/offers/{reference}")
    async def offer(tenant: str, reference: str) -> Response:
        found = await run_in_threadpool(halls.of(tenant).offers.document, reference)
        if found is None:
            raise HTTPException(404, "no such offer, or no longer")
        return Response(found, headers=messages.NO_STORE, media_type=messages.JSON)

    @routes.get("/{tenant}/status/")
    async def status_lists(tenant: str) -> Response:
        found = await run_in_threadpool(halls.of(tenant).publishing.addresses)
        return messages.json_answer({status.STATUS_LISTS: found}, cacheable=True)

    @routes.get("/{tenant}/status/{number}")
    async def status_list(tenant: str, number: str) -> Response:
        hall = halls.of(tenant)
        known = number.isascii() and number.isdigit() and len(number) <= 9 and str(int(number)) == number
        found = await run_in_threadpool(hall.publishing.served, int(number)) if known else None
        if found is None:
            raise HTTPException(404, "no such status list")
        # Caches on the way may keep it for a part of its ttl; what is revoked must be known within the ttl.
        age = {"Cache-Control": f"max-age={hall.tenant.status_ttl_seconds // 4}"}
        return Response(found, headers=age, media_type=status.MEDIA_TYPE)

    if registry_file is not None:
        _serve_file(routes, "/registry", registry_file, trust.MEDIA_TYPE)
        # Beside it, the bases that the same registry approved (ADR 0009, D2).
        _serve_file(routes, f"/registry{trust.BASES}", registry_file.with_name(trust.BASES_FILE), trust.MEDIA_TYPE)
    if trust_file is not None:
        _serve_file(routes, "/trust.pem", trust_file, "application/pem-certificate-chain")
    return routes


def _serve_file(routes: APIRouter, path: str, file: Path, media_type: str) -> None:
    """Read at each request, since the town replaces the list while we run; and without a thread, since all
    threads may be waiting for the list."""

    @routes.get(path)
    async def content() -> Response:
        try:
            found = file.read_bytes()
        except OSError:
            raise HTTPException(503, "not there now") from None
        return Response(found, headers={"Cache-Control": "no-cache"}, media_type=media_type)


def _metadata(value: dict[str, Any]) -> Response:
    age = {"Cache-Control": f"max-age={METADATA_SECONDS}"}
    return messages.json_answer(value, headers=age, cacheable=True)
