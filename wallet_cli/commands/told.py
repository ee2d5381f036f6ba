"""``wallet consent notices|change``: what others want the resident to know, and the answer to a changed value."""

from wallet_cli import errand
from wallet_cli.consents import held, told
from wallet_cli.consents.parties import HOLDER
from wallet_cli.consents.told import Told
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents
from wallet_cli.terminal import plain


def notices(call: Invocation) -> None:
    with errand.begun(call) as work:
        found: list[Told] = []
        for link in consents.links(work.store):
            if link.handle is None:
                continue
            holder = work.trust.parties().named(link.holder, HOLDER)
            try:
                found += told.read(work, holder, link)
            except (ConsentRefused, NetworkError):
                work.warn("told.no_answer", holder=_name(work, link.holder))
        if not found:
            work.say("told.none")
        for one in sorted(found, key=lambda notice: notice.time):
            _say(work, one)
    call.terminal.result({"notices": [one.to_json() for one in found]})


def change(call: Invocation) -> None:
    """A value changed after the permission was given: may the new one be read?"""
    if not call.arguments.follow:
        raise UsageFault("usage", "change: say --follow, or do nothing: without an answer nothing is read")
    with errand.begun(call) as work:
        grant = held.find(work.store, call.arguments.id)
        link = consents.link(work.store, grant.holder)
        if link is None or link.handle is None:
            raise WalletError("unknown_id", "change: this wallet is not known at the data holder of this permission")
        work.say("told.follow", service=held.service_name(work, grant), holder=_name(work, grant.holder))
        call.confirm(call.texts("told.ask_follow"))
        told.follow(work, work.trust.parties().named(grant.holder, HOLDER), link, grant)
        work.say("told.followed")
    call.terminal.result({"grant_id": grant.grant_id, "answer": told.FOLLOW})


def _say(work: Errand, one: Told) -> None:
    holder, moment = _name(work, one.holder), work.texts.moment(one.time)
    if one.kind == told.LINK:
        work.alarm("told.link", holder=holder, moment=moment)
    else:
        work.say("told.value_changed", holder=holder, moment=moment, id=one.grant_id or "?")


def _name(work: Errand, party: str) -> str:
    return plain(work.texts.pick(work.trust.name_of(party)) or party)
