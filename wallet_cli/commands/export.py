"""``wallet consent export``: all that is held about the resident, in two files: for people, and for programmes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consent.errors import ConsentError, LogError
from consent.grant.detail import MAX_NOT_AFTER, AuthorizationDetail
from consent.ledger.event import parse_time
from identity.codec import strict_json
from wallet_cli import errand
from wallet_cli.commands.timeline import timeline_line
from wallet_cli.consents import account, explain, exporting, labels
from wallet_cli.consents.exporting import Export
from wallet_cli.errand import Errand
from wallet_cli.errors import WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents, history, key_file
from wallet_cli.terminal import plain
from wallet_cli.texts import Texts

TYPE, SCHEMA_VERSION = "AtorgaExport", "atorga-export/1"
HEADINGS = {
    "oppositions": "export.oppositions",
    "deletions": "export.deletions",
    "mailboxes": "export.mailboxes",
}
DATES = ("due", "since")
READABLE = ".txt"
"""After the name of the file for programmes."""


def run(call: Invocation) -> None:
    path: Path = call.arguments.to
    readable = path.with_name(path.name + READABLE)
    with errand.begun(call) as work:
        accounts = account.all_held(work)
        if not accounts:
            raise WalletError("no_account", "account: this wallet has none; the first permission opens one")
        found = [exporting.read(work, at) for at in accounts]
        receipts = [grant.receipt for grant in consents.grants(work.store) if grant.receipt is not None]
        value = {
            "type": TYPE,
            "schema_version": SCHEMA_VERSION,
            "made": work.now,
            "accounts": [one.to_json() for one in found],
            "receipts": receipts,
        }
        key_file.write(path, strict_json.compact(value) + b"\n")
        lines = [line for one in found for line in _lines(work, one)]
        key_file.write(readable, ("\n".join(lines) + "\n").encode("utf-8"))
        with work.store.transaction():
            for one in found:
                history.record(work.store, "exported", one.consent, now=work.now)
        work.say("export.written", readable=readable, path=path)
        work.say("export.careful")
        still_sealed = sum(one.still_sealed for one in found)
        if still_sealed:
            work.terminal.say(work.texts.count("export.sealed", still_sealed))
    call.terminal.result({"file": str(path), "readable": str(readable), "still_sealed": still_sealed})


def _lines(work: Errand, found: Export) -> list[str]:
    words = work.texts
    lines = [words("export.head", consent=_name(work, found.consent), moment=words.moment(work.now)), ""]
    lines.append(words("export.grants"))
    for grant in found.lists["grants"]:
        lines += _grant_lines(work, grant) if isinstance(grant, dict) else []
    services = {one.get("grant_id"): one.get("service") for one in found.lists["grants"] if isinstance(one, dict)}
    lines += ["", words("export.events")]
    lines += [_event_line(work, item) for item in found.lists["timeline"] if isinstance(item, dict)]
    for name, heading in HEADINGS.items():
        lines += ["", words(heading)]
        lines += ["  - " + _listed_line(work, one, services) for one in found.lists[name]] or [
            "  " + words("export.nothing")
        ]
    return [*lines, ""]


def _grant_lines(work: Errand, grant: dict[str, Any]) -> list[str]:
    words = work.texts
    service, state = str(grant.get("service", "")), str(grant.get("state"))
    known = words.get(f"state.{state}") or plain(state)
    lines = [
        "  " + words("export.grant", id=plain(str(grant.get("grant_id"))), service=_name(work, service), state=known)
    ]
    try:
        detail = AuthorizationDetail.parse(grant.get("detail"), what="export")
    except ConsentError:
        return lines
    return lines + ["      " + line for line in explain.given_lines(words, detail)]


def _event_line(work: Errand, item: dict[str, Any]) -> str:
    words, event = work.texts, item.get("event")
    act = words.get(f"kind.{item.get('kind')}") or plain(str(item.get("kind")))
    if not isinstance(event, dict):
        return "  " + words("export.event_sealed", act=act)
    names = event.get("attributes")
    listed = ", ".join(labels.attribute(words, str(name)) for name in names) if isinstance(names, list) else ""
    service = _name(work, str(event.get("service", "")))
    line = timeline_line(words, _moment(words, event.get("time")), service, act)
    return "  " + line + (f": {listed}" if listed else "")


def _moment(words: Texts, value: object) -> str:
    """In the reader's own words; what is no time as it came."""
    try:
        return words.moment(parse_time(value) // 1000)
    except LogError:
        return plain(str(value))


def _date(words: Texts, value: object) -> str:
    known = isinstance(value, int) and 0 <= value <= MAX_NOT_AFTER
    return words.date(int(str(value))) if known else plain(str(value))


def _listed_line(work: Errand, value: Any, services: Mapping[Any, Any]) -> str:
    if not isinstance(value, dict):
        return plain(str(value))
    value = {name: _date(work.texts, one) if name in DATES else one for name, one in value.items()}
    if value.get("state") in ("due", "overdue"):
        grant_id = str(value.get("grant_id"))
        service = _name(work, str(services.get(grant_id) or grant_id))
        return work.texts(f"deletion.{value['state']}", service=service, id=plain(grant_id), date=value.get("due"))
    shown = {name: one for name, one in value.items() if name != "receipt"}
    return plain(", ".join(f"{name}: {_name(work, str(one))}" for name, one in shown.items() if one is not None))


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)
