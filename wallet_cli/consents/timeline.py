"""The timeline: what happened with each grant, and whether all of it is there and true.

For every event:
 1. It is opened with the grant's opening key (WIRE C15): the consent service cannot read it.
 2. The public log has a leaf that commits to it, at the place the timeline names (C6).
 3. It is what was shown before under this number, where it was shown before.
 4. It fits the grant that this wallet signed, and the withdrawals it sent.
Then, for every grant: counters run from 1 without a gap up to the consent service's own, no event
that was there is gone, no grant is there that this wallet did not give, promises are kept in time.

What does not hold is a `Finding`. All are collected: each is a sign that somebody cheats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.errors import ConsentError
from consent.grant.opening import open_event
from consent.ledger.event import check_commitment
from consent.ledger.leaf import COUNTED, Kind
from consent.ledger.promise import verify_promise
from identity.codec import base64url
from identity.codec.members import exact_members, identifier, integer, text
from identity.errors import EncodingError
from identity.keys.agreement import AgreementPrivateKey
from wallet_cli.consents import account, fitting, give, held, receipts
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.numbers import Numbers
from wallet_cli.consents.public_log import PublicLog
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant, SeenEvent

MAX_PAGES = 1_000
MAX_PAGE = 1_000
"""Items. A resident's years of use; a service that sends more wants to tire the wallet out."""

_WHAT = "timeline"
_KINDS = {kind.word: kind for kind in Kind}
_COUNTED_WORDS = frozenset(kind.word for kind in COUNTED)


@dataclass(frozen=True, slots=True)
class Item:
    """As the consent service sent it."""

    grant_id: str
    kind: Kind
    counter: int
    leaf_index: int | None
    sealed: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that was opened, and is logged unless ``leaf_index`` is None: then it is promised."""

    grant_id: str
    kind: Kind
    counter: int
    leaf_index: int | None
    event: dict[str, Any]
    salt: bytes

    @property
    def time(self) -> int:
        """NumericDate."""
        return int(datetime.fromisoformat(str(self.event["time"])).timestamp())

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.event.get("attributes", ()))

    def body(self) -> dict[str, Any]:
        return {"event": self.event, "salt": base64url.encode(self.salt)}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold; ``code`` names its sentence (``finding.CODE``)."""

    code: str
    grant_id: str
    detail: str


@dataclass(slots=True)
class Timeline:
    entries: list[Entry]
    findings: list[Finding]
    witnesses: list[str]
    """Party ids of other legal bodies that saw the log's checkpoint."""
    unreadable: int = 0
    """Events that only the wallet before a recovery could open."""


def read(errand: Errand, at: OpenAccount) -> Timeline:
    """The whole timeline of one account. Raises NetworkError, ConsentRefused."""
    states = give.resolve(errand, at)
    items = _fetch(at)
    log = PublicLog(errand.network, at.base, at.account.log_vkey)
    log.continue_from_seen(errand.store)
    numbers = Numbers.fetch(errand.network, at.base)
    mine = {grant.grant_id: grant for grant in consents.grants(errand.store) if grant.consent == at.account.consent}
    found = Timeline([], [], log.witnessed_by(_witnesses(errand, at)))
    openings: dict[str, AgreementPrivateKey] = {}
    for item in items:
        try:
            if item.grant_id not in openings:
                description = receipts.describe(at, item.grant_id)
                openings[item.grant_id] = receipts.opening_of(at, description, item.grant_id)
            entry = _opened(item, openings[item.grant_id])  # 1
            _check(errand, log, numbers, entry, mine.get(item.grant_id))  # 2, 3, 4
        except (ConsentError, ConsentRefused, EncodingError) as fault:
            if item.grant_id not in mine and at.account.state == account.RECOVERED:
                # Sealed to the wallet that was lost: what comes after the recovery is sealed to this one.
                found.unreadable += 1
            else:
                found.findings.append(Finding("false_event", item.grant_id, str(fault)))
            continue
        found.entries.append(entry)
    _check_whole(errand, at, found, items, states, mine)
    _keep(errand, found)
    return found


def _fetch(at: OpenAccount) -> list[Item]:
    """All pages. From the first event each time: so that one that was there cannot be gone unseen."""
    items: dict[tuple[str, Kind, int, int | None], Item] = {}
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
                item = _item(value)
                items.setdefault((item.grant_id, item.kind, item.counter, item.leaf_index), item)
            following = None if body["next"] is None else integer(body, "next", what=_WHAT)
        except EncodingError as fault:
            raise ConsentRefused("bad_answer", str(fault)) from None
        if following is None or not listed or following == after:
            return list(items.values())
        after = following
    raise ConsentRefused("bad_answer", f"{_WHAT}: more than {MAX_PAGES} pages")


def _item(value: Any) -> Item:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an item is an object")
    exact_members(value, what=_WHAT, required=frozenset({"grant_id", "kind", "counter", "leaf_index", "sealed"}))
    kind = _KINDS.get(text(value, "kind", what=_WHAT, max_length=16))
    if kind is None:
        raise EncodingError(f"{_WHAT}: an item of a kind that does not exist")
    return Item(
        identifier(value, "grant_id", what=_WHAT),
        kind,
        integer(value, "counter", what=_WHAT),
        None if value["leaf_index"] is None else integer(value, "leaf_index", what=_WHAT),
        text(value, "sealed", what=_WHAT, max_length=16_384),
    )


