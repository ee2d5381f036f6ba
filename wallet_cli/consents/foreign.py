"""Grants of this account whose key is not here: given with a wallet that was lost.

They can be taken back all the same (WIRE C5, "without the grant key"): by the account key, at the
consent service alone. The other doors hear of it when they ask for the next use.
"""

from dataclasses import dataclass
from typing import Any

from consent.errors import ConsentError
from consent.grant.detail import AuthorizationDetail, parse_details
from identity.codec.members import text
from identity.envelope import jws
from identity.errors import IdentityError
from wallet_cli.consents import receipts
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.parties import CONSENT
from wallet_cli.consents.withdraw import ENDED, STATES, WITHDRAWN, Outcome, keep_evidence
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents, history

LIVE = ("given", "paused")
_WHAT = "withdrawal answer"


@dataclass(frozen=True, slots=True)
class ForeignGrant:
    grant_id: str
    service: str
    """As the request inside the grant names it; no signature was checked: it is for choosing, not for proving."""
    state: str
    detail: AuthorizationDetail


def live(errand: Errand, at: OpenAccount, states: dict[str, Any]) -> list[ForeignGrant]:
    """``states``: as `give.fetch_states` has them. Raises NetworkError, ConsentRefused."""
    mine = {grant.grant_id for grant in consents.grants(errand.store)}
    return [
        describe(at, grant_id, str(said["state"]))
        for grant_id, said in states.items()
        if grant_id not in mine and said["state"] in LIVE
    ]


def describe(at: OpenAccount, grant_id: str, state: str) -> ForeignGrant:
    what = "grant"
    described = receipts.describe(at, grant_id)
    try:
        claims = jws.parse(text(described, "grant", what=what, max_length=65_536), what=what).claims(what=what)
        asked = jws.parse(text(claims, "request", what=what, max_length=65_536), what=what).claims(what=what)
        return ForeignGrant(grant_id, text(asked, "iss", what=what), state, parse_details(claims, what=what))
    except (ConsentError, IdentityError) as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None


def withdraw(errand: Errand, at: OpenAccount, grant: ForeignGrant, attributes: tuple[str, ...] | None) -> Outcome:
    """Raises NetworkError."""
    address = f"{at.base}/me/grants/{grant.grant_id}/withdrawal"
    body = {} if attributes is None else {"attributes": list(attributes)}
    answer = at.caller.post(address, body)
    # One that has ended meanwhile has nothing left to take back.
    if answer.status == 409 and answer.fault()[0] in (WITHDRAWN, *ENDED):
        return Outcome(grant.grant_id, WITHDRAWN, {CONSENT: WITHDRAWN})
    said = answer.expect(200, what=_WHAT).object(what=_WHAT)
    state = said.get("state")
    if state in ENDED:
        state = WITHDRAWN
    if state not in STATES:
        raise ConsentRefused("bad_answer", f"{_WHAT}: the answer has no state that we know")
    with errand.store.transaction():
        history.record(errand.store, "withdrawn", grant.service, [grant.grant_id, *(attributes or ())], now=errand.now)
    fault = keep_evidence(errand.store, at.account, grant.grant_id, said)
    return Outcome(grant.grant_id, state, {CONSENT: state}, fault)
