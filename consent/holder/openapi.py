"""The OpenAPI document of a data holder's routes, written beside them and held equal by a test."""

from typing import Any

from consent import spec

ID = {"type": "string", "minLength": 22, "maxLength": 22, "pattern": "^[A-Za-z0-9_-]{22}$"}
TIME = {"type": "integer", "minimum": 0}
NAMES = {"type": "array", "items": {"type": "string"}}
JWS = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


SCHEMAS: dict[str, Any] = {
    "Error": _object({"error": {"type": "string"}}, {"error_description": {"type": "string"}, "act": TIME}),
    "Link": _object({"link": ID}),
    "SealedLink": _object({"sealed": {"type": "string"}}),
    "DataAnswer": _object(
        {"use_id": ID, "grant_id": ID, "counter": TIME, "sealed": {"type": "string"}},
        {"proof": {"type": "string"}, "spooled": JWS},
    ),
    "Refusal": _object(
        {
            "decision": {"const": "deny"},
            "grant_id": ID,
            "reasons": {
                "type": "array",
                "minItems": 1,
                "items": _object({"code": {"type": "string"}, "attribute": {"type": ["string", "null"]}}),
            },
        }
    ),
    "Journal": _object(
        {
            "releases": {
                "type": "array",
                "items": _object(
                    {
                        "use_id": ID,
                        "grant_id": ID,
                        "counter": TIME,
                        "time": TIME,
                        "service": {"type": "string"},
                        "attributes": NAMES,
                    }
                ),
            },
            "root": {"type": "string"},
        }
    ),
    "Notices": _object(
        {
            "notices": {
                "type": "array",
                "items": _object({"kind": {"enum": ["link", "value_changed"]}, "time": TIME}, {"grant_id": ID}),
            }
        }
    ),
    "Change": _object({"grant_id": ID, "answer": {"const": "follow"}}),
    "Withdrawn": _object({"state": {"enum": ["withdrawn", "given"]}, "effective_at": TIME}, {"attributes": NAMES}),
    "Told": _object({"state": {"enum": ["given", "paused"]}, "act": TIME}),
    "Noted": _object({"state": {"const": "noted"}}),
}


def _json(name: str, description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {spec.MEDIA_JSON: {"schema": schema}}}


_ERROR = _json("Error", "refused")
_PROOF = {"name": spec.REQUEST_PROOF_HEADER, "in": "header", "required": True, "schema": JWS}
_JWS_BODY = {"required": True, "content": {spec.MEDIA_JWT: {"schema": JWS}}}


def _json_body(name: str) -> dict[str, Any]:
    return {"required": True, "content": {spec.MEDIA_JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def _errors(*statuses: int) -> dict[str, Any]:
    return {str(status): _ERROR for status in statuses}


PATHS: dict[str, Any] = {
    "/links": {
        "post": {
            "summary": "link a key to a row (C8)",
            "requestBody": _json_body("SealedLink"),
            "responses": {
                "200": _json("Link", "the key had this link"),
                "201": _json("Link", "made"),
                **_errors(400, 409, 413, 415, 503),
            },
        }
    },
    "/data": {
        "post": {
            "summary": "attributes of one row, under a consent (C4) or a law (ADR 0009, D1)",
            "requestBody": _JWS_BODY,
            "responses": {
                "200": _json("DataAnswer", "released, sealed to the service"),
                "403": _json("Refusal", "nothing is released"),
                **_errors(400, 413, 415, 503),
            },
        }
    },
    "/journal": {
        "get": {
            "summary": "what was released of the caller's row",
            "parameters": [_PROOF],
            "responses": {"200": _json("Journal", "oldest first"), **_errors(401, 503)},
        }
    },
    "/notices": {
        "get": {
            "summary": "what the caller's link is told (D16)",
            "parameters": [_PROOF],
            "responses": {"200": _json("Notices", "oldest first"), **_errors(401, 503)},
        }
    },
    "/changes": {
        "post": {
            "summary": "release a value that has changed (D15)",
            "parameters": [_PROOF],
            "requestBody": _json_body("Change"),
            "responses": {"200": _json("Change", "taken"), **_errors(400, 401, 404, 409, 413, 415, 503)},
        }
    },
    "/withdrawals": {
        "post": {
            "summary": "withdraw a grant here (C5)",
            "requestBody": _JWS_BODY,
            "responses": {
                "200": _json("Withdrawn", "in force"),
                "202": _json("Noted", "not known here; kept"),
                **_errors(400, 413, 415, 429, 503),
            },
        }
    },
    "/acts": {
        "post": {
            "summary": "pause, resume or amend a grant here (D17)",
            "requestBody": _JWS_BODY,
            "responses": {
                "200": _json("Told", "in force"),
                "202": _json("Noted", "not known here; kept"),
                **_errors(400, 409, 413, 415, 429, 503),
            },
        }
    },
}


def openapi() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atorga data holder", "version": "1"},
        "paths": PATHS,
        "components": {"schemas": SCHEMAS},
    }