def _opened(item: Item, opening: AgreementPrivateKey) -> Entry:
    """Step 1."""
    opened = open_event(opening, item.sealed, leaf_id=item.grant_id, counter=item.counter)
    entry = Entry(item.grant_id, item.kind, item.counter, item.leaf_index, opened.event, opened.salt)
    if opened.event.get("kind") != item.kind.word or opened.event.get("grant_id") != item.grant_id:
        raise ConsentRefused("proof_refused", f"{_WHAT}: an event is not the one it is listed as")
    try:
        _ = entry.time
    except (ValueError, KeyError):
        raise ConsentRefused("proof_refused", f"{_WHAT}: an event without its time") from None
    return entry


def _check(errand: Errand, log: PublicLog, numbers: Numbers, entry: Entry, grant: HeldGrant | None) -> None:
    seen = _seen(errand, entry)
    # 2: what was proved once and has not changed is not proved again
    if entry.leaf_index is not None and (seen is None or seen.leaf_index != entry.leaf_index):
        leaf = log.leaf(entry.leaf_index)
        check_commitment(leaf, entry.event, entry.salt)
        fitting.check_leaf(leaf, entry.kind, entry.event, numbers, grant, at=entry.time)
    # 3
    if seen is not None and (seen.body != entry.body() or seen.leaf_index not in (None, entry.leaf_index)):
        raise ConsentRefused("proof_refused", f"{_WHAT}: event {entry.counter} is not the one that was shown before")
    # 4
    if grant is not None:
        fitting.check(errand.store, grant, entry.kind, entry.event, at=entry.time)


def _seen(errand: Errand, entry: Entry) -> SeenEvent | None:
    if entry.kind.word not in _COUNTED_WORDS:
        return None
    return next((one for one in consents.events(errand.store, entry.grant_id) if one.counter == entry.counter), None)


def _check_whole(
    errand: Errand,
    at: OpenAccount,
    found: Timeline,
    items: Sequence[Item],
    states: dict[str, Any],
    mine: dict[str, HeldGrant],
) -> None:
    listed = {item.grant_id for item in items}
    given = {grant_id for grant_id, grant in mine.items() if grant.state not in held.UNKNOWN}
    for grant_id in sorted(given | listed | states.keys()):
        counters = sorted(item.counter for item in items if item.grant_id == grant_id and item.kind in COUNTED)
        shown = [event.counter for event in consents.events(errand.store, grant_id)]
        last = max([int(states[grant_id]["counter"]) if grant_id in states else 0, *counters, *shown])
        if grant_id in given and last == 0:
            found.findings.append(Finding("timeline_gap", grant_id, "none of its events is there"))
        elif counters != list(range(1, last + 1)):
            missing = sorted(set(range(1, last + 1)) - set(counters))
            found.findings.append(Finding("timeline_gap", grant_id, f"missing or twice: {missing[:8]} of {last}"))
        listed_live = grant_id in states and states[grant_id]["state"] in ("given", "paused")
        if grant_id in mine and listed_live and fitting.is_taken(errand.store, mine[grant_id]):
            found.findings.append(Finding("withdrawal_undone", grant_id, "it is listed as given again"))
        if grant_id not in mine and at.account.state != account.RECOVERED:
            found.findings.append(Finding("foreign_grant", grant_id, "this wallet did not give it"))
    _check_promises(errand, at, found)


def _check_promises(errand: Errand, at: OpenAccount, found: Timeline) -> None:
    """A promised leaf is there in time, with nothing changed but its minute (WIRE C5)."""
    logged = {(one.grant_id, one.counter): one for one in found.entries if one.leaf_index is not None}
    for grant_id, counter, jws, due in consents.promises(errand.store):
        entry = logged.get((grant_id, counter))
        if entry is None:
            if errand.now > due:
                found.findings.append(Finding("broken_promise", grant_id, f"event {counter} is not logged in time"))
            continue
        promised = verify_promise(jws, at.account.log_vkey).leaf
        try:
            check_commitment(promised, entry.event, entry.salt)
        except ConsentError as fault:
            found.findings.append(Finding("broken_promise", grant_id, str(fault)))
            continue
        with errand.store.transaction():
            consents.drop_promise(errand.store, grant_id, counter)


def _witnesses(errand: Errand, at: OpenAccount) -> dict[str, str]:
    """Those of another legal body than the log's: one's own witness says nothing."""
    parties = errand.trust.parties()
    return {
        party.id: party.log_vkey
        for party in parties.registry.by_role("witness", now=parties.now)
        if party.log_vkey is not None and party.legal_entity != at.consent.legal_entity
    }


def _keep(errand: Errand, found: Timeline) -> None:
    with errand.store.transaction():
        for entry in found.entries:
            if entry.kind in COUNTED:
                consents.save_event(
                    errand.store,
                    SeenEvent(entry.grant_id, entry.counter, entry.kind.word, entry.leaf_index, entry.body()),
                )
