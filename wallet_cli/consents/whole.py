"""Whether all of it is there: what the single events cannot show.

1. Counters of each grant run from 1 without a gap up to the consent service's own number, and up to
   what was shown before: a missing number is an event that is being hidden.
2. No grant is there that this wallet did not give; none that it took back is in force again; none
   was erased that it did not have erased.
3. The events of a grant follow each other as they may (`wallet_cli.consents.sequence`).
4. What was promised to the log is there in time, with nothing changed but its minute (WIRE C5); and
   nothing waits longer for the log than a promise may.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from consent.errors import ConsentError
from consent.ledger.event import check_commitment
from identity.envelope import jws
from wallet_cli.consents import account, fitting, held, sequence
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import Entry, Finding, Item
from wallet_cli.consents.public_log import promise_under
from wallet_cli.errand import Errand
from wallet_cli.store import acts, consents

PROMISE_SECONDS = 3_600
SLACK_SECONDS = 180
"""DESIGN section 8: an act in bulk is logged within 60 minutes; the rest is for clocks and the log's own pace."""


def check(
    errand: Errand,
    at: OpenAccount,
    entries: Sequence[Entry],
    findings: list[Finding],
    items: Sequence[Item],
    states: Mapping[str, Any],
) -> None:
    """Adds to ``findings``. ``states``: what the consent service says of each grant now."""
    store = errand.store
    mine = {grant.grant_id: grant for grant in consents.grants(store) if grant.consent == at.account.consent}
    given = {grant_id for grant_id, grant in mine.items() if grant.state not in held.UNKNOWN}
    counters: dict[str, list[int]] = {item.grant_id: [] for item in items}
    for item in items:
        if item.counted:
            counters[item.grant_id].append(item.counter)
    shown = {grant_id: [one.counter for one in events] for grant_id, events in consents.all_events(store).items()}
    erased = acts.erased(store)
    for grant_id in sorted((given | counters.keys() | states.keys()) - erased):
        said = states.get(grant_id)
        # 1
        there = sorted(counters.get(grant_id, []))
        last = max([0 if said is None else int(said["counter"]), *there, *shown.get(grant_id, [])])
        if grant_id in given and last == 0:
            findings.append(Finding("timeline_gap", grant_id, "none of its events is there"))
        elif there != list(range(1, last + 1)):
            missing = sorted(set(range(1, last + 1)) - set(there))
            findings.append(Finding("timeline_gap", grant_id, f"missing or twice: {missing[:8]} of {last}"))
        # 2
        if said is None:
            continue
        if grant_id in mine and said["state"] in ("given", "paused") and fitting.is_taken(store, mine[grant_id]):
            findings.append(Finding("withdrawal_undone", grant_id, "it is listed as given again"))
        if grant_id in mine and said["state"] == "erased":
            findings.append(Finding("foreign_erasure", grant_id, "this wallet did not have it erased"))
        if grant_id not in mine and at.account.state != account.RECOVERED:
            findings.append(Finding("foreign_grant", grant_id, "this wallet did not give it"))
    _check_sequences(errand, at, entries, findings, mine.keys() - erased)
    elsewhere = {grant.grant_id for grant in consents.grants(store)} - mine.keys()
    _check_promises(errand, at, entries, findings, elsewhere | erased)


def _check_sequences(
    errand: Errand, at: OpenAccount, entries: Sequence[Entry], findings: list[Finding], mine: set[str]
) -> None:
    """Step 3."""
    freezes = acts.freezes(errand.store, at.account.consent)
    of_grant: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.counter and entry.grant_id in mine:
            of_grant.setdefault(entry.grant_id, []).append(entry)
    for grant_id, own in sorted(of_grant.items()):
        signed = frozenset(jws.digest(one.jws) for one in acts.acts(errand.store, grant_id))
        findings += sequence.check(sorted(own, key=lambda one: one.counter), signed, freezes)


def _check_promises(
    errand: Errand, at: OpenAccount, entries: Sequence[Entry], findings: list[Finding], passed_over: set[str]
) -> None:
    """Step 4."""
    logged = {(one.grant_id, one.counter): one for one in entries if one.leaf_index is not None}
    promised = {(grant_id, counter) for grant_id, counter, _, _ in consents.promises(errand.store)}
    for grant_id, counter, compact, due in consents.promises(errand.store):
        if grant_id in passed_over:
            continue
        entry = logged.get((grant_id, counter))
        if entry is None:
            if errand.now > due:
                findings.append(Finding("broken_promise", grant_id, f"event {counter} is not logged in time"))
            continue
        try:
            check_commitment(promise_under(compact, at.account.log_vkey).leaf, entry.event, entry.salt)
        except ConsentError as fault:
            findings.append(Finding("broken_promise", grant_id, str(fault)))
            continue
        with errand.store.transaction():
            consents.drop_promise(errand.store, grant_id, counter)
    for entry in entries:
        overdue = errand.now > entry.time + PROMISE_SECONDS + SLACK_SECONDS
        if entry.leaf_index is None and overdue and (entry.grant_id, entry.counter) not in promised:
            detail = f"event {entry.counter} waits for the log too long"
            findings.append(Finding("broken_promise", entry.grant_id, detail))
