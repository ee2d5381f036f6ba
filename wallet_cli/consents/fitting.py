"""Whether an event fits the grant that this wallet signed and the withdrawals that it sent."""

from collections.abc import Mapping
from typing import Any

from consent.grant.act import Amend, verify_act
from consent.grant.detail import AuthorizationDetail, parse_details
from consent.grant.withdrawal import verify_withdrawal
from consent.ledger.leaf import DAY_ONLY, Kind, Leaf, mask_of
from identity.envelope import jws
from wallet_cli.consents.numbers import Numbers
from wallet_cli.consents.parties import CONSENT
from wallet_cli.consents.withdraw import STATES
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import acts, consents
from wallet_cli.store.consents import HeldGrant
from wallet_cli.store.database import Store

SKEW_SECONDS = 60
"""Between a resident's clock and the consent service's."""

_WHAT = "timeline"


def detail_of(grant: HeldGrant) -> AuthorizationDetail:
    """As it was signed by this wallet."""
    return parse_details(jws.parse(grant.grant_jws, what="grant").claims(what="grant"), what="grant")


def check(store: Store, grant: HeldGrant, kind: Kind, event: Mapping[str, Any], *, at: int) -> None:
    """Raises ConsentRefused ``proof_refused``. ``at``: the event's time."""
    detail = detail_of(grant)
    # A grant for any accredited service is used by others too; its leaves go on under its own service's number.
    if detail.grantee is None or kind is not Kind.USE:
        _same(event, "service", grant.service)
    _same(event, "purpose", detail.purpose)
    if kind is Kind.GRANT:
        _same(event, "grant_hash", jws.digest(grant.grant_jws))
        _same(event, "attributes", list(detail.attributes))
        _same(event, "not_after", detail.not_after)
    elif kind is Kind.USE:
        _check_use(store, grant, detail, frozenset(event.get("attributes", ())), at)
    elif "withdrawal_hash" in event:
        _check_withdrawal(store, grant, event["withdrawal_hash"], at)
    elif "act_hash" in event:
        _check_act(store, grant, kind, event)


def check_leaf(
    leaf: Leaf, kind: Kind, event: Mapping[str, Any], numbers: Numbers, grant: HeldGrant | None, *, at: int
) -> None:
    """What stands open in the leaf, for everybody to read, says the same as the event. Raises ConsentRefused."""
    if leaf.kind is not kind:
        raise ConsentRefused("proof_refused", f"{_WHAT}: the leaf is of another kind than the event")
    if grant is not None and kind in (Kind.GRANT, Kind.AMEND, Kind.USE):
        names = [str(name) for name in event.get("attributes", ())]
        if leaf.mask != mask_of(detail_of(grant).datatypes, names):
            raise ConsentRefused("proof_refused", f"{_WHAT}: the leaf names other attributes than the event")
    # The sequencer's minute is the commit's or a later one.
    if not leaf.flags & DAY_ONLY and leaf.minute < at // 60:
        raise ConsentRefused("proof_refused", f"{_WHAT}: the leaf is dated before the event")
    if not leaf.grouped:
        numbers.require(leaf, event if grant is None else {**event, "service": grant.service})


def _check_use(
    store: Store, grant: HeldGrant, detail: AuthorizationDetail, attributes: frozenset[str], at: int
) -> None:
    if not attributes <= set(detail.attributes):
        raise ConsentRefused("proof_refused", f"{_WHAT}: a use of an attribute that was not given")
    if at >= detail.not_after + SKEW_SECONDS or at < detail.not_before - SKEW_SECONDS:
        raise ConsentRefused("proof_refused", f"{_WHAT}: a use outside the time that was given")
    for jti, compact, _ in consents.withdrawals(store, grant.grant_id):
        withdrawn = verify_withdrawal(compact).attributes
        effective_at = _effective_at(store, jti)
        concerned = withdrawn is None or attributes & set(withdrawn)
        if effective_at is not None and at > effective_at and concerned:
            raise ConsentRefused("proof_refused", f"{_WHAT}: a use after the withdrawal took effect")


def _check_withdrawal(store: Store, grant: HeldGrant, digest: object, at: int) -> None:
    """By this wallet's own message, and dated when the consent service took it: neither before nor after."""
    for jti, compact, made in consents.withdrawals(store, grant.grant_id):
        if jws.digest(compact) != digest:
            continue
        effective_at = _effective_at(store, jti)
        if at < made - SKEW_SECONDS or (effective_at is not None and abs(at - effective_at) > SKEW_SECONDS):
            raise ConsentRefused("proof_refused", f"{_WHAT}: a withdrawal is dated at another time than it was made")
        return
    raise ConsentRefused("proof_refused", f"{_WHAT}: a withdrawal that this wallet did not sign")


def _check_act(store: Store, grant: HeldGrant, kind: Kind, event: Mapping[str, Any]) -> None:
    """One that this wallet signed, and with what it asked for."""
    for own in acts.acts(store, grant.grant_id):
        if jws.digest(own.jws) != event["act_hash"]:
            continue
        deed = verify_act(own.jws, consent=grant.consent).deed
        if deed.verb != kind.word:
            raise ConsentRefused("proof_refused", f"{_WHAT}: an act is logged as another than it was")
        if isinstance(deed, Amend):
            _same(event, "attributes", list(deed.detail.attributes))
            _same(event, "not_after", deed.detail.not_after)
        return
    raise ConsentRefused("proof_refused", f"{_WHAT}: an act that this wallet did not sign")


def _effective_at(store: Store, jti: str) -> int | None:
    """When the consent service said that this withdrawal takes effect; None while it has not answered."""
    doors = [door for door in consents.doors(store, jti) if door.door == CONSENT and door.answer in STATES]
    return doors[0].effective_at if doors else None


def is_taken(store: Store, grant: HeldGrant) -> bool:
    """Whether the consent service has said that it took a withdrawal of the whole grant."""
    return any(
        verify_withdrawal(compact).attributes is None and _effective_at(store, jti) is not None
        for jti, compact, _ in consents.withdrawals(store, grant.grant_id)
    )


def _same(event: Mapping[str, Any], name: str, expected: object) -> None:
    if event.get(name) != expected:
        raise ConsentRefused("proof_refused", f"{_WHAT}: an event says another {name} than the grant")
