"""Deletions (ADR 0009, D8): by when each service deletes what it read, and its signed word that it did.

1. A receipt is signed by the service of the grant, about this grant, and after what the wallet knows
   of the last use.
2. The day that the consent service names is not later than what the grant says: last use and agreed
   life, and never later than 30 days after the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import ConsentError
from consent.grant.deletion_receipt import verify_deletion_receipt
from consent.ledger.event import parse_time
from identity.codec.members import identifier, integer, text
from identity.errors import EncodingError
from wallet_cli.consents import give, sequence
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.fitting import detail_of
from wallet_cli.consents.parties import SERVICE
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant

AFTER_END_SECONDS = 30 * 86_400
TOLERANCE_SECONDS = 2 * 86_400
"""A leaf may tell the day of a use only, and a day is not the same everywhere."""

DUE, OVERDUE, RECEIVED = "due", "overdue", "received"
STATES = (DUE, OVERDUE, RECEIVED)

_USE = "use"
_ENDS = frozenset(kind.word for kind in sequence.ENDS)
_WHAT = "deletion"


@dataclass(frozen=True, slots=True)
class Deletion:
    grant_id: str
    service: str | None
    """None where this wallet does not hold the grant."""
    due: int
    state: str
    receipt: str | None
    deleted_at: int | None
    fault: str | None = None
    """What is wrong with the receipt, or with the day."""

    def to_json(self) -> dict[str, Any]:
        return {
            "grant_id": self.grant_id,
            "service": self.service,
            "due": self.due,
            "state": self.state,
            "deleted_at": self.deleted_at,
            "receipt": self.receipt,
        }


def read(errand: Errand, at: OpenAccount) -> list[Deletion]:
    """Soonest first. Raises NetworkError, ConsentRefused."""
    body = at.caller.get(f"{at.base}/me/deletions").expect(200, what=_WHAT).object(what=_WHAT)
    listed = body.get("deletions")
    if not isinstance(listed, list) or len(listed) > give.MAX_GRANTS:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {give.MAX_GRANTS} is expected")
    grants = {grant.grant_id: grant for grant in consents.grants(errand.store)}
    try:
        found = [_read(errand, at, one, grants) for one in listed]
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    return sorted(found, key=lambda one: (one.due, one.grant_id))


def _read(errand: Errand, at: OpenAccount, value: Any, grants: Mapping[str, HeldGrant]) -> Deletion:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an entry is an object")
    grant_id, due = identifier(value, "grant_id", what=_WHAT), integer(value, "due", what=_WHAT)
    state = text(value, "state", what=_WHAT, max_length=16)
    receipt = None if value.get("receipt") is None else text(value, "receipt", what=_WHAT, max_length=16_384)
    if state not in STATES or (state == RECEIVED) is not (receipt is not None):
        raise EncodingError(f"{_WHAT}: a state that does not exist, or without its receipt")
    grant = grants.get(grant_id)
    service = None if grant is None else grant.service
    if state != RECEIVED and due <= errand.now:
        # Whatever the consent service calls it.
        state = OVERDUE
    late = None if grant is None else _too_late(errand, grant, due)
    if receipt is None:
        return Deletion(grant_id, service, due, state, None, None, late)
    try:
        checked = verify_deletion_receipt(
            receipt,
            key_of=lambda party: errand.trust.parties().key_of(party, SERVICE),
            consent=at.consent.id,
            grant_id=grant_id,
        )
    except (ConsentError, ConsentRefused) as fault:
        return Deletion(grant_id, service, due, state, receipt, None, str(fault))
    if service is not None and checked.service != service:
        return Deletion(grant_id, service, due, state, receipt, None, f"{_WHAT}: another service signed it")
    if (last := _last_use(errand, grant_id)) is not None and checked.deleted_at < last:
        return Deletion(grant_id, service, due, state, receipt, None, f"{_WHAT}: dated before the last reading")
    return Deletion(grant_id, service, due, state, receipt, checked.deleted_at, late)


def _last_use(errand: Errand, grant_id: str) -> int | None:
    uses = [one for one in consents.events(errand.store, grant_id) if one.kind == _USE]
    return parse_time(uses[-1].body["event"]["time"]) // 1000 if uses else None


def _too_late(errand: Errand, grant: HeldGrant, due: int) -> str | None:
    """Step 2, by the events that this wallet has proved."""
    last, detail = _last_use(errand, grant.grant_id), detail_of(grant)
    if last is None:
        return None
    ends = [one for one in consents.events(errand.store, grant.grant_id) if one.kind in _ENDS]
    end = parse_time(ends[0].body["event"]["time"]) // 1000 if ends else detail.not_after
    latest = min(last + detail.data_life_seconds, end + AFTER_END_SECONDS)
    return f"{_WHAT}: later than was agreed" if due > latest + TOLERANCE_SECONDS else None
