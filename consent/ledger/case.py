"""One case opened: everything that was logged about one grant, with events and salts, checked offline.

A case file is made by whom the events were sealed to: the resident, by consent (``wallet consent
disclose``), or two officers together (ADR 0009, D11), whose opening is itself a leaf of the log. Who
gets it sees what happened to the millisecond, believing only the log's pinned key:

    {"type":"ConsentCase","schema_version":"atorga-case/1","receipt":…,"events":[{"event","salt","tlog_proof"},…]}

``receipt`` is the grant's own (WIRE C9). An officers' case has ``"grant_id"`` and ``"opening"`` in its
place: the proof of the leaf that says that two officers opened it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError, MessageError
from consent.grant.receipt import UnverifiedReceipt, parse_receipt_object
from consent.ledger.event import parse_time
from consent.ledger.leaf import DAY_ONLY, Kind
from consent.ledger.proof import VerifiedLeaf, period_vkey, verify_event_proof, verify_leaf_proof
from consent.ledger.receipt import VerifiedReceipt, verify_receipt
from consent.log.note import NoteKey
from consent.log.proof import MAX_PROOF_BYTES
from consent.signed_message import exact, reading
from identity.codec import base64url, members, strict_json
from identity.keys.public_key import PublicKey

TYPE = "ConsentCase"
SCHEMA_VERSION = "atorga-case/1"

MAX_CASE_BYTES = 67_108_864
"""A grant with ten thousand uses, each with its proof."""

MAX_EVENTS = 70_000
"""More than the uses a grant can have."""

_WHAT = "case"


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One act on the grant: what the leaf commits to, and where it is logged. Unverified."""

    event: Mapping[str, Any]
    salt: bytes
    proof: str

    def to_json(self) -> dict[str, Any]:
        return {"event": dict(self.event), "salt": base64url.encode(self.salt), "tlog_proof": self.proof}


@dataclass(frozen=True, slots=True)
class UnverifiedCase:
    """``receipt`` where the resident opened it, else ``grant_id`` and the proof of the ``opening``."""

    receipt: UnverifiedReceipt | None
    grant_id: str | None
    opening: str | None
    events: tuple[CaseEvent, ...]

    def to_json(self) -> dict[str, Any]:
        head: dict[str, Any] = (
            {"receipt": self.receipt.to_json()}
            if self.receipt is not None
            else {"grant_id": self.grant_id, "opening": self.opening}
        )
        return {
            "type": TYPE,
            "schema_version": SCHEMA_VERSION,
            **head,
            "events": [one.to_json() for one in self.events],
        }

    def format(self) -> bytes:
        return strict_json.compact(self.to_json())


def resident_case(receipt: UnverifiedReceipt, events: Sequence[CaseEvent]) -> UnverifiedCase:
    return UnverifiedCase(receipt, None, None, tuple(events))


def officers_case(grant_id: str, opening: str, events: Sequence[CaseEvent]) -> UnverifiedCase:
    return UnverifiedCase(None, grant_id, opening, tuple(events))


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event that the leaf at this place of the log commits to; ``at`` in milliseconds."""

    event: Mapping[str, Any]
    logged: VerifiedLeaf
    at: int


@dataclass(frozen=True, slots=True)
class VerifiedCase:
    """``events``: the grant's acts in the order of their counters, and refusals behind the act before them."""

    grant_id: str
    receipt: VerifiedReceipt | None
    opened_at: VerifiedLeaf | None
    """The leaf of the officers' opening."""
    events: tuple[VerifiedEvent, ...]

    @property
    def ended(self) -> VerifiedEvent | None:
        return next((one for one in self.events if one.logged.leaf.kind in _ENDINGS), None)

    @property
    def refused_after(self) -> int | None:
        """Milliseconds from the end of the grant to the first refusal after it, where there is one."""
        ended = self.ended
        if ended is None:
            return None
        later = (one.at - ended.at for one in self.events if one.logged.leaf.kind is Kind.DENY)
        return min((one for one in later if one >= 0), default=None)


_ENDINGS = frozenset({Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE})


