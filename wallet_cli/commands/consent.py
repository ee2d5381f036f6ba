"""``wallet consent list|show|grant|withdraw``: the data a resident lends, and takes back."""

from pathlib import Path

from identity.codec import strict_json
from wallet_cli import errand
from wallet_cli.consents import account, explain, fitting, give, held, link, receipts, request
from wallet_cli.consents import withdraw as withdrawal
from wallet_cli.consents.account import OpenAccount, Opening
from wallet_cli.consents.narrow import narrow, parse_wishes
from wallet_cli.consents.request import Asked
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, Declined, NetworkError, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.present.choose import Part
from wallet_cli.store import consents, history, key_file
from wallet_cli.store.consents import HeldGrant, HolderLink
from wallet_cli.terminal import plain


def list_all(call: Invocation) -> None:
    with errand.begun(call) as work:
        if consents.accounts(work.store) and not held.refresh(work):
            work.warn("consent.not_fresh")
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
        if not held.refresh(work):
            work.warn("consent.not_fresh")
        grant = held.find(work.store, call.arguments.id)
        _say_line(work, grant)
        for line in explain.given_lines(work.texts, fitting.detail_of(grant)):
            work.terminal.say("    " + line)
        work.say("consent.receipt_kept" if grant.receipt is not None else "consent.receipt_missing")
        if call.arguments.receipt is not None:
            _write_receipt(work, grant, call.arguments.receipt)
    call.terminal.result({**held.to_json(grant), "receipt": grant.receipt})


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
        work.say("consent.given", id=given.grant_id)
        _keep_receipt(work, at, given)
    call.terminal.result({"grant_id": given.grant_id, "state": given.state})


def withdraw(call: Invocation) -> None:
    """No question is asked: taking back must not be harder than giving, and what is lost can be given again."""
    arguments = call.arguments
    if arguments.attribute and not arguments.id:
        raise UsageFault("usage", "--attribute: goes with one permission")
    with errand.begun(call) as work:
        parties = work.trust.doors()
        grants = _meant(work)
        attributes = _attributes(grants, arguments.attribute)
        prepared = [(one, *withdrawal.prepare(call.world, work.store, parties, one, attributes)) for one in grants]
        outcomes = [
            withdrawal.deliver(work.network, work.store, jti, one.grant_id, signed) for one, jti, signed in prepared
        ]
    for outcome in outcomes:
        _say_outcome(call, outcome)
    untold = [outcome for outcome in outcomes if outcome.state == withdrawal.MISSING]
    if untold:
        raise ConsentRefused("door_missing", f"withdrawal: {len(untold)} of {len(outcomes)} reached no door yet")
    told = [outcome.to_json() for outcome in outcomes]
    call.terminal.result(told[0] if arguments.id else {"withdrawals": told})


def _say_line(work: Errand, grant: HeldGrant) -> None:
    names = work.trust.name_of(grant.service)
    work.say(
        "consent.line",
        id=grant.grant_id,
        service=plain(work.texts.pick(names) or grant.service),
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


def _meant(work: Errand) -> list[HeldGrant]:
    arguments = work.call.arguments
    if arguments.id:
        return [held.find(work.store, arguments.id)]
    found = held.not_taken_back(work.store, now=work.now) if arguments.all else held.of_service(work, arguments.service)
    if not found:
        raise WalletError("unknown_id", "consent: there is no permission to take back")
    return found


def _attributes(grants: list[HeldGrant], named: list[str] | None) -> tuple[str, ...] | None:
    if not named:
        return None
    given = fitting.detail_of(grants[0]).attributes
    if unknown := [name for name in named if name not in given]:
        raise WalletError("unknown_id", f"consent: {unknown[0][:64]!r} is not given; given: {', '.join(given)}")
    return tuple(name for name in given if name in named)


def _say_outcome(call: Invocation, outcome: withdrawal.Outcome) -> None:
    call.terminal.say(call.texts(f"withdraw.{outcome.state}", id=outcome.grant_id))
    for door, answer in outcome.doors.items():
        call.terminal.say("    " + call.texts("withdraw.door", door=call.texts(f"door.{door}"),
                                              answer=call.texts(f"door.answered.{answer}")))  # fmt: skip
    if not outcome.complete:
        call.terminal.warn(call.texts("withdraw.again"))
    if outcome.fault is not None:
        call.terminal.warn(call.texts("error.proof_refused") + f"\n  ({plain(outcome.fault)})")


def _write_receipt(work: Errand, grant: HeldGrant, path: Path) -> None:
    if grant.receipt is None:
        raise WalletError("receipt_missing", "receipt: not here yet; the log has only promised it")
    key_file.write(path, strict_json.compact(grant.receipt) + b"\n")
    work.say("consent.receipt_written", path=path)
