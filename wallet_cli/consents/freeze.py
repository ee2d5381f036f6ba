"""Freeze (WIRE B, ADR 0009 D6): everything that was lent is paused by one act of the account key.

It is stored before it is sent: a pause that a freeze made can be told from one that nobody asked for.
The answer names what was paused. What this wallet lent and the answer does not name is looked up:
a grant that is still open is named, loudly.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.errors import ConsentError
from consent.ledger.leaf import Kind
from identity.codec import base64url
from identity.codec.members import texts
from identity.errors import EncodingError
from wallet_cli.consents import give
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.public_log import promise_under
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, UsageFault
from wallet_cli.store import acts, consents, history
from wallet_cli.store.acts import Freeze

MAX_FREEZE_SECONDS = 366 * 86_400
"""A pause that nobody remembers is an end; for that there is the withdrawal."""

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_WHAT = "freeze"


@dataclass(frozen=True, slots=True)
class Frozen:
    paused: tuple[str, ...]
    still_open: tuple[str, ...]
    """Of this wallet's own grants: the consent service says that they are given."""

    def to_json(self) -> dict[str, Any]:
        return {"paused": list(self.paused), "still_open": list(self.still_open)}


def parse_until(text: str, *, now: int) -> int:
    """``90m``, ``12h``, ``3d``, or a day or time of the person's own calendar. Raises UsageFault."""
    if found := _DURATION.fullmatch(text):
        until = now + int(found[1]) * _UNITS[found[2]]
    else:
        try:
            # Without an offset it is the time on the person's own clock.
            until = int(datetime.fromisoformat(text).timestamp())
        except (ValueError, OverflowError):
            raise UsageFault(
                "usage", f"--until: {text[:32]!r} is no time; write 12h, 3d, or 2026-12-24T18:00"
            ) from None
    if not now < until <= now + MAX_FREEZE_SECONDS:
        raise UsageFault("usage", "--until: must lie ahead, and at most a year")
    return until


def freeze(errand: Errand, at: OpenAccount, until: int | None) -> Frozen:
    """Raises ConsentRefused, NetworkError."""
    with errand.store.transaction():
        acts.save_freeze(errand.store, Freeze(at.account.consent, until, errand.now))
        history.record(errand.store, "froze", at.account.consent, now=errand.now)
    paused = ask(errand, at, until)
    states = give.resolve(errand, at)
    mine = {grant.grant_id for grant in consents.grants(errand.store)}
    still_open = sorted(name for name, said in states.items() if name in mine and said["state"] == "given")
    return Frozen(paused, tuple(still_open))


def ask(errand: Errand, at: OpenAccount, until: int | None) -> tuple[str, ...]:
    """Grant ids that were paused. Raises ConsentRefused, NetworkError."""
    answer = at.caller.post(f"{at.base}/me/freeze", {"until": until}).expect(200, what=_WHAT)
    body = answer.object(what=_WHAT)
    try:
        paused = texts(body, "paused", what=_WHAT, max_count=give.MAX_GRANTS, min_count=0)
        promised = (
            texts(body, "promises", what=_WHAT, max_count=give.MAX_GRANTS, min_count=0) if "promises" in body else ()
        )
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    keep_promises(errand, at, promised)
    return paused


def keep_promises(errand: Errand, at: OpenAccount, promised: tuple[str, ...]) -> None:
    """Kept until the log has kept them. Raises ConsentRefused ``proof_refused`` where one is not of the pinned log."""
    for compact in promised:
        try:
            promise = promise_under(compact, at.account.log_vkey)
        except ConsentError as fault:
            raise ConsentRefused("proof_refused", str(fault)) from None
        if promise.leaf.kind is not Kind.PAUSE:
            raise ConsentRefused("proof_refused", f"{_WHAT}: a promise about something else")
        with errand.store.transaction():
            consents.save_promise(
                errand.store, base64url.encode(promise.leaf.id), promise.leaf.counter, compact, promise.due
            )
