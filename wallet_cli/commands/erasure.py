"""``wallet consent erase``: what is over shall be readable for nobody."""

from wallet_cli import errand
from wallet_cli.consents import account, erasing, held, timeline
from wallet_cli.consents.erasing import Erasure
from wallet_cli.errors import UsageFault, WalletError
from wallet_cli.invocation import Invocation


def run(call: Invocation) -> None:
    """It is asked: what is erased there nobody brings back."""
    arguments = call.arguments
    if (arguments.id is None) is not arguments.account:
        raise UsageFault("usage", "erase: name one permission, or --account")
    with errand.begun(call) as work:
        accounts = account.all_held(work)
        grant_id = None
        if arguments.id is not None:
            grant = held.find(work.store, arguments.id)
            grant_id = grant.grant_id
            accounts = [at for at in accounts if at.account.consent == grant.consent]
            work.say("erasure.one", service=held.service_name(work, grant))
        else:
            work.say("erasure.all")
        if not accounts:
            raise WalletError("no_account", "account: this wallet has none; the first permission opens one")
        work.say("erasure.keeps")
        call.confirm(call.texts("erasure.ask"))
        for at in accounts:
            # What nobody can open afterwards is opened and kept now.
            timeline.read(work, at)
        done = [erasing.erase(work, at, grant_id) for at in accounts]
        for one in done:
            _say(call, one)
    call.terminal.result(
        {
            "erased": sorted(name for one in done for name in one.erased),
            "account": erasing.ERASED if all(one.account == erasing.ERASED for one in done) else erasing.KEPT,
        }
    )


def _say(call: Invocation, done: Erasure) -> None:
    call.terminal.say(call.texts.count("erasure.done", len(done.erased)))
    if done.account == erasing.ERASED:
        call.terminal.say(call.texts("erasure.account_gone"))
    elif call.arguments.account:
        call.terminal.say(call.texts("erasure.account_kept"))
