"""Opposition (ADR 0009, D4): a resident objects to accesses of one service that rest on law."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent import spec
from consent.procedure.vocabulary import require_purpose
from consent.signed_message import exact, reading
from identity.codec import base64url, jcs, members

_WHAT = "opposition"


@dataclass(frozen=True, slots=True)
class Opposition:
    service: str
    purpose: str | None
    """None = every purpose."""
    holder: str | None
    """None = every data holder."""

    def to_json(self) -> dict[str, Any]:
        return {"service": self.service, "purpose": self.purpose, "holder": self.holder}

    @property
    def digest(self) -> str:
        """What its leaf commits to."""
        return base64url.encode(sha256(jcs.canonicalize(self.to_json())).digest())


def parse_opposition(body: Mapping[str, Any]) -> Opposition:
    """Raises MessageError."""
    exact(body, _WHAT, frozenset({"service", "purpose", "holder"}))
    with reading(_WHAT):
        opposition = Opposition(
            service=members.text(body, "service", what=_WHAT, max_length=spec.MAX_PARTY_ID),
            purpose=None if body["purpose"] is None else members.text(body, "purpose", what=_WHAT),
            holder=None
            if body["holder"] is None
            else members.text(body, "holder", what=_WHAT, max_length=spec.MAX_PARTY_ID),
        )
    if opposition.purpose is not None:
        require_purpose(opposition.purpose, what=_WHAT)
    return opposition
