"""The proven notice (ADR 0009, D1): what a data holder checks before it releases anything that rests on law.

As with a use it believes neither the service nor the consent service: without a leaf in the log that
says this very access, nothing leaves.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent.errors import LogError, MessageError
from consent.grant.notice import NoticeAllow, VerifiedBasisRequest
from consent.grant.use import SKEW_SECONDS
from consent.holder.allow import EVENT_AGE_SECONDS
from consent.ledger.event import parse_time
from consent.ledger.leaf import Kind
from consent.ledger.proof import VerifiedLeaf, period_vkey, verify_event_proof
from consent.log.quorum import Quorum
from identity.codec import base64url

_WHAT = "notice answer"


@dataclass(frozen=True, slots=True)
class ProvenNotice:
    """A notice that the log carries."""

    allow: NoticeAllow
    logged: VerifiedLeaf


def prove_notice(
    allow: NoticeAllow,
    *,
    request: VerifiedBasisRequest,
    numbers: Callable[[str, str], tuple[int, int]],
    log_vkey: str,
    quorum: Quorum | None,
    released_at: int | None = None,
) -> ProvenNotice:
    """Raises MessageError or LogError. The answer's own signature, addressee, request and time were
    checked by ``verify_notice_answer``; the basis is the caller's to check. ``released_at``: of an
    access that was urgent and is noticed late.

    1. The event says this access: kind, service, purpose, declaration, attributes, basis request; of just now,
       or of the release that it comes after.
    2. The leaf commits to the event and is in the log of the pinned key.
    3. The leaf is a notice with this id, and counts nothing; its service and purpose numbers are the
       published ones, unless it stands under group codes.
    4. A sensitive purpose: the checkpoint carries the cosignatures of its quorum.
    """
    asked = request.request
    # 1
    expected = {
        "kind": Kind.NOTICE.word,
        "service": asked.service,
        "purpose": asked.purpose,
        "declaration": asked.declaration,
        "attributes": list(asked.attributes),
        "hash": request.digest,
    }
    for name, value in expected.items():
        if allow.event.get(name) != value:
            raise MessageError(f"{_WHAT}: the event says another {name}")
    noted_at = parse_time(allow.event.get("time")) // 1000
    is_of_now = allow.issued - EVENT_AGE_SECONDS <= noted_at <= allow.issued + SKEW_SECONDS
    if not is_of_now and noted_at != released_at:
        raise MessageError(f"{_WHAT}: the event is of another time")
    # 2
    proven = verify_event_proof(
        allow.proof, period_vkey(allow.proof, log_vkey), allow.event, base64url.decode(allow.salt, what="salt")
    )
    # 3
    leaf = proven.leaf
    if leaf.kind is not Kind.NOTICE or leaf.counter != 0 or base64url.encode(leaf.id) != allow.notice_id:
        raise LogError(f"{_WHAT}: the leaf is of another kind, id or counter")
    if not leaf.grouped and (leaf.service, leaf.purpose) != numbers(asked.service, asked.purpose):
        raise LogError(f"{_WHAT}: the leaf names another service or purpose")
    # 4
    if quorum is not None and not quorum.met(proven.checkpoint.note):
        raise LogError(f"{_WHAT}: the checkpoint lacks the cosignatures that a sensitive purpose needs")
    return ProvenNotice(allow, proven)
