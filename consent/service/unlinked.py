"""Entries under a fresh id, sealed to accounts (ADR 0009, D5): notices and oppositions belong to no grant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant.opening import seal_event
from consent.ledger.codes import Codes
from consent.ledger.event import SALT_BYTES, Event, commitment, make_event
from consent.ledger.grant_row import Entry
from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind, Leaf
from consent.ledger.notices import UnlinkedEntry
from identity.codec import base64url, strict_json
from identity.keys.agreement import AgreementPublicKey
from identity.randomness import Random

ID_BYTES = 16

UNNAMED = Codes(0, 0, DAY_ONLY | GROUPED)
"""To the day, and under no code of its own."""


@dataclass(frozen=True, slots=True)
class MadeUnlinked:
    """``event`` and ``salt`` in clear are for the answer to a notice, which is kept in memory only."""

    stored: UnlinkedEntry
    event: Event
    salt: bytes

    @property
    def id(self) -> str:
        return base64url.encode(self.stored.id)


def make_unlinked(
    kind: Kind, *, at: int, codes: Codes, view_keys: Mapping[int, str], random: Random, **members: Any
) -> MadeUnlinked:
    """``at`` in milliseconds; ``view_keys``: account → JWK; ``members`` are the event's own."""
    event = make_event(kind, at_milliseconds=at, **members)
    leaf_id, salt = random(ID_BYTES), random(SALT_BYTES)
    leaf = Leaf(
        kind=kind,
        flags=codes.flags,
        id=leaf_id,
        counter=0,
        service=codes.service,
        purpose=codes.purpose,
        minute=0,
        mask=0,
        end_day=0,
        max_uses=0,
        commitment=commitment(event, salt),
    )
    sealed = {
        account: seal_event(_view_key(jwk), leaf_id=base64url.encode(leaf_id), counter=0, event=event, salt=salt)
        for account, jwk in view_keys.items()
    }
    return MadeUnlinked(UnlinkedEntry(leaf_id, Entry(kind, leaf.to_bytes(), None), sealed), event, salt)


def _view_key(jwk: str) -> AgreementPublicKey:
    return AgreementPublicKey.from_jwk(strict_json.parse_object(jwk, what="view key"))
