"""Events: what a leaf commits to (WIRE C6), and the salted commitment itself.

An event is a JSON object; its members are fixed per kind. Who holds event and salt can show what a
leaf says in full; the log alone shows none of it, since the salt has 32 random bytes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from consent.errors import LogError
from consent.ledger.leaf import Kind, Leaf
from identity.codec import base64url, jcs, members
from identity.errors import EncodingError

SALT_BYTES = 32
_TAG = b"atorga/v1"

Event = dict[str, Any]

# Members besides v, kind, time, service, purpose; the second set may be absent.
_MEMBERS: dict[Kind, tuple[frozenset[str], frozenset[str]]] = {
    Kind.REQUEST: (frozenset({"request_hash"}), frozenset()),
    Kind.REFUSE: (frozenset({"request_hash"}), frozenset()),
    Kind.GRANT: (frozenset({"grant_id", "counter", "grant_hash", "attributes", "not_after"}), frozenset({"max_uses"})),
    Kind.AMEND: (
        frozenset({"grant_id", "counter", "attributes", "not_after"}),
        frozenset({"max_uses", "act_hash", "withdrawal_hash", "by"}),
    ),
    Kind.PAUSE: (frozenset({"grant_id", "counter"}), frozenset({"act_hash", "by"})),
    Kind.RESUME: (frozenset({"grant_id", "counter"}), frozenset({"act_hash", "by"})),
    Kind.USE: (frozenset({"grant_id", "counter", "attributes", "use_request_hash"}), frozenset()),
    Kind.DENY: (frozenset({"grant_id", "reasons", "count"}), frozenset({"counter"})),
    Kind.WITHDRAW: (frozenset({"grant_id", "counter"}), frozenset({"withdrawal_hash", "by"})),
    Kind.REVOKE: (frozenset({"grant_id", "counter", "by"}), frozenset()),
    Kind.EXPIRE: (frozenset({"grant_id", "counter", "by"}), frozenset()),
    Kind.NOTICE: (frozenset({"declaration", "attributes", "hash"}), frozenset()),
    Kind.OPPOSE: (frozenset({"hash"}), frozenset()),
    Kind.ERASE: (frozenset({"grant_id", "counter", "hash"}), frozenset()),
    Kind.DECLARE: (frozenset({"declaration_hash", "number"}), frozenset()),
}
_ALWAYS = frozenset({"v", "kind", "time"})
_OFTEN = frozenset({"service", "purpose"})


def make_event(kind: Kind, *, at_milliseconds: int, **named: Any) -> Event:
    """An event of this kind; members that are None are left out. Raises LogError on foreign ones."""
    event: Event = {"v": 1, "kind": kind.word, "time": format_time(at_milliseconds)}
    event |= {name: value for name, value in named.items() if value is not None}
    check_members(kind, event)
    return event


def check_members(kind: Kind, event: Mapping[str, Any]) -> None:
    """Raises LogError unless the event has the members of its kind and says so itself."""
    if kind not in _MEMBERS:
        raise LogError(f"event: kind {kind.word} has none")
    required, optional = _MEMBERS[kind]
    try:
        members.exact_members(event, what=f"event {kind.word}", required=_ALWAYS | required, optional=_OFTEN | optional)
    except EncodingError as fault:
        raise LogError(str(fault)) from None
    if event["v"] != 1 or event["kind"] != kind.word:
        raise LogError(f"event: it is not a {kind.word} of version 1")


def commitment(event: Mapping[str, Any], salt: bytes) -> bytes:
    """SHA-256("atorga/v1" ‖ salt ‖ JCS(event))."""
    if len(salt) != SALT_BYTES:
        raise LogError(f"salt: {len(salt)} bytes, expected {SALT_BYTES}")
    return sha256(_TAG + salt + jcs.canonicalize(event)).digest()


def check_commitment(leaf: Leaf, event: Mapping[str, Any], salt: bytes) -> None:
    """Raises LogError unless the leaf commits to exactly this event, of its own kind, id and counter."""
    check_members(leaf.kind, event)
    try:
        committed = commitment(event, salt)
    except EncodingError as fault:
        raise LogError(f"event: {fault}") from None
    if committed != leaf.commitment:
        raise LogError("event: the leaf does not commit to it")
    if event.get("counter", 0) != leaf.counter and leaf.kind is not Kind.DENY:
        raise LogError("event: counter differs from the leaf's")
    if "grant_id" in event and event["grant_id"] != base64url.encode(leaf.id):
        raise LogError("event: grant id differs from the leaf's")


def format_time(at_milliseconds: int) -> str:
    """RFC 3339 with milliseconds in Z, as events spell time."""
    at = datetime.fromtimestamp(at_milliseconds // 1000, UTC).replace(tzinfo=None)
    return f"{at.isoformat()}.{at_milliseconds % 1000:03d}Z"


def parse_time(text: Any) -> int:
    """Milliseconds since 1970 of an event's ``time``. Raises LogError on any other spelling."""
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise LogError("event: time must be RFC 3339 with milliseconds in Z") from None
    milliseconds = int(at.timestamp()) * 1000 + at.microsecond // 1000
    if format_time(milliseconds) != text:
        raise LogError("event: time must be RFC 3339 with milliseconds in Z")
    return milliseconds
