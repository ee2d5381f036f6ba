"""Erasure (ADR 0009, D10): the keys that open an ended grant's events are destroyed at the consent service.

The wallet keeps what it has: its receipts, and the events it had opened. It writes down first what it
asked for, so that an erasure can be told from one that nobody asked for.
"""

from dataclasses import dataclass

from identity.codec.members import text, texts
from identity.errors import EncodingError
from wallet_cli.consents import give
from wallet_cli.consents.account import OpenAccount
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import acts, consents, history, oppositions, watch

KEPT, ERASED = "kept", "erased"
_WHAT = "erasure"


@dataclass(frozen=True, slots=True)
class Erasure:
    erased: tuple[str, ...]
    account: str


def erase(errand: Errand, at: OpenAccount, grant_id: str | None) -> Erasure:
    """``grant_id``: None = all that have ended, and the account where nothing is left.

    Raises ConsentRefused ``not_ended`` where the permission still stands, NetworkError.
    """
    answer = at.caller.post(f"{at.base}/me/erasure", {"grant_id": grant_id})
    if answer.status == 409:
        raise ConsentRefused("not_ended", f"{_WHAT}: the permission is {answer.fault()[0][:32]}; take it back first")
    body = answer.expect(200, what=_WHAT).object(what=_WHAT)
    try:
        done = Erasure(
            texts(body, "erased", what=_WHAT, max_count=give.MAX_GRANTS, min_count=0), text(body, "account", what=_WHAT)
        )
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    if done.account not in (KEPT, ERASED) or (grant_id is not None and done.erased != (grant_id,)):
        raise ConsentRefused("bad_answer", f"{_WHAT}: something else was erased than was asked")
    mine = {grant.grant_id for grant in consents.grants(errand.store)}
    with errand.store.transaction():
        for name in done.erased:
            acts.save_erasure(errand.store, name, now=errand.now)
            if name in mine:
                consents.set_grant_state(errand.store, name, ERASED)
        if done.account == ERASED:
            consents.drop_account(errand.store, at.account.consent)
            watch.close_own_events(errand.store, at.account.consent, now=errand.now)
            oppositions.drop_all(errand.store, at.account.consent)
        history.record(errand.store, "erased", at.account.consent, list(done.erased), now=errand.now)
    return done
