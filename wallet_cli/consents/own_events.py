"""Events that belong to no grant (ADR 0009, D5): accesses that rest on law, openings by officers, oppositions.

1. Opened with the account's view key; the id of the leaf is in what it was sealed for.
2. The public log has a leaf that commits to it, of this kind and under this id.
3. It is what was shown before, where it was shown before; what was shown before is still there.
4. An access rests on a basis that a third party had approved for this service at that time.
5. None that an opposition of this wallet stops; an opposition is one that this wallet made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from consent.errors import ConsentError
from consent.grant.opening import open_event
from consent.ledger.event import check_commitment
from consent.ledger.leaf import Kind
from identity.codec import base64url, jcs
from identity.errors import EncodingError
from identity.trust.bases import Basis, VerifiedBases
from wallet_cli.consents import account, fitting
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import OFFICERS, Entry, Finding, Item, entry_of_body
from wallet_cli.consents.fitting import SKEW_SECONDS
from wallet_cli.consents.log_periods import PeriodLogs
from wallet_cli.consents.numbers import Numbers
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import oppositions, watch
from wallet_cli.store.oppositions import Opposition
from wallet_cli.store.watch import OwnEvent
from wallet_cli.trust import bases

_WHAT = "timeline"
LAW = "law"
_LOGGED_AT = "logged_at"
_OPPOSABLE = "opposable"


@dataclass(slots=True)
class OwnEvents:
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    laws: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Leaf id → the provision that the access rests on, by language."""
    unreadable: int = 0
    """Sealed to the wallet that was lost."""
    bases_missing: bool = False
    """The list of approved bases could not be had, and an access is there that it should name."""


def read(errand: Errand, at: OpenAccount, items: list[Item], log: PeriodLogs, numbers: Numbers) -> OwnEvents:
    found = OwnEvents()
    seen = watch.own_events(errand.store, at.account.consent)
    made = oppositions.all_of(errand.store, at.account.consent)
    approved: VerifiedBases | None = None
    asked = False
    for item in items:
        known = seen.get(item.grant_id)
        try:
            entry = _entry(at, item, known, log, numbers)
        except (ConsentError, ConsentRefused, EncodingError) as fault:
            if known is None and at.account.state == account.RECOVERED:
                found.unreadable += 1
                continue
            found.findings.append(Finding("false_event", item.grant_id, str(fault)))
            continue
        body: dict[str, Any] = dict(known.body) if known is not None else {}
        if entry.kind is Kind.NOTICE and entry.event.get("declaration") != OFFICERS and LAW not in body:
            if not asked:
                approved, asked = bases.current(errand.network, errand.store, now=errand.now), True
            body |= _basis(found, entry, approved)
        _check_opposed(found, entry, made, opposable=body.get(_OPPOSABLE) is True)
        if LAW in body:
            found.laws[entry.grant_id] = body[LAW]
        found.entries.append(entry)
        kept = {**body, **entry.body(), _LOGGED_AT: entry.logged_at}
        with errand.store.transaction():
            watch.save_own_event(
                errand.store, OwnEvent(item.grant_id, at.account.consent, item.kind.word, item.leaf_index, kept)
            )
    _check_whole(errand, found, {item.grant_id for item in items}, seen, made)
    return found


def _entry(at: OpenAccount, item: Item, known: OwnEvent | None, log: PeriodLogs, numbers: Numbers) -> Entry:
    # 1
    opened = open_event(at.view_key, item.sealed, leaf_id=item.grant_id, counter=item.counter)
    entry = Entry(item.grant_id, item.kind, item.counter, item.leaf_index, opened.event, opened.salt)
    if entry.event.get("kind") != item.kind.word or item.counter or "grant_id" in entry.event:
        raise ConsentRefused("proof_refused", f"{_WHAT}: an event is not the one it is listed as")
    entry.require_time()
    # 3
    if known is not None:
        before = entry_of_body(item, known.body)
        if before.body() != entry.body() or known.leaf_index not in (None, item.leaf_index):
            raise ConsentRefused("proof_refused", f"{_WHAT}: an event is not the one that was shown before")
        if known.leaf_index is not None:
            return replace(entry, logged_at=known.body.get(_LOGGED_AT))
    if item.leaf_index is None:
        return entry
    # 2
    leaf = log.leaf(item.leaf_index)
    check_commitment(leaf, entry.event, entry.salt)
    if base64url.encode(leaf.id) != item.grant_id:
        raise ConsentRefused("proof_refused", f"{_WHAT}: the leaf is of another event")
    fitting.check_leaf(leaf, entry.kind, entry.event, numbers, None, at=entry.time)
    return replace(entry, logged_at=leaf.minute * 60)


def _basis(found: OwnEvents, entry: Entry, approved: VerifiedBases | None) -> dict[str, Any]:
    """Step 4; what of the basis is kept with the event."""
    if approved is None:
        found.bases_missing = True
        return {}
    basis: Basis | None = bases.approved(approved, str(entry.event.get("declaration")), entry.service, at=entry.time)
    if basis is None:
        found.findings.append(
            Finding("unapproved_basis", entry.grant_id, "nobody had approved the basis that this access names")
        )
        return {}
    return {LAW: dict(basis.law), _OPPOSABLE: basis.opposable}


def _check_opposed(found: OwnEvents, entry: Entry, made: list[Opposition], *, opposable: bool) -> None:
    """Step 5."""
    if entry.kind is Kind.OPPOSE:
        if not any(_digest(one) == entry.event.get("hash") for one in made):
            found.findings.append(
                Finding("foreign_opposition", entry.grant_id, "this wallet did not make it", grave=False)
            )
        return
    for one in made if opposable else ():
        in_force = one.since + SKEW_SECONDS < entry.time and (one.ended is None or entry.time < one.ended)
        meant = one.service == entry.service and one.purpose in (None, entry.event.get("purpose"))
        # The event does not say which data holder it was: one that names a data holder proves nothing here.
        if in_force and meant and one.holder is None:
            found.findings.append(Finding("opposed_access", entry.grant_id, "an access that you had objected to"))


def _check_whole(
    errand: Errand, found: OwnEvents, listed: set[str], seen: Mapping[str, OwnEvent], made: list[Opposition]
) -> None:
    """Step 3, second half."""
    for leaf_id in sorted(seen.keys() - listed):
        found.findings.append(Finding("timeline_gap", leaf_id, f"a {seen[leaf_id].kind} that was there is gone"))
    logged = {entry.event.get("hash") for entry in found.entries if entry.kind is Kind.OPPOSE}
    for one in made:
        if _digest(one) not in logged and errand.now > one.since + SKEW_SECONDS:
            found.findings.append(Finding("timeline_gap", one.id, "an opposition of yours is not there"))


def _digest(one: Opposition) -> str:
    return base64url.encode(sha256(jcs.canonicalize(one.body())).digest())
