"""``wallet consent withdraw``: taking back, one permission, a part of it, a service's, or all."""

from wallet_cli import errand
from wallet_cli.consents import account, fitting, foreign, give, held
from wallet_cli.consents import withdraw as withdrawal
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.foreign import ForeignGrant
from wallet_cli.consents.withdraw import Outcome
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant
from wallet_cli.terminal import plain

Elsewhere = list[tuple[OpenAccount, ForeignGrant]]
"""Permissions that were given with a wallet that was lost."""


def run(call: Invocation) -> None:
    """No question is asked: taking back must not be harder than giving, and what is lost can be given again."""
    arguments = call.arguments
    if arguments.attribute and not arguments.id:
        raise UsageFault("usage", "--attribute: goes with one permission")
    with errand.begun(call) as work:
        grants, elsewhere = _meant(work)
        parties = work.trust.doors() if grants else None
        attributes = _attributes(grants, elsewhere, arguments.attribute)
        prepared = [
            (one, *withdrawal.prepare(call.world, work.store, parties, one, attributes))
            for one in grants
            if parties is not None
        ]
        outcomes = withdrawal.deliver_all(
            work.network, work.store, prepared, progress=lambda done, of: work.progress("progress.withdraw", done, of)
        )
        outcomes += [_by_account(work, at, one, attributes) for at, one in elsewhere]
    for outcome in outcomes:
        _say_outcome(call, outcome)
    call.terminal.say(call.texts("withdraw.limits"))
    untold = [outcome for outcome in outcomes if outcome.state == withdrawal.MISSING]
    if untold:
        raise ConsentRefused("door_missing", f"withdrawal: {len(untold)} of {len(outcomes)} reached no door yet")
    told = [outcome.to_json() for outcome in outcomes]
    call.terminal.result(told[0] if arguments.id else {"withdrawals": told})


def _meant(work: Errand) -> tuple[list[HeldGrant], Elsewhere]:
    arguments = work.call.arguments
    if arguments.id:
        if consents.find_grants(work.store, arguments.id):
            return [held.find(work.store, arguments.id)], []
        found = [one for one in _elsewhere(work) if one[1].grant_id.startswith(arguments.id)]
        if len(found) > 1:
            raise WalletError("ambiguous_id", f"consent: {len(found)} begin with {arguments.id[:32]!r}, expected one")
        if not found:
            # Says so in the words of every other command.
            held.find(work.store, arguments.id)
        return [], found
    grants, elsewhere = held.not_taken_back(work.store, now=work.now), _elsewhere(work)
    if not arguments.all:
        grants = [one for one in grants if held.is_called(work, one.service, arguments.service)]
        elsewhere = [one for one in elsewhere if held.is_called(work, one[1].service, arguments.service)]
    if not grants and not elsewhere:
        raise WalletError("unknown_id", "consent: there is no permission to take back")
    return grants, elsewhere


def _elsewhere(work: Errand) -> Elsewhere:
    """Only a recovered account has any; where nobody answers, those of this wallet are taken back all the same."""
    recovered = [one for one in consents.accounts(work.store) if one.state == account.RECOVERED]
    found: Elsewhere = []
    try:
        for at in account.all_held(work) if recovered else ():
            found += [(at, one) for one in foreign.live(work, at, give.fetch_states(at))]
    except WalletError:
        work.warn("withdraw.others_unknown")
    return found


def _attributes(grants: list[HeldGrant], elsewhere: Elsewhere, named: list[str] | None) -> tuple[str, ...] | None:
    if not named:
        return None
    detail = fitting.detail_of(grants[0]) if grants else elsewhere[0][1].detail
    given = detail.attributes
    if unknown := [name for name in named if name not in given]:
        raise WalletError("unknown_id", f"consent: {unknown[0][:64]!r} is not given; given: {', '.join(given)}")
    return tuple(name for name in given if name in named)


def _by_account(work: Errand, at: OpenAccount, one: ForeignGrant, attributes: tuple[str, ...] | None) -> Outcome:
    try:
        return foreign.withdraw(work, at, one, attributes)
    except WalletError:
        return Outcome(one.grant_id, withdrawal.MISSING, {"consent": withdrawal.MISSING})


def _say_outcome(call: Invocation, outcome: Outcome) -> None:
    call.terminal.say(call.texts(f"withdraw.{outcome.state}", id=outcome.grant_id))
    for door, answer in outcome.doors.items():
        line = call.texts(
            "withdraw.door", door=call.texts(f"door.{door}"), answer=call.texts(f"door.answered.{answer}")
        )
        if answer == withdrawal.MISSING:
            call.terminal.alarm("    " + line)
        else:
            call.terminal.say("    " + line)
    if not outcome.complete:
        call.terminal.warn(call.texts("withdraw.again"))
    if outcome.fault is not None:
        call.terminal.alarm(call.texts("error.proof_refused") + f"\n  ({plain(outcome.fault)})")
