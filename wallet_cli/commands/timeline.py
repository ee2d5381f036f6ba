"""``wallet timeline``: what others did with the resident's data, and whether all of it is there and true."""

from typing import Any

from consent.ledger.leaf import Kind
from wallet_cli import errand
from wallet_cli.consents import account, journal, timeline
from wallet_cli.consents.journal import Release
from wallet_cli.consents.parties import HOLDER
from wallet_cli.consents.timeline import Entry, Finding, Timeline
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents
from wallet_cli.terminal import plain


def run(call: Invocation) -> None:
    """Says everything that does not hold, loudly, and then fails."""
    with errand.begun(call) as work:
        # The journals first: what was released by then was logged before, so the timeline has it.
        releases = _releases(work)
        timelines = [timeline.read(work, at) for at in account.all_held(work)]
        entries = [entry for one in timelines for entry in one.entries]
        findings = [finding for one in timelines for finding in one.findings]
        findings += journal.compare(releases, entries)
        if not entries:
            work.say("timeline.empty")
        for entry in sorted(entries, key=lambda one: (one.time, one.counter)):
            _say(work, entry, releases)
        if unreadable := sum(one.unreadable for one in timelines):
            work.terminal.say(work.texts.count("timeline.unreadable", unreadable))
        _say_witnesses(work, timelines)
        for finding in findings:
            work.warn(f"finding.{finding.code}", id=finding.grant_id)
            work.terminal.warn(f"  ({plain(finding.detail)})")
    if findings:
        raise ConsentRefused(_code(findings), "; ".join(f"{one.code} {one.grant_id}: {one.detail}" for one in findings))
    call.terminal.result(
        {
            "events": [_to_json(entry, releases) for entry in entries],
            "witnessed_by": sorted({party for one in timelines for party in one.witnesses}),
        }
    )


def _code(findings: list[Finding]) -> str:
    codes = {finding.code for finding in findings}
    return codes.pop() if len(codes) == 1 else "proof_refused"


def _releases(work: Errand) -> list[Release]:
    """Of every data holder that knows this wallet. One that cannot be asked is named: its silence proves nothing."""
    found: list[Release] = []
    for link in consents.links(work.store):
        if link.handle is None:
            continue
        holder = work.trust.parties().named(link.holder, HOLDER)
        try:
            found += journal.read(work, holder, link)
        except (ConsentRefused, NetworkError) as fault:
            if fault.code == "proof_refused":
                raise
            work.warn("timeline.no_journal", holder=_name(work, link.holder))
    return found


def _say(work: Errand, entry: Entry, releases: list[Release]) -> None:
    words = work.texts
    line = words(
        "timeline.line",
        moment=words.moment(entry.time),
        service=_name(work, str(entry.event.get("service", ""))),
        act=words(f"kind.{entry.kind.word}"),
    )
    if entry.attributes:
        line += ": " + ", ".join(words.label("attribute", name) for name in entry.attributes)
    work.terminal.say(line)
    if entry.kind is Kind.USE and _released(entry, releases) is False:
        work.terminal.say("    " + words("timeline.nothing_released"))
    if entry.leaf_index is None:
        work.terminal.say("    " + words("timeline.promised"))


def _say_witnesses(work: Errand, timelines: list[Timeline]) -> None:
    names = sorted({_name(work, party) for one in timelines for party in one.witnesses})
    if timelines:
        work.say(
            "timeline.witnessed" if names else "timeline.not_witnessed", **({"who": ", ".join(names)} if names else {})
        )


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)


def _released(entry: Entry, releases: list[Release]) -> bool | None:
    """None where no journal speaks of this use."""
    found = [one for one in releases if (one.grant_id, one.counter) == (entry.grant_id, entry.counter)]
    return bool(found[0].attributes) if found else None


def _to_json(entry: Entry, releases: list[Release]) -> dict[str, Any]:
    body = {
        "grant_id": entry.grant_id,
        "kind": entry.kind.word,
        "counter": entry.counter,
        "time": entry.event["time"],
        "service": entry.event.get("service"),
        "attributes": list(entry.attributes),
        "leaf_index": entry.leaf_index,
    }
    return body | ({"released": _released(entry, releases)} if entry.kind is Kind.USE else {})
