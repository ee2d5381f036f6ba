"""JSON Schemas of what goes in and what comes out, by address: for readers of the OpenAPI document.

They describe; they decide nothing. The strict readers of messages are in ``consent.grant``, and what
of a message is a signed text is a text here.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 4_096}
INTEGER: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$", "description": "16 bytes as b64"}
JWS: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$", "maxLength": 65_536}
PARTY_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128}
SEALED: Schema = {"type": "string", "description": "b64(enc ‖ ciphertext)", "maxLength": 131_072}
STATE: Schema = {
    "enum": ["given", "paused", "withdrawn", "revoked", "expired", "invalidated", "erased"],
}
TERMS: Schema = {"type": "object", "additionalProperties": OBJECT}
PROOF: Schema = {"type": "string", "description": "c2sp.org/tlog-proof@v1"}


def obj(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def many(item: Schema, *, at_most: int | None = None) -> Schema:
    return {"type": "array", "items": item} | ({} if at_most is None else {"maxItems": at_most})


def nullable(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


_GRANT = {"grant_id": ID, "state": STATE, "counter": INTEGER}
_ITEM = obj({"grant_id": ID, "kind": TEXT, "counter": INTEGER, "leaf_index": nullable(INTEGER), "sealed": SEALED})
_TIMELINE = {"items": many(_ITEM), "next": nullable(INTEGER)}
_ATTRIBUTES = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 64}, "maxItems": 64}
_WITHDRAWN = obj(
    {"state": STATE, "counter": INTEGER, "effective_at": INTEGER},
    {"attributes": many(TEXT), "proof": PROOF, "promise": JWS},
)
_NOTED = obj({"state": {"enum": ["noted"]}})
_ASKED = {"request_id": ID, "request_uri": TEXT, "link": TEXT, "expires_in": INTEGER}
_OWN_GRANT = obj(
    {
        **_GRANT,
        "act": INTEGER,
        "grant": JWS,
        "terms": TERMS,
        "max_uses": nullable(INTEGER),
        "not_after": INTEGER,
        "opening": nullable(SEALED),
        "receipts": many(obj({"counter": INTEGER, "kind": TEXT, "id": ID})),
    }
)
_OPPOSED = {"service": PARTY_ID, "purpose": nullable(TEXT), "holder": nullable(PARTY_ID)}
_OPPOSITION = obj({"opposition_id": ID, **_OPPOSED, "since": INTEGER})
_DELETION = obj(
    {"grant_id": ID, "due": INTEGER, "state": {"enum": ["due", "overdue", "received"]}, "receipt": nullable(JWS)}
)
_RECOVERY = obj(
    {
        "recovery_id": ID,
        "since": INTEGER,
        "full_after": INTEGER,
        "state": {"enum": ["waiting", "cancelled", "done"]},
        "own": BOOLEAN,
    }
)
_ENDED = {"enum": ["ended"]}
_MAILBOX = obj({"mailbox": ID})
_NUMBER = {"number": INTEGER}

REQUESTS: dict[tuple[str, str], Schema] = {
    ("POST", "/me/account"): obj({"vp_token": OBJECT, "view_jwk": OBJECT}),
    ("POST", "/me/mailboxes"): _MAILBOX,
    ("DELETE", "/me/mailboxes"): _MAILBOX,
    ("POST", "/me/grants"): obj({"grant": JWS}, {"locator": SEALED}),
    ("POST", "/me/grants/{grant_id}/withdrawal"): obj({}, {"attributes": nullable(_ATTRIBUTES)}),
    ("POST", "/me/freeze"): obj({"until": nullable(INTEGER)}),
    ("POST", "/me/erasure"): obj({"grant_id": nullable(ID)}),
    ("POST", "/me/oppositions"): obj(_OPPOSED),
    ("POST", "/me/mandates"): obj({"vp_token": OBJECT}),
    ("POST", "/uses"): obj({"use_request": JWS}),
    ("POST", "/notices"): obj({"basis_request": JWS, "mailboxes": many(ID, at_most=8)}, {"spooled": JWS}),
    ("POST", "/accreditations"): obj({"presentation": TEXT}),
    ("POST", "/introspect"): obj({"token": TEXT}, {"token_type_hint": TEXT}),
    ("POST", "/openings"): obj({"orders": {**many(JWS, at_most=2), "minItems": 2}}),
}
"""Where the body is no JWS of its own."""

ANSWERS: dict[tuple[str, str], Schema] = {
    ("GET", "/me/account/request"): obj({"request": JWS, "random": TEXT}),
    ("POST", "/me/account"): obj({"state": {"enum": ["active", "recovered"]}}, {"full_after": INTEGER}),
    ("GET", "/me/recoveries"): obj({"recoveries": many(_RECOVERY)}),
    ("DELETE", "/me/recoveries/{recovery_id}"): obj({"recovery_id": ID, "state": {"enum": ["cancelled"]}}),
    ("POST", "/me/mailboxes"): _MAILBOX,
    ("DELETE", "/me/mailboxes"): obj({"mailbox": ID, "state": {"enum": ["closed"]}}),
    ("GET", "/me/requests"): obj({"requests": many(obj({**_ASKED, "request": JWS}))}),
    ("POST", "/me/grants"): obj(
        {"state": {"enum": ["given", "refused"]}}, {"grant_id": ID, "counter": INTEGER, "receipt": TEXT}
    ),
    ("GET", "/me/grants"): obj({"grants": many(obj({**_GRANT, "act": INTEGER}))}),
    ("GET", "/me/grants/{grant_id}"): _OWN_GRANT,
    ("PATCH", "/me/grants/{grant_id}"): obj({**_GRANT, "act": INTEGER, "proof": PROOF}),
    ("POST", "/me/grants/{grant_id}/withdrawal"): _WITHDRAWN,
    ("GET", "/me/timeline"): obj(_TIMELINE),
    ("GET", "/me/receipts/{receipt_id}"): OBJECT,
    ("POST", "/me/freeze"): obj({"paused": many(ID), "promises": many(JWS)}),
    ("POST", "/me/erasure"): obj({"erased": many(ID), "account": {"enum": ["kept", "erased"]}}),
    ("GET", "/me/export"): obj(
        {
            "account": OBJECT,
            "mailboxes": many(ID),
            "grants": many(_OWN_GRANT),
            "timeline": many(_ITEM),
            "oppositions": many(_OPPOSITION),
            "deletions": many(_DELETION),
            "next": nullable(INTEGER),
        }
    ),
    ("GET", "/me/deletions"): obj({"deletions": many(_DELETION)}),
    ("POST", "/me/oppositions"): obj({"opposition_id": ID}),
    ("GET", "/me/oppositions"): obj({"oppositions": many(_OPPOSITION)}),
    ("DELETE", "/me/oppositions/{opposition_id}"): obj({"opposition_id": ID, "state": _ENDED}),
    ("POST", "/me/mandates"): OBJECT,
    ("GET", "/me/mandates"): obj({"mandates": many(OBJECT)}),
    ("DELETE", "/me/mandates/{mandate_id}"): OBJECT,
    ("POST", "/withdrawals"): {"oneOf": [_WITHDRAWN, _NOTED]},
    ("POST", "/declarations"): obj({"id": TEXT, "version": INTEGER, **_NUMBER}),
    ("GET", "/declarations"): obj({"declarations": many(JWS)}),
    ("GET", "/services"): OBJECT,
    ("POST", "/requests"): obj(_ASKED),
    ("GET", "/requests/{request_id}"): obj(
        {"state": {"enum": ["pending", "given", "refused", "expired"]}}, {"grant_id": ID, "grant": JWS}
    ),
    ("GET", "/requests/{request_id}/jwt"): JWS,
    ("GET", "/grants/{grant_id}"): obj({**_GRANT, "terms": TERMS, "grant": JWS}),
    ("DELETE", "/grants/{grant_id}"): obj({"state": {"enum": ["revoked"]}, "counter": INTEGER}),
    ("POST", "/introspect"): {
        "oneOf": [
            obj({"active": {"enum": [False]}}),
            obj(
                {
                    "active": {"enum": [True]},
                    "iss": PARTY_ID,
                    "client_id": PARTY_ID,
                    "exp": INTEGER,
                    "counter": INTEGER,
                    "terms": TERMS,
                }
            ),
        ]
    },
    ("GET", "/feed"): JWS,
    ("GET", "/status/{number}"): JWS,
    ("POST", "/grants/{grant_id}/deletion-receipts"): obj({"state": {"enum": ["received"]}}),
    ("POST", "/uses"): JWS,
    ("POST", "/notices"): JWS,
    ("POST", "/accreditations"): OBJECT,
    ("GET", "/accredited"): obj({"services": many(OBJECT)}),
    ("POST", "/journal-roots"): obj({"day": INTEGER, "count": INTEGER}),
    ("GET", "/journal-roots"): obj({"roots": many(JWS)}),
    ("GET", "/statistics"): obj(
        {
            "notices": INTEGER,
            "late_notices": INTEGER,
            "late": many(obj({"holder": PARTY_ID, "count": INTEGER, "longest_seconds": INTEGER})),
            "deletions_overdue": many(obj({"service": PARTY_ID, "count": INTEGER})),
        }
    ),
    ("POST", "/openings"): obj(
        {
            "grant_id": ID,
            "opening": SEALED,
            "former_openings": many(SEALED),
            "envelope": SEALED,
            "events": many(obj({"counter": INTEGER, "leaf_index": INTEGER, "sealed": SEALED, "proof": PROOF})),
            "proof": PROOF,
        }
    ),
}

QUERIES: dict[tuple[str, str], dict[str, Schema]] = {
    ("GET", "/me/account/request"): {"jkt": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"}},
    ("GET", "/me/timeline"): {"after": INTEGER},
    ("GET", "/me/export"): {"after": INTEGER},
    ("GET", "/feed"): {"after": INTEGER},
    ("GET", "/accredited"): {"vct": TEXT, "accreditor": PARTY_ID},
}

LOG_FILES: dict[str, tuple[str, Schema]] = {
    "/log/checkpoint": ("text/plain", {"type": "string"}),
    "/log/tile/{path}": ("application/octet-stream", {"type": "string", "format": "binary"}),
    "/log/periods": ("application/json", OBJECT),
    "/log/{period}/checkpoint": ("text/plain", {"type": "string"}),
    "/log/{period}/tile/{path}": ("application/octet-stream", {"type": "string", "format": "binary"}),
}
