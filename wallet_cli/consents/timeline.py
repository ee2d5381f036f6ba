"""The timeline: what happened with each grant, and whether all of it is there and true.

For every event of a grant:
 1. It is opened with the grant's opening key (WIRE C15): the consent service cannot read it.
 2. The public log has a leaf that commits to it, at the place the timeline names (C6).
 3. It is what was shown before under this number, where it was shown before.
 4. It fits the grant that this wallet signed, and the withdrawals and acts that it sent.
Then, for every grant: `wallet_cli.consents.whole`. Events that belong to no grant:
`wallet_cli.consents.own_events`.

What does not hold is a `Finding`. All are collected: each is a sign that somebody cheats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consent.errors import ConsentError
from consent.grant.opening import open_event
from consent.ledger.event import check_commitment
from consent.ledger.leaf import Kind
from identity.codec.members import exact_members, integer
from identity.errors import EncodingError
from identity.keys.agreement import AgreementPrivateKey
from wallet_cli.consents import account, fitting, give, own_events, receipts, whole
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import Entry, Finding, Item, entry_of_body
from wallet_cli.consents.log_periods import TOO_OLD, PeriodLogs
from wallet_cli.consents.numbers import Numbers
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import acts, consents, watch
from wallet_cli.store.consents import HeldGrant, SeenEvent
from wallet_cli.store.database import Store

MAX_PAGES = 1_000
MAX_PAGE = 1_000
"""Items. A resident's years of use; a service that sends more wants to tire the wallet out."""

_WHAT = "timeline"


@dataclass(slots=True)
class Timeline:
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    witnesses: list[str] = field(default_factory=list)
    """Party ids of other legal bodies that saw the log's checkpoint."""
    laws: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Leaf id of an access that rests on law → the provision, by language."""
    unreadable: int = 0
    """Events that only the wallet before a recovery could open."""
    too_old: int = 0
    """Events whose leaves the log's published retention has deleted before this wallet looked at them."""
    bases_missing: bool = False
    checkpoint: str = ""
    """The log's newest one, signed: what any evidence is held against."""


def read(errand: Errand, at: OpenAccount) -> Timeline:
    """The whole timeline of one account. Raises NetworkError, ConsentRefused."""
    states = give.resolve(errand, at)
    items = _fetch(at)
    log = PeriodLogs(errand.network, at.base, at.account.log_vkey)
    log.continue_from_seen(errand.store)
    numbers = Numbers.fetch(errand.network, at.base)
    found = Timeline(witnesses=log.witnessed_by(_witnesses(errand, at)), checkpoint=log.checkpoint.note.format())
    own = own_events.read(errand, at, [item for item in items if item.own], log, numbers)
    items = [item for item in items if not item.own]
    _prove(errand, at, items, found, log, numbers)
    whole.check(errand, at, found.entries, found.findings, items, states)
    _keep(errand, found.entries)
    found.entries += own.entries
    found.findings += own.findings
    found.laws, found.bases_missing = own.laws, own.bases_missing
    found.unreadable += own.unreadable
    return found


def of_erased(store: Store) -> tuple[list[Entry], dict[str, Mapping[str, str]]]:
    """Events whose record was erased, as this wallet had opened and proved them before; the laws of those by law."""
    events, entries = consents.all_events(store), []
    for grant_id in sorted(acts.erased(store) & events.keys()):
        for one in events[grant_id]:
            item = Item(grant_id, Kind[one.kind.upper()], one.counter, one.leaf_index, "")
            entries.append(entry_of_body(item, one.body))
    laws: dict[str, Mapping[str, str]] = {}
    for own in watch.closed_events(store):
        item = Item(own.leaf_id, Kind[own.kind.upper()], 0, own.leaf_index, "")
        entries.append(entry_of_body(item, own.body))
        if own_events.LAW in own.body:
            laws[own.leaf_id] = own.body[own_events.LAW]
    return entries, laws


