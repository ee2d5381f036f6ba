"""``wallet consent oppose|oppositions``: objecting to accesses that rest on law."""

from typing import Any

from wallet_cli import errand
from wallet_cli.consents import account, labels, opposing
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.parties import HOLDER, SERVICE
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import oppositions
from wallet_cli.store.oppositions import Opposition
from wallet_cli.terminal import plain


def oppose(call: Invocation) -> None:
    """No question is asked: it takes nothing away that cannot be given back by one command."""
    arguments = call.arguments
    if arguments.end is None and arguments.service is None:
        raise UsageFault("usage", "oppose: name a service with --service, or an objection to end with --end")
    if arguments.end is not None:
        _end(call)
        return
    with errand.begun(call) as work:
        service = opposing.party_of(work, arguments.service, SERVICE)
        holder = None if arguments.holder is None else opposing.party_of(work, arguments.holder, HOLDER)
        purpose = None if arguments.purpose is None else opposing.purpose_of(work, arguments.purpose)
        made = [opposing.oppose(work, at, service, purpose, holder) for at in _accounts(work)]
        for one in made:
            work.say("opposition.made", id=one.id)
            _say(work, one)
        work.say("opposition.limits")
    call.terminal.result({"oppositions": [_to_json(one) for one in made]})


def list_all(call: Invocation) -> None:
    with errand.begun(call) as work:
        there: list[Opposition] = []
        gone: list[Opposition] = []
        for at in _accounts(work):
            listed = opposing.listed(work, at)
            there += listed
            gone += opposing.missing(work, at, listed)
        if not there:
            work.say("opposition.none")
        for one in there:
            _say(work, one)
        for one in gone:
            work.alarm("opposition.gone", id=one.id)
            _say(work, one)
    if gone:
        raise ConsentRefused("opposition_gone", f"opposition: {len(gone)} of yours are not there any more")
    call.terminal.result({"oppositions": [_to_json(one) for one in there]})


def _end(call: Invocation) -> None:
    with errand.begun(call) as work:
        at, one = _find(work, call.arguments.end)
        opposing.end(work, at, one)
        work.say("opposition.ended", id=one.id)
    call.terminal.result({"opposition_id": one.id, "state": "ended"})


def _find(work: Errand, prefix: str) -> tuple[OpenAccount, Opposition]:
    """Of this wallet, else of those that an earlier wallet made."""
    accounts = {at.account.consent: at for at in _accounts(work)}
    found = [one for one in oppositions.find(work.store, prefix) if one.ended is None]
    if not found:
        found = [one for at in accounts.values() for one in opposing.listed(work, at) if one.id.startswith(prefix)]
    if len(found) != 1 or found[0].consent not in accounts:
        code = "ambiguous_id" if len(found) > 1 else "unknown_id"
        raise WalletError(code, f"opposition: {len(found)} begin with {prefix[:32]!r}, expected one")
    return accounts[found[0].consent], found[0]


def _accounts(work: Errand) -> list[OpenAccount]:
    found = account.all_held(work)
    if not found:
        raise WalletError("no_account", "account: this wallet has none; the first permission opens one")
    return found


def _say(work: Errand, one: Opposition) -> None:
    words = work.texts
    work.say(
        "opposition.line",
        id=one.id,
        service=_name(work, one.service),
        purpose=words("opposition.every_purpose") if one.purpose is None else labels.term(words, one.purpose),
        holder=words("opposition.everywhere") if one.holder is None else _name(work, one.holder),
        date=words.date(one.since),
    )


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)


def _to_json(one: Opposition) -> dict[str, Any]:
    return {"opposition_id": one.id, **one.body(), "since": one.since}
