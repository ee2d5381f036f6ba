"""Introspection (RFC 7662) for a service about its own grants: whether one may be used now.

For every other caller, and for ids that are foreign, unknown or no ids at all, the same three
words after the same look-ups: nobody learns here which grants exist.
"""

from typing import Any

from consent.errors import MessageError
from consent.grant.lifecycle import State
from consent.ledger.grants import GrantStore
from consent.service.catalogue import Catalogue
from consent.service.in_force import detail_in_force, state_at
from consent.service.operator import Operator
from consent.service.path_id import path_id
from identity.codec.members import IDENTIFIER_BYTES
from identity.errors import IdentityError
from identity.openid4vp import form
from identity.trust.registry import Party

_WHAT = "introspection"

MAX_BYTES = 256
INACTIVE: dict[str, Any] = {"active": False}

_NO_GRANT = bytes(IDENTIFIER_BYTES)


class Introspecting:
    def __init__(self, operator: Operator, *, grants: GrantStore, catalogue: Catalogue) -> None:
        self._operator = operator
        self._grants = grants
        self._catalogue = catalogue

    def introspect(self, caller: Party, body: bytes) -> dict[str, Any]:
        """Raises MessageError where the form is none."""
        try:
            fields = form.parse(body, what=_WHAT, max_bytes=MAX_BYTES)
        except IdentityError as fault:
            raise MessageError(str(fault)) from None
        if not {"token"} <= fields.keys() <= {"token", "token_type_hint"}:
            raise MessageError(f"{_WHAT}: a token is expected, and perhaps its type")
        found = self._grants.get(path_id(fields["token"]) or _NO_GRANT)
        number = self._catalogue.parties().get(caller.id)
        if found is None or number is None or found[0].service != number:
            return INACTIVE
        row, grant_body = found
        now = self._operator.now
        usable = state_at(row, now) is State.GIVEN and row.not_before <= now
        if not usable or (row.max_uses and row.uses >= row.max_uses):
            return INACTIVE
        return {
            "active": True,
            "iss": self._operator.id,
            "client_id": caller.id,
            "exp": row.not_after,
            "counter": row.counter,
            "terms": dict(detail_in_force(row, grant_body).to_json()["terms"]),
        }
