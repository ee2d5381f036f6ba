"""The OpenAPI document, made from the same table of addresses that is served."""

import re
from collections.abc import Sequence
from typing import Any

from consent import spec
from consent.service.address import KEY, NEWCOMER, PARTY, Address

_NAME = re.compile(r"\{(\w+)\}")
_PROVED = frozenset({KEY, PARTY, NEWCOMER})
_ERROR = {"description": "refused", "content": {spec.MEDIA_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}


def openapi(addresses: Sequence[Address]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for address in addresses:
        paths.setdefault(address.path, {})[address.method.lower()] = _operation(address)
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
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _NAME.findall(address.path)
    ]
    if address.proof in _PROVED:
        parameters.append(
            {"name": spec.REQUEST_PROOF_HEADER, "in": "header", "required": True, "schema": {"type": "string"}}
        )
    operation: dict[str, Any] = {
        "summary": address.summary,
        "description": f"Proved by: {address.proof}.",
        "responses": {"default": _ERROR, "2XX": {"description": "done"}},
    }
    if parameters:
        operation["parameters"] = parameters
    if address.takes is not None:
        operation["requestBody"] = {"required": not address.body_optional, "content": {address.takes: {}}}
    return operation
