"""``wallet consent list|show|grant``: the data a resident lends."""

from pathlib import Path

from consent.grant.detail import AuthorizationDetail
from identity.codec import strict_json
from wallet_cli import errand
from wallet_cli.consents import (
    account,
    accredited,
    explain,
    fitting,
    give,
    held,
    in_force,
    link,
    mailboxes,
    receipts,
    recoveries,
    renewal,
    request,
)
from wallet_cli.consents.account import OpenAccount, Opening
from wallet_cli.consents.narrow import narrow, parse_wishes
from wallet_cli.consents.parties import CONSENT
from wallet_cli.consents.request import Asked
from wallet_cli.errand import Errand
from wallet_cli.errors import Declined, NetworkError, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.present.choose import Part
from wallet_cli.store import consents, history, key_file
from wallet_cli.store.consents import HeldGrant, HolderLink


def list_all(call: Invocation) -> None:
    with errand.begun(call) as work:
        if consents.accounts(work.store) and not held.refresh(work):
            work.warn("consent.not_fresh")
            # It may be that the account is somebody else's now.
            for at in account.all_held(work):
                recoveries.warn(work, at)
        grants = held.shown(work.store)
        if not grants:
            work.say("consent.empty")
        for grant in grants:
            _say_line(work, grant)
    call.terminal.result({"consents": [held.to_json(grant) for grant in grants]})


def show(call: Invocation) -> None:
    """With ``--receipt FILE`` also writes the receipt, for whoever asks for proof later."""
    with errand.begun(call) as work:
        held.find(work.store, call.arguments.id)
        fresh = held.refresh(work)
        if not fresh:
            work.warn("consent.not_fresh")
        grant = held.find(work.store, call.arguments.id)
        detail = _in_force(work, grant) if fresh else fitting.detail_of(grant)
        _say_line(work, grant)
        for line in explain.given_lines(work.texts, detail):
            work.terminal.say("    " + line)
        work.say("consent.receipt_kept" if grant.receipt is not None else "consent.receipt_missing")
        if call.arguments.receipt is not None:
            _write_receipt(work, grant, call.arguments.receipt)
    call.terminal.result({**held.to_json(grant), **explain.summary(detail), "receipt": grant.receipt})


def _in_force(work: Errand, grant: HeldGrant) -> AuthorizationDetail:
    """With what was taken back since; where nobody says that, as it was signed."""
    if grant.state not in ("given", "paused"):
        return fitting.detail_of(grant)
    at = account.held(work, work.trust.parties().named(grant.consent, CONSENT))
    try:
        return fitting.detail_of(grant) if at is None else in_force.detail(at, grant)
    except NetworkError:
        return fitting.detail_of(grant)


def grant(call: Invocation) -> None:
    arguments = call.arguments
    wishes = parse_wishes(arguments.drop, arguments.days, arguments.max_uses, arguments.resolution)
    with errand.begun(call) as work:
        asked = request.fetch(work.network, work.trust.parties(), arguments.uri)
        if arguments.refuse:
            _refuse(work, asked)
            return
        detail = narrow(asked.request.request.detail, wishes, asked.data.resolutions, now=work.now)
        explain.show_request(work.terminal, work.texts, asked, detail)
        explain.show_known(work.terminal, work.texts, _lent(work, asked), _shown(work, asked))
        renewal.show(work, asked)
        accredited.show(work, asked, detail)
        opening = account.held(work, asked.consent) or account.prepare(work, asked.consent)
        known = link.known(work, asked.holder)
        row = None if known is not None else link.row_of(work, asked.holder, asked.data)
        _say_first_time(work, asked, opening, row)
        work.say("consent.later")
        work.terminal.say()
        try:
            call.confirm(call.texts("consent.ask", service=explain.party_name(work.texts, asked.service)))
        except Declined:
            _record_no(work, asked, "declined")
            raise
        at = opening if isinstance(opening, OpenAccount) else account.open_account(work, opening)
        if at.account.state == account.RECOVERED:
            work.warn("consent.recovered")
        given = give.give(work, asked, detail, _link(work, asked, known, row), at)
        mailboxes.register_links(work, at)
        work.say("consent.given", id=given.grant_id)
        _keep_receipt(work, at, given)
    call.terminal.result({"grant_id": given.grant_id, "state": given.state})


def _say_line(work: Errand, grant: HeldGrant) -> None:
    work.say(
        "consent.line",
        id=grant.grant_id,
        service=held.service_name(work, grant),
        state=work.texts(f"state.{grant.state}"),
        date=work.texts.date(grant.given_at),
    )


def _say_first_time(work: Errand, asked: Asked, opening: Opening | OpenAccount, row: Part | None) -> None:
    """What else is shown, and to whom, the first time."""
    if isinstance(opening, Opening):
        work.say("consent.first_account", consent=explain.party_name(work.texts, asked.consent))
    if row is not None:
        what = ", ".join(work.texts.claim(name) for name in link.names(row))
        work.say("consent.first_link", holder=explain.party_name(work.texts, asked.holder), what=what)


def _link(work: Errand, asked: Asked, known: HolderLink | None, row: Part | None) -> HolderLink:
    if known is not None:
        return known
    assert row is not None
    return link.make(work, asked.holder, asked.data, row)


def _keep_receipt(work: Errand, at: OpenAccount, given: HeldGrant) -> None:
    try:
        kept = receipts.keep(work, at, given)
    except NetworkError:
        kept = False
    work.say("consent.receipt_kept" if kept else "consent.receipt_missing")


def _refuse(work: Errand, asked: Asked) -> None:
    """Told only where an account exists: saying no must not need one."""
    at = account.held(work, asked.consent)
    if at is not None:
        give.refuse(work, asked, at)
    _record_no(work, asked, "refused")
    work.say("consent.refused", service=explain.party_name(work.texts, asked.service))
    work.terminal.result({"grant_id": None, "state": "refused"})


def _record_no(work: Errand, asked: Asked, act: history.Act) -> None:
    with work.store.transaction():
        history.record(work.store, act, asked.service.id, asked.request.request.detail.attributes, now=work.now)


def _lent(work: Errand, asked: Asked) -> list[str]:
    """Attributes that this service may read already."""
    live = [one for one in held.live(work.store) if one.service == asked.service.id]
    return sorted({name for one in live for name in fitting.detail_of(one).attributes})


def _shown(work: Errand, asked: Asked) -> list[str]:
    """Claims that this service was shown before."""
    return sorted(
        {
            name
            for entry in history.entries(work.store)
            if entry.act == "presented" and entry.party == asked.service.id
            for name in entry.names
        }
    )


def _write_receipt(work: Errand, grant: HeldGrant, path: Path) -> None:
    if grant.receipt is None:
        raise WalletError("receipt_missing", "receipt: not here yet; the log has only promised it")
    key_file.write(path, strict_json.compact(grant.receipt) + b"\n")
    work.say("consent.receipt_written", path=path)
