"""The opening pair of a grant (WIRE C15): who may read what the grant's leaves commit to.

Event and salt are sealed to the pair's public half when they are written and kept in no other form.
Its private half exists only sealed: here to the view key of the resident's account. Whoever has the
database alone opens nothing; deleting the sealed halves makes every event of the grant unreadable
while leaves and proofs stay valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading
from identity.codec import base64url, members, strict_json
from identity.envelope import hpke
from identity.keys.agreement import KEY_BYTES, AgreementPrivateKey, AgreementPublicKey

_EVENT = "sealed event"
_OPENING = "opening key"


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """What was sealed. Whether a leaf commits to it is for ``consent.ledger.event`` to check."""

    event: dict[str, Any]
    salt: bytes


def seal_event(key: AgreementPublicKey, *, leaf_id: str, counter: int, event: Mapping[str, Any], salt: bytes) -> str:
    plaintext = strict_json.compact({"event": dict(event), "salt": base64url.encode(salt)})
    return hpke.seal(key, _event_info(leaf_id, counter), plaintext)


def open_event(private: AgreementPrivateKey, sealed: str, *, leaf_id: str, counter: int) -> OpenedEvent:
    """Raises MessageError where it was sealed for another leaf or to another key."""
    with reading(_EVENT):
        plaintext = hpke.open_sealed(private, _event_info(leaf_id, counter), sealed, what=_EVENT)
        value = strict_json.parse_object(plaintext, what=_EVENT)
        exact(value, _EVENT, frozenset({"event", "salt"}))
        salt = base64url.decode(members.digest(value, "salt", what=_EVENT))
        return OpenedEvent(members.mapping(value, "event", what=_EVENT), salt)


def seal_opening(view_key: AgreementPublicKey, *, grant_id: str, private: AgreementPrivateKey) -> str:
    return hpke.seal(view_key, spec.INFO_OPENING + grant_id.encode(), private.raw)


def open_opening(view_key: AgreementPrivateKey, sealed: str, *, grant_id: str) -> AgreementPrivateKey:
    """The wallet's copy. Raises MessageError."""
    with reading(_OPENING):
        raw = hpke.open_sealed(view_key, spec.INFO_OPENING + grant_id.encode(), sealed, what=_OPENING)
    if len(raw) != KEY_BYTES:
        raise MessageError(f"{_OPENING}: {len(raw)} bytes, expected {KEY_BYTES}")
    return AgreementPrivateKey(raw)


def _event_info(leaf_id: str, counter: int) -> bytes:
    return spec.INFO_EVENT + leaf_id.encode() + str(counter).encode()
