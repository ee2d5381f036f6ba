"""The proven allow (WIRE C4): what a data holder checks before it releases anything.

It believes neither the service nor the consent service: the operator alone cannot grant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consent.errors import LogError, MessageError
from consent.grant.accreditation import VerifiedAccreditation, may_use
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import GIVEN, VerifiedGrant, verify_grant
from consent.grant.locator import VerifiedLocator, open_locator
from consent.grant.narrowing import Resolutions
from consent.grant.use import SKEW_SECONDS, Allow, VerifiedUseRequest, decode_salt
from consent.ledger.event import parse_time
from consent.ledger.leaf import Kind, mask_of
from consent.ledger.proof import VerifiedLeaf, period_vkey, verify_event_proof
from consent.log.quorum import Quorum
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.public_key import PublicKey

_WHAT = "allow"

EVENT_AGE_SECONDS = 60
"""How old the counted use may be when the answer is signed: the log's turn and a quorum of witnesses need less."""


@dataclass(frozen=True, slots=True)
class ProvenAllow:
    """An allow that the resident's own signatures and the log carry."""

    allow: Allow
    grant: VerifiedGrant
    link: str
    logged: VerifiedLeaf
    used_at: int
    """When the consent service counted the use (NumericDate)."""


def prove_allow(
    allow: Allow,
    *,
    request: VerifiedUseRequest,
    hpke_keys: Sequence[AgreementPrivateKey],
    link_key: Callable[[str], PublicKey | None],
    key_of: Callable[[str], PublicKey],
    resolutions: Callable[[AuthorizationDetail], Resolutions],
    numbers: Callable[[str, str], tuple[int, int]],
    log_vkey: str,
    quorum: Callable[[VerifiedGrant], Quorum | None],
    accreditation: VerifiedAccreditation | None = None,
) -> ProvenAllow:
    """Raises MessageError or LogError. The answer's own signature, addressee, request and time were
    checked by ``verify_use_answer``.

    ``hpke_keys``: the declared key and the one before it. ``quorum`` gives, for a grant, whose
    cosignatures it needs, None where the log's own signature suffices; it raises where it cannot say.
    ``accreditation`` is what the request shows of its service, verified here.

    1. The grant: signed by its grant key over a request signed by its service; for this data holder
       and this consent service; nothing wider than was asked.
    2. It is the grant asked for, and of the service that asks, or for any that shows what this one has shown;
       for this purpose and procedure.
    3. The locator: sealed for this grant, its hash signed by a link key known here.
    4. What is allowed is nothing wider than the grant: attributes, resolutions, period, mode.
    5. The event says this use: kind, grant, counter, service, purpose, attributes, use request; of just now.
    6. The leaf commits to the event and is in the log of the pinned key.
    7. The leaf repeats kind, id, counter and mask; its service and purpose numbers are the
       published ones, unless it stands under group codes.
    8. A sensitive purpose: the checkpoint carries the cosignatures of its quorum.
    """
    asked = request.request
    # 1
    grant = verify_grant(allow.grant, key_of=key_of, consent=allow.consent, resolutions=resolutions, fresh_at=None)
    if grant.decision != GIVEN or grant.holder != asked.holder:
        raise MessageError(f"{_WHAT}: the grant was not given, or not for this data holder")
    # 2
    if grant.id != asked.grant_id or not may_use(
        grant.detail, granted_to=grant.service, request=asked, shown=accreditation
    ):
        raise MessageError(f"{_WHAT}: the grant is another one, or of another service")
    if (grant.detail.purpose, grant.detail.procedure) != (asked.purpose, asked.procedure):
        raise MessageError(f"{_WHAT}: the grant is for another purpose or procedure")
    # 3
    locator = _open_locator(hpke_keys, allow, asked.holder, link_key)
    # 4
    _check_within(allow, grant, asked.attributes, resolutions(grant.request.request.detail))
    # 5
    used_at = _check_event(allow, request)
    # 6
    proven = verify_event_proof(allow.proof, period_vkey(allow.proof, log_vkey), allow.event, decode_salt(allow))
    # 7
    leaf = proven.leaf
    if leaf.kind is not Kind.USE or leaf.counter != allow.counter:
        raise LogError(f"{_WHAT}: the leaf is of another kind or counter")
    if leaf.mask != mask_of(grant.detail.datatypes, asked.attributes):
        raise LogError(f"{_WHAT}: the leaf names other attributes")
    if not leaf.grouped and (leaf.service, leaf.purpose) != numbers(grant.service, asked.purpose):
        raise LogError(f"{_WHAT}: the leaf names another service or purpose")
    # 8
    needed = quorum(grant)
    if needed is not None and not needed.met(proven.checkpoint.note):
        raise LogError(f"{_WHAT}: the checkpoint lacks the cosignatures that a sensitive purpose needs")
    return ProvenAllow(allow, grant, locator.link, proven, used_at)


def _open_locator(
    hpke_keys: Sequence[AgreementPrivateKey], allow: Allow, holder: str, link_key: Callable[[str], PublicKey | None]
) -> VerifiedLocator:
    """With the present key, then with the previous one: a wallet may have sealed before the change."""
    fault = MessageError(f"{_WHAT}: no key is there to open the locator")
    for key in hpke_keys:
        try:
            return open_locator(key, allow.locator, holder=holder, grant=allow.grant, link_key=link_key)
        except MessageError as caught:
            fault = caught
    raise fault


def _check_within(allow: Allow, grant: VerifiedGrant, attributes: tuple[str, ...], resolutions: Resolutions) -> None:
    if set(allow.resolutions) != set(attributes):
        raise MessageError(f"{_WHAT}: it covers other attributes than were asked for")
    for name, resolution in allow.resolutions.items():
        term = grant.detail.terms.get(name)
        if term is None:
            raise MessageError(f"{_WHAT}: an attribute was not granted")
        order = resolutions.get(name, ())
        if resolution not in order or order.index(resolution) < order.index(term.resolution):
            raise MessageError(f"{_WHAT}: a resolution is finer than what was granted")
    if not grant.detail.not_before <= allow.issued < grant.detail.not_after:
        raise MessageError(f"{_WHAT}: outside the granted period")
    if not grant.detail.lets_read:
        raise MessageError(f"{_WHAT}: the grant lets nothing be read")


def _check_event(allow: Allow, request: VerifiedUseRequest) -> int:
    asked, event = request.request, allow.event
    expected = {
        "kind": Kind.USE.word,
        "grant_id": asked.grant_id,
        "counter": allow.counter,
        "service": asked.service,
        "purpose": asked.purpose,
        "attributes": list(asked.attributes),
        "use_request_hash": request.digest,
    }
    for name, value in expected.items():
        if event.get(name) != value:
            raise MessageError(f"{_WHAT}: the event says another {name}")
    used_at = parse_time(event.get("time")) // 1000
    if not allow.issued - EVENT_AGE_SECONDS <= used_at <= allow.issued + SKEW_SECONDS:
        raise MessageError(f"{_WHAT}: the event is of another time")
    return used_at
