"""``wallet timeline``: what others did with the resident's data, and whether all of it is there and true."""

from typing import Any

from consent.ledger.leaf import Kind
from identity.codec import strict_json
from wallet_cli import errand
from wallet_cli.consents import account, journal, labels, recoveries, timeline, usage
from wallet_cli.consents.entry import Entry, Finding
from wallet_cli.consents.journal import Journals, Release
from wallet_cli.consents.parties import HOLDER
from wallet_cli.consents.timeline import Timeline
from wallet_cli.consents.usage import Total, Usage
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.invocation import Invocation
from wallet_cli.store import acts, consents, key_file, watch
from wallet_cli.store.watch import Evidence
from wallet_cli.terminal import plain
from wallet_cli.texts import Texts

MANDATE = "mandate"
"""``by`` of what somebody did for the resident."""


def run(call: Invocation) -> None:
    """Says everything that does not hold, loudly, and then fails."""
    with errand.begun(call) as work:
        # The journals first: what was released by then was logged before, so the timeline has it.
        journals = _journals(work)
        for at in account.all_held(work):
            recoveries.warn(work, at)
        timelines = [timeline.read(work, at) for at in account.all_held(work)]
        erased, laws = timeline.of_erased(work.store)
        entries = [entry for one in timelines for entry in one.entries] + erased
        grants = {grant.grant_id: grant for grant in consents.grants(work.store)}
        laws |= {leaf: law for one in timelines for leaf, law in one.laws.items()}
        used = usage.usages(entries, grants, journals.releases, laws)
        findings = [finding for one in timelines for finding in one.findings]
        holders = {grant_id: grant.holder for grant_id, grant in grants.items()}
        findings += journal.compare(journals, entries, holders, acts.erased(work.store))
        _show(work, entries, {(one.entry.grant_id, one.entry.counter, one.entry.leaf_index): one for one in used})
        totals = usage.totals(used)
        _say_totals(work, totals)
        _say_what_is_missing(work, timelines)
        for finding in findings:
            _say_finding(work, finding)
        _keep_evidence(work, timelines, findings)
        if call.arguments.evidence is not None:
            key_file.write(call.arguments.evidence, strict_json.compact(watch.evidence_json(work.store)) + b"\n")
            work.say("timeline.evidence_written", path=call.arguments.evidence)
        grave = [finding for finding in findings if finding.grave]
        result = {
            "usage": [one.to_json(lambda party: _name(work, party)) for one in used],
            "totals": [one.to_json() for one in totals],
            "events": [_to_json(entry, journals) for entry in entries],
            "remarks": [_finding_json(finding) for finding in findings if not finding.grave],
            "witnessed_by": sorted({party for one in timelines for party in one.witnesses}),
        }
    if grave:
        raise ConsentRefused(_code(grave), "; ".join(f"{one.code} {one.grant_id}: {one.detail}" for one in grave))
    call.terminal.result(result)


def _code(findings: list[Finding]) -> str:
    codes = {finding.code for finding in findings}
    return codes.pop() if len(codes) == 1 else "proof_refused"


def _journals(work: Errand) -> Journals:
    """Of every data holder that knows this wallet. One that cannot be asked is named: its silence proves nothing."""
    found: list[Release] = []
    holders: set[str] = set()
    for link in consents.links(work.store):
        if link.handle is None:
            continue
        holder = work.trust.parties().named(link.holder, HOLDER)
        try:
            found += journal.read(work, holder, link)
            holders.add(holder.id)
        except (ConsentRefused, NetworkError) as fault:
            if fault.code == "proof_refused":
                raise
            work.warn("timeline.no_journal", holder=_name(work, link.holder))
    return Journals(tuple(found), frozenset(holders), work.now)


def _show(work: Errand, entries: list[Entry], used: dict[tuple[str, int, int | None], Usage]) -> None:
    if not entries:
        work.say("timeline.empty")
    for entry in sorted(entries, key=lambda one: one.order):
        _say(work, entry, used.get((entry.grant_id, entry.counter, entry.leaf_index)))


def _say(work: Errand, entry: Entry, one: Usage | None) -> None:
    words = work.texts
    act = "notice.officers" if one is not None and one.basis == "officers" else f"kind.{entry.kind.word}"
    line = timeline_line(words, words.moment(entry.time), _name(work, entry.service), words(act))
    if entry.attributes:
        line += ": " + ", ".join(labels.attribute(words, name) for name in entry.attributes)
    work.terminal.say(line)
    for detail in [] if one is None else _usage_lines(work, one):
        work.terminal.say("    " + detail)
    if entry.event.get("by") == MANDATE:
        work.terminal.say("    " + words("timeline.by_mandate"))
    if entry.late_seconds is not None:
        work.terminal.alarm("    " + words("timeline.late", duration=_about(work, entry.late_seconds)))
    if entry.leaf_index is None:
        work.terminal.say("    " + words("timeline.promised"))