def parse_case(content: bytes | str) -> UnverifiedCase:
    """Raises MessageError."""
    with reading(_WHAT):
        value = strict_json.parse_object(content, what=_WHAT, max_bytes=MAX_CASE_BYTES)
        by_resident = "receipt" in value
        head = frozenset({"receipt"} if by_resident else {"grant_id", "opening"})
        exact(value, _WHAT, frozenset({"type", "schema_version", "events"}) | head)
        if value["type"] != TYPE or value["schema_version"] != SCHEMA_VERSION:
            raise MessageError(f"{_WHAT}: not a {TYPE} of {SCHEMA_VERSION}")
        rows = value["events"]
        if not isinstance(rows, list) or len(rows) > MAX_EVENTS or not all(isinstance(row, dict) for row in rows):
            raise MessageError(f"{_WHAT}: 'events' must be a list of at most {MAX_EVENTS} objects")
        events = tuple(map(_event, rows))
        if by_resident:
            return resident_case(parse_receipt_object(members.mapping(value, "receipt", what=_WHAT)), events)
        opening = members.text(value, "opening", what=_WHAT, max_length=MAX_PROOF_BYTES)
        return officers_case(members.identifier(value, "grant_id", what=_WHAT), opening, events)


def verify_case(
    case: UnverifiedCase, *, log_vkey: str, key_of: Callable[[str], PublicKey] | None = None
) -> VerifiedCase:
    """Raises MessageError or LogError.

    1. The grant's receipt is right (``verify_receipt``), or the opening is a leaf of kind 12: an
       officers' case without one was opened behind the resident's back.
    2. Each event is committed to by the leaf in its proof, which is in the log of the pinned key, in
       whichever of its periods; leaf and event are of this grant.
    3. Counters go up by one from the first: nothing of the grant is left out between. (What came
       after the last one only the log itself can show.)
    4. An event's time and its leaf's minute agree: no leaf is logged before it happened.
    5. Every event names the service and the purpose of the grant; a use, or a refused one, may name another service
       where the grant is for any accredited one (an officers' case does not tell whether it is).
    """
    NoteKey.parse(log_vkey)
    # 1
    receipt = opened_at = None
    if case.receipt is not None:
        receipt = verify_receipt(case.receipt, log_vkey=period_vkey(case.receipt.proof, log_vkey), key_of=key_of)
        grant_id, counter = receipt.grant_id, 1
        if receipt.logged.leaf.kind is not Kind.GRANT:
            raise LogError(f"{_WHAT}: the receipt is not of the giving of the grant")
        found = [VerifiedEvent(case.receipt.event, receipt.logged, parse_time(case.receipt.event["time"]))]
    else:
        assert case.opening is not None and case.grant_id is not None
        opened_at = verify_leaf_proof(case.opening, period_vkey(case.opening, log_vkey))
        if opened_at.leaf.kind is not Kind.NOTICE:
            raise LogError(f"{_WHAT}: the leaf of the opening is of kind {opened_at.leaf.kind.word}, not notice")
        grant_id, counter, found = case.grant_id, 0, []
    leaf_id = base64url.decode(grant_id)
    for one in case.events:
        # 2
        logged = verify_event_proof(one.proof, period_vkey(one.proof, log_vkey), one.event, one.salt)
        if logged.leaf.id != leaf_id:
            raise LogError(f"{_WHAT}: an event is of another grant")
        # 3
        if logged.leaf.kind is not Kind.DENY:
            if logged.leaf.counter != counter + 1:
                raise LogError(f"{_WHAT}: after act {counter} comes act {logged.leaf.counter}")
            counter += 1
        found.append(VerifiedEvent(one.event, logged, parse_time(one.event["time"])))
    # 4
    for known in found:
        leaf = known.logged.leaf
        last = leaf.minute + (_DAY_MINUTES - 1 if leaf.flags & DAY_ONLY else 0)
        if known.at >= (last + 1) * 60_000:
            raise LogError(f"{_WHAT}: the leaf at {known.logged.index} was logged before its event happened")
    # 5
    by_others = receipt is None or receipt.detail.grantee is not None
    named = {one.event.get("service") for one in found if not (by_others and one.logged.leaf.kind in _ASKED)}
    if len(named) > 1 or len({one.event.get("purpose") for one in found}) > 1:
        raise LogError(f"{_WHAT}: its events name several services or purposes")
    return VerifiedCase(grant_id, receipt, opened_at, tuple(found))


_DAY_MINUTES = 1_440
_ASKED = (Kind.USE, Kind.DENY)


def _event(row: dict[str, Any]) -> CaseEvent:
    exact(row, _WHAT, frozenset({"event", "salt", "tlog_proof"}))
    return CaseEvent(
        event=members.mapping(row, "event", what=_WHAT),
        salt=base64url.decode(members.digest(row, "salt", what=_WHAT)),
        proof=members.text(row, "tlog_proof", what=_WHAT, max_length=MAX_PROOF_BYTES),
    )
