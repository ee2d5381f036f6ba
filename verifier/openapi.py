"""The OpenAPI document of plain routes, written by hand beside them and held equal by a test."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity.openid4vp.spec import FORM_MEDIA_TYPE, REQUEST_OBJECT_MEDIA_TYPE
from verifier.http import json_answer

_ERROR = {"description": "refused", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_HANDLE = {"name": "handle", "in": "path", "required": True, "schema": {"type": "string"}}
_REQUEST_OBJECT = {"description": "the request object", "content": {REQUEST_OBJECT_MEDIA_TYPE: {}}}
_FORM = {"required": True, "content": {FORM_MEDIA_TYPE: {"schema": {"type": "object"}}}}

OPENID4VP_PATHS: dict[str, Any] = {
    "/requests/{handle}/jwt": {
        "get": {"parameters": [_HANDLE], "responses": {"200": _REQUEST_OBJECT, "404": _ERROR}},
        "post": {
            "parameters": [_HANDLE],
            "requestBody": _FORM,
            "responses": {"200": _REQUEST_OBJECT, "400": _ERROR, "404": _ERROR, "413": _ERROR, "415": _ERROR},
        },
    },
    "/responses/{handle}": {
        "post": {
            "parameters": [_HANDLE],
            "requestBody": _FORM,
            "responses": {
                "200": {
                    "description": "taken",
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "properties": {"redirect_uri": {"type": "string"}}}
                        }
                    },
                },
                "400": _ERROR,
                "404": _ERROR,
                "413": _ERROR,
                "415": _ERROR,
            },
        }
    },
}


def openapi_route(title: str, paths: Mapping[str, Any]) -> Route:
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": dict(paths),
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

    async def openapi(_: Request) -> Response:
        return json_answer(document)

    return Route("/openapi.json", openapi, methods=["GET"])