def timeline_line(words: Texts, moment: str, service: str, act: str) -> str:
    """An objection, and an opening by officers, are no service's: such a line names none."""
    if service:
        return words("timeline.line", moment=moment, service=service, act=act)
    return words("timeline.line_own", moment=moment, act=act)


def _usage_lines(work: Errand, one: Usage) -> list[str]:
    """Why, on which basis, how much."""
    words, lines = work.texts, []
    if one.procedure is not None:
        lines.append(words("usage.why", procedure=labels.procedure(words, one.procedure)))
    elif one.purpose is not None:
        lines.append(words("usage.why", procedure=labels.term(words, one.purpose)))
    if one.basis == "consent":
        lines.append(words("usage.by_consent", id=one.reference))
    elif one.basis == "law":
        law = words.pick(one.law)
        lines.append(words("usage.by_law", law=plain(law or one.reference)))
    if one.number is not None and one.limit is not None:
        lines.append(words("usage.number_of", n=one.number, of=one.limit))
    elif one.number is not None:
        lines.append(words("usage.number", n=one.number))
    if one.released is False:
        lines.append(words("timeline.nothing_released"))
    return lines


def _about(work: Errand, seconds: int) -> str:
    """Rounded down to a unit that a person counts in."""
    for unit in (86_400, 3_600):
        if seconds >= 2 * unit:
            return work.texts.duration(seconds // unit * unit)
    return work.texts.duration(seconds // 60 * 60)


def _say_totals(work: Errand, totals: list[Total]) -> None:
    if totals:
        work.say("usage.totals")
    for one in totals:
        year, month = one.month.split("-")
        work.say(
            "usage.total",
            month=work.texts(f"month.{int(month)}"),
            year=year,
            service=_name(work, one.service) or work.texts("usage.officers"),
            consent=one.by_consent,
            law=one.by_law,
            refused=one.refused,
        )


def _say_what_is_missing(work: Errand, timelines: list[Timeline]) -> None:
    if unreadable := sum(one.unreadable for one in timelines):
        work.terminal.say(work.texts.count("timeline.unreadable", unreadable))
    if too_old := sum(one.too_old for one in timelines):
        work.terminal.say(work.texts.count("timeline.too_old", too_old))
    if any(one.bases_missing for one in timelines):
        work.warn("timeline.no_bases")
    names = sorted({_name(work, party) for one in timelines for party in one.witnesses})
    if timelines:
        work.say(
            "timeline.witnessed" if names else "timeline.not_witnessed", **({"who": ", ".join(names)} if names else {})
        )


def _say_finding(work: Errand, finding: Finding) -> None:
    text = work.texts(f"finding.{finding.code}", id=finding.grant_id) + f"\n  ({plain(finding.detail)})"
    if finding.grave:
        work.terminal.alarm(text)
    else:
        work.terminal.warn(text)


def _keep_evidence(work: Errand, timelines: list[Timeline], findings: list[Finding]) -> None:
    """In the store, beside what proves it: the promise, and what the log said at the time."""
    promises = {grant_id: compact for grant_id, _, compact, _ in consents.promises(work.store)}
    checkpoints = [one.checkpoint for one in timelines]
    with work.store.transaction():
        for one in findings:
            if not one.grave:
                continue
            body: dict[str, Any] = {"checkpoints": checkpoints}
            if one.code == "broken_promise" and one.grant_id in promises:
                body["promise"] = promises[one.grant_id]
            watch.keep_evidence(work.store, Evidence(one.code, one.grant_id, one.detail, work.now, body))


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)


def _finding_json(finding: Finding) -> dict[str, str]:
    return {"code": finding.code, "id": finding.grant_id, "detail": finding.detail}


def _to_json(entry: Entry, journals: Journals) -> dict[str, Any]:
    body = {
        "grant_id": entry.grant_id,
        "kind": entry.kind.word,
        "counter": entry.counter,
        "time": entry.event["time"],
        "service": entry.event.get("service"),
        "attributes": list(entry.attributes),
        "leaf_index": entry.leaf_index,
    }
    if entry.kind is not Kind.USE:
        return body
    of_it = [one for one in journals.releases if (one.grant_id, one.counter) == (entry.grant_id, entry.counter)]
    return body | {"released": bool(of_it[0].attributes) if of_it else None}
