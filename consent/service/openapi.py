"""The OpenAPI document, made from the same table of addresses that is served."""

import re
from collections.abc import Sequence
from typing import Any

from consent import spec
from consent.service import schemas
from consent.service.address import KEY, NEWCOMER, PARTY, Address

_NAME = re.compile(r"\{(\w+)\}")
_PROVED = frozenset({KEY, PARTY, NEWCOMER})
_JSON_ERROR: dict[str, Any] = {spec.MEDIA_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
_ERROR: dict[str, Any] = {"description": "refused", "content": _JSON_ERROR}

_OTHER_MEDIA = {
    "/me/receipts/{receipt_id}": spec.MEDIA_RECEIPT,
    "/status/{number}": "application/statuslist+jwt",
}


def openapi(addresses: Sequence[Address]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for address in addresses:
        paths.setdefault(address.path, {})[address.method.lower()] = _operation(address)
    for path, (media, schema) in schemas.LOG_FILES.items():
        paths[path] = {"get": _log_file(path, media, schema)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atorga consent service", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
                }
            }
        },
    }


def _operation(address: Address) -> dict[str, Any]:
    key = (address.method, address.path)
    parameters = _in_path(address.path)
    parameters += [
        {"name": name, "in": "query", "required": name != "after", "schema": schema}
        for name, schema in schemas.QUERIES.get(key, {}).items()
    ]
    if address.proof in _PROVED:
        parameters.append(
            {"name": spec.REQUEST_PROOF_HEADER, "in": "header", "required": True, "schema": {"type": "string"}}
        )
    answer = schemas.ANSWERS.get(key, schemas.OBJECT)
    media = _OTHER_MEDIA.get(address.path, spec.MEDIA_JWT if answer is schemas.JWS else spec.MEDIA_JSON)
    operation: dict[str, Any] = {
        "summary": address.summary,
        "description": f"Proved by: {address.proof}.",
        "responses": {
            "default": _ERROR,
            "2XX": {"description": "done", "content": {media: {"schema": answer}}},
        },
    }
    if answer is schemas.JWS:
        # A refusal with reasons is signed, too (C4, D1).
        operation["responses"]["403"] = {"description": "denied", "content": {media: {"schema": answer}, **_JSON_ERROR}}
    if parameters:
        operation["parameters"] = parameters
    if address.takes is not None:
        schema = schemas.REQUESTS.get(key, schemas.JWS)
        content = {address.takes: {"schema": schema}}
        operation["requestBody"] = {"required": not address.body_optional, "content": content}
    return operation


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _NAME.findall(path)
    ]


def _log_file(path: str, media: str, schema: schemas.Schema) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": "A public file of the log (C2SP tlog-tiles)",
        "responses": {"default": _ERROR, "200": {"description": "the file", "content": {media: {"schema": schema}}}},
    }
    return operation | ({"parameters": _in_path(path)} if "{" in path else {})
