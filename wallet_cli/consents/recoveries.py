"""Whether somebody has opened this account with another wallet, and sending them away (ADR 0009, D18).

Who takes an account over waits three days before they can give or erase anything. The wallet that
was there before is told meanwhile, and one act makes the account its own again.
"""

from dataclasses import dataclass
from typing import Any

from identity.codec.members import boolean, identifier, integer, text
from identity.errors import EncodingError
from wallet_cli.consents.account import ACTIVE, OpenAccount
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.store import consents, history
from wallet_cli.store.consents import Account

WAITING, CANCELLED, DONE = "waiting", "cancelled", "done"
STATES = (WAITING, CANCELLED, DONE)
MAX_LISTED = 1_000

_WHAT = "recoveries"


@dataclass(frozen=True, slots=True)
class Recovery:
    id: str
    since: int
    full_after: int
    state: str
    own: bool
    """By the key that this wallet has."""

    @property
    def foreign(self) -> bool:
        return not self.own and self.state != CANCELLED

    def to_json(self) -> dict[str, Any]:
        return {
            "recovery_id": self.id,
            "since": self.since,
            "full_after": self.full_after,
            "state": self.state,
            "own": self.own,
        }


def read(at: OpenAccount) -> list[Recovery]:
    """Newest first; none where the consent service has no such address. Raises NetworkError, ConsentRefused."""
    answer = at.caller.get(f"{at.base}/me/recoveries")
    if answer.status == 404:
        return []
    listed = answer.expect(200, what=_WHAT).object(what=_WHAT).get("recoveries")
    if not isinstance(listed, list) or len(listed) > MAX_LISTED:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {MAX_LISTED} is expected")
    try:
        return [_read(value) for value in listed]
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None


def warn(errand: Errand, at: OpenAccount) -> None:
    """Of those by other wallets, that came after this one's own. Where nobody answers nothing is said here."""
    try:
        found = read(at)
    except (NetworkError, ConsentRefused):
        return
    own = max((one.since for one in found if one.own), default=0)
    for one in found:
        if one.foreign and one.since > own:
            moment = errand.texts.moment(one.since)
            errand.alarm("recovery.foreign", moment=moment, id=one.id)


def cancel(errand: Errand, at: OpenAccount, recovery_id: str) -> None:
    """The account is this wallet's again. Raises ConsentRefused ``recovery_stands``, NetworkError."""
    answer = at.caller.delete(f"{at.base}/me/recoveries/{recovery_id}")
    if answer.status in (404, 409):
        raise ConsentRefused("recovery_stands", f"recovery: {answer.host} does not end it: {answer.fault()[0][:64]}")
    answer.expect(200, what="recovery")
    account = at.account
    with errand.store.transaction():
        consents.save_account(
            errand.store, Account(account.consent, account.key, account.view_key, account.log_vkey, ACTIVE)
        )
        history.record(errand.store, "sent_away", account.consent, now=errand.now)


def _read(value: Any) -> Recovery:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an entry is an object")
    state = text(value, "state", what=_WHAT, max_length=16)
    if state not in STATES:
        raise EncodingError(f"{_WHAT}: a state that does not exist")
    return Recovery(
        identifier(value, "recovery_id", what=_WHAT),
        integer(value, "since", what=_WHAT),
        integer(value, "full_after", what=_WHAT),
        state,
        boolean(value, "own", what=_WHAT),
    )
