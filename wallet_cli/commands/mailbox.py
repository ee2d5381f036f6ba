"""``wallet consent requests|mailbox``: what waits for an answer, and where services may leave it."""

from typing import Any

from wallet_cli import errand
from wallet_cli.consents import account, explain, labels, mailboxes, opposing
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.parties import SERVICE
from wallet_cli.consents.request import Asked
from wallet_cli.errand import Errand
from wallet_cli.errors import UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents
from wallet_cli.terminal import plain


def requests(call: Invocation) -> None:
    with errand.begun(call) as work:
        parties = work.trust.parties()
        waiting = [one for at in _accounts(work) for one in mailboxes.waiting(work, at, parties)]
        if not waiting:
            work.say("requests.none")
        for name, link, left, asked in waiting:
            _say(work, name, link, left, asked)
    call.terminal.result({"requests": [_to_json(name, link, left, asked) for name, link, left, asked in waiting]})


def mailbox(call: Invocation) -> None:
    """One for a service, to be told to it; or its end."""
    arguments = call.arguments
    with errand.begun(call) as work:
        if arguments.close is not None:
            result = _close(work, arguments.close)
        elif arguments.service is not None:
            at, service = _accounts(work)[0], opposing.party_of(work, arguments.service, SERVICE)
            opened = mailboxes.open_for(work, at, service)
            work.say("mailbox.opened", service=_name(work, service), mailbox=opened)
            result = {"mailbox": opened, "service": service}
        else:
            result = _list(work)
    call.terminal.result(result)


def _close(work: Errand, prefix: str) -> dict[str, Any]:
    accounts = {at.account.consent: at for at in _accounts(work)}
    found = [one for one in consents.mailboxes(work.store) if one[0].startswith(prefix)]
    if len(found) != 1:
        code = "ambiguous_id" if found else "unknown_id"
        raise WalletError(code, f"mailbox: {len(found)} begin with {prefix[:32]!r}, expected one")
    name, consent, service = found[0]
    if consent not in accounts:
        raise UsageFault("usage", "mailbox: this wallet has no account at its consent service any more")
    mailboxes.close(work, accounts[consent], name, service)
    work.say("mailbox.closed", service=_name(work, service))
    return {"mailbox": name, "state": "closed"}


def _list(work: Errand) -> dict[str, Any]:
    found = consents.mailboxes(work.store)
    if not found:
        work.say("mailbox.none")
    for name, _, service in found:
        work.say("mailbox.line", mailbox=name, service=_name(work, service))
    return {"mailboxes": [{"mailbox": name, "service": service} for name, _, service in found]}


def _say(work: Errand, name: str, link: str, left: int, asked: Asked | None) -> None:
    if asked is None:
        work.alarm("requests.refused", id=plain(name))
        return
    detail = asked.request.request.detail
    work.say(
        "requests.line",
        service=explain.party_name(work.texts, asked.service),
        procedure=labels.procedure(work.texts, detail.procedure),
        what=", ".join(labels.attribute(work.texts, one) for one in detail.attributes),
        moment=work.texts.moment(work.now + left),
    )
    work.say("requests.answer", link=plain(link))


def _to_json(name: str, link: str, left: int, asked: Asked | None) -> dict[str, Any]:
    return {
        "request_id": name,
        "link": link,
        "expires_in": left,
        "acceptable": asked is not None,
        "service": None if asked is None else asked.service.id,
        "procedure": None if asked is None else asked.request.request.detail.procedure,
    }


def _accounts(work: Errand) -> list[OpenAccount]:
    found = account.all_held(work)
    if not found:
        raise WalletError("no_account", "account: this wallet has none; the first permission opens one")
    return found


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)