def _fetch(at: OpenAccount) -> list[Item]:
    """All pages. From the first event each time: so that one that was there cannot be gone unseen."""
    items: dict[tuple[str, int, int, int | None], Item] = {}
    address, after = f"{at.base}/me/timeline", None
    for _ in range(MAX_PAGES):
        answer = at.caller.get(address if after is None else f"{address}?after={after}").expect(200, what=_WHAT)
        try:
            body = answer.object(what=_WHAT)
            exact_members(body, what=_WHAT, required=frozenset({"items", "next"}))
            listed = body["items"]
            if not isinstance(listed, list) or len(listed) > MAX_PAGE:
                raise EncodingError(f"{_WHAT}: a list of at most {MAX_PAGE} items is expected")
            for value in listed:
                item = Item.parse(value)
                items.setdefault((item.grant_id, item.kind, item.counter, item.leaf_index), item)
            following = None if body["next"] is None else integer(body, "next", what=_WHAT)
        except EncodingError as fault:
            raise ConsentRefused("bad_answer", str(fault)) from None
        if following is None or not listed or following == after:
            return list(items.values())
        after = following
    raise ConsentRefused("bad_answer", f"{_WHAT}: more than {MAX_PAGES} pages")


def _prove(
    errand: Errand, at: OpenAccount, items: list[Item], found: Timeline, log: PeriodLogs, numbers: Numbers
) -> None:
    """Every item becomes an entry, or a finding."""
    mine = {grant.grant_id: grant for grant in consents.grants(errand.store) if grant.consent == at.account.consent}
    seen = {(one.grant_id, one.counter): one for events in consents.all_events(errand.store).values() for one in events}
    erased = acts.erased(errand.store)
    openings: dict[str, AgreementPrivateKey] = {}
    for done, item in enumerate(items, start=1):
        errand.progress("progress.timeline", done, len(items))
        before = seen.get((item.grant_id, item.counter)) if item.counted else None
        if item.grant_id in erased:
            # Its key is gone, as it was asked for.
            continue
        try:
            if item.grant_id not in openings:
                described = receipts.describe(at, item.grant_id)
                openings[item.grant_id] = receipts.opening_of(at, described, item.grant_id)
            entry = _opened(item, openings[item.grant_id])  # 1
            _check(errand, found, log, numbers, entry, mine.get(item.grant_id), before)  # 2, 3, 4
        except (ConsentError, ConsentRefused, EncodingError) as fault:
            if item.grant_id not in mine and at.account.state == account.RECOVERED:
                # Sealed to the wallet that was lost: what comes after the recovery is sealed to this one.
                found.unreadable += 1
            else:
                found.findings.append(Finding("false_event", item.grant_id, str(fault)))
            continue
        found.entries.append(entry)


def _opened(item: Item, opening: AgreementPrivateKey) -> Entry:
    """Step 1."""
    opened = open_event(opening, item.sealed, leaf_id=item.grant_id, counter=item.counter)
    entry = Entry(item.grant_id, item.kind, item.counter, item.leaf_index, opened.event, opened.salt)
    if opened.event.get("kind") != item.kind.word or opened.event.get("grant_id") != item.grant_id:
        raise ConsentRefused("proof_refused", f"{_WHAT}: an event is not the one it is listed as")
    entry.require_time()
    return entry


def _check(
    errand: Errand,
    found: Timeline,
    log: PeriodLogs,
    numbers: Numbers,
    entry: Entry,
    grant: HeldGrant | None,
    seen: SeenEvent | None,
) -> None:
    # 2: what was proved once and has not changed is not proved again
    if entry.leaf_index is not None and (seen is None or seen.leaf_index != entry.leaf_index):
        try:
            leaf = log.leaf(entry.leaf_index)
        except ConsentRefused as fault:
            if fault.code != TOO_OLD:
                raise
            found.too_old += 1
        else:
            check_commitment(leaf, entry.event, entry.salt)
            fitting.check_leaf(leaf, entry.kind, entry.event, numbers, grant, at=entry.time)
    # 3
    if seen is not None and (seen.body != entry.body() or seen.leaf_index not in (None, entry.leaf_index)):
        raise ConsentRefused("proof_refused", f"{_WHAT}: event {entry.counter} is not the one that was shown before")
    # 4
    if grant is not None:
        fitting.check(errand.store, grant, entry.kind, entry.event, at=entry.time)


def _witnesses(errand: Errand, at: OpenAccount) -> dict[str, str]:
    """Those of another legal body than the log's: one's own witness says nothing."""
    parties = errand.trust.parties()
    return {
        party.id: party.log_vkey
        for party in parties.registry.by_role("witness", now=parties.now)
        if party.log_vkey is not None and party.legal_entity != at.consent.legal_entity
    }


def _keep(errand: Errand, entries: list[Entry]) -> None:
    with errand.store.transaction():
        for entry in entries:
            if entry.counter:
                seen = SeenEvent(entry.grant_id, entry.counter, entry.kind.word, entry.leaf_index, entry.body())
                consents.save_event(errand.store, seen)
