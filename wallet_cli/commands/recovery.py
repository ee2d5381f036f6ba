"""``wallet consent recoveries``: other wallets that opened this account, and sending them away."""

from wallet_cli import errand
from wallet_cli.consents import account, recoveries
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.recoveries import Recovery
from wallet_cli.errand import Errand
from wallet_cli.errors import WalletError
from wallet_cli.invocation import Invocation


def run(call: Invocation) -> None:
    """No question is asked when one is sent away: who did it in error recovers again."""
    with errand.begun(call) as work:
        found = [(at, one) for at in account.all_held(work) for one in recoveries.read(at)]
        if (prefix := call.arguments.cancel) is not None:
            at, one = _one(found, prefix)
            recoveries.cancel(work, at, one.id)
            work.say("recovery.cancelled")
            result: dict[str, object] = {"recovery_id": one.id, "state": recoveries.CANCELLED}
        else:
            _say_all(work, [one for _, one in found])
            result = {"recoveries": [one.to_json() for _, one in found]}
    call.terminal.result(result)


def _one(found: list[tuple[OpenAccount, Recovery]], prefix: str) -> tuple[OpenAccount, Recovery]:
    fitting = [one for one in found if one[1].id.startswith(prefix)]
    if len(fitting) != 1:
        code = "ambiguous_id" if fitting else "unknown_id"
        raise WalletError(code, f"recovery: {len(fitting)} begin with {prefix[:32]!r}, expected one")
    return fitting[0]


def _say_all(work: Errand, found: list[Recovery]) -> None:
    if not found:
        work.say("recovery.none")
    for one in found:
        moment = work.texts.moment(one.since)
        if one.foreign:
            work.alarm("recovery.foreign", moment=moment, id=one.id)
        else:
            work.say("recovery.own" if one.own else "recovery.gone", moment=moment)
