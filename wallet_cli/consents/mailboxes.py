"""Mailboxes (WIRE B): where requests of services, and notices of data holders, lie until the wallet asks for them.

A mailbox is a random id that the consent service knows with an account and the other side without
one: each service gets its own, and it can be closed. The mailbox of a holder link is registered
once the account exists: without it nobody could tell the resident of an access that rests on law.
"""

from typing import Any

from consent.errors import ConsentError
from identity.codec import base64url
from identity.codec.members import integer, text
from identity.errors import EncodingError, IdentityError
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.parties import Parties
from wallet_cli.consents.request import Asked, fetch
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError, WalletError
from wallet_cli.store import consents, history
from wallet_cli.store.consents import HolderLink

MAX_WAITING = 1_000
"""Requests; a longer list is not read to its end."""

TAKEN = "taken"
_WHAT = "mailbox"


def register_links(errand: Errand, at: OpenAccount) -> None:
    """Those that are not known yet. One that cannot be registered now is tried by later commands."""
    for link in consents.links(errand.store):
        if link.handle is None or link.registered is not None:
            continue
        try:
            answer = at.caller.post(f"{at.base}/me/mailboxes", {"mailbox": link.mailbox})
        except NetworkError:
            return
        # Taken: by ourselves, when the answer was lost; nobody else knows the id before.
        if answer.status == 201 or (answer.status == 409 and answer.fault()[0] == TAKEN):
            known = HolderLink(link.holder, link.key, link.mailbox, link.handle, at.account.consent)
            with errand.store.transaction():
                consents.save_link(errand.store, known)


def open_for(errand: Errand, at: OpenAccount, service: str) -> str:
    """A new mailbox for this service alone. Raises NetworkError."""
    mailbox = base64url.encode(errand.world.random(16))
    at.caller.post(f"{at.base}/me/mailboxes", {"mailbox": mailbox}).expect(201, what=_WHAT)
    with errand.store.transaction():
        consents.save_mailbox(errand.store, mailbox, at.account.consent, service, now=errand.now)
        history.record(errand.store, "mailbox_opened", service, now=errand.now)
    return mailbox


def close(errand: Errand, at: OpenAccount, mailbox: str, service: str) -> None:
    """One that is gone already is closed. Raises NetworkError."""
    at.caller.delete(f"{at.base}/me/mailboxes", {"mailbox": mailbox}).expect(200, 404, what=_WHAT)
    with errand.store.transaction():
        consents.drop_mailbox(errand.store, mailbox)
        history.record(errand.store, "mailbox_closed", service, now=errand.now)


def waiting(errand: Errand, at: OpenAccount, parties: Parties) -> list[tuple[str, str, int, Asked | None]]:
    """(id, link, seconds left, the request checked as any other; None where it must not be shown)."""
    body = at.caller.get(f"{at.base}/me/requests").expect(200, what="requests").object(what="requests")
    listed = body.get("requests")
    if not isinstance(listed, list) or len(listed) > MAX_WAITING:
        raise ConsentRefused("bad_answer", f"requests: a list of at most {MAX_WAITING} is expected")
    found = []
    for value in listed:
        name, link, left = _read(value)
        try:
            asked: Asked | None = fetch(errand.network, parties, link)
        except (WalletError, ConsentError, IdentityError):
            asked = None
        found.append((name, link, left, asked))
    return found


def _read(value: Any) -> tuple[str, str, int]:
    try:
        if not isinstance(value, dict):
            raise EncodingError("requests: an entry is an object")
        return (
            text(value, "request_id", what="requests", max_length=64),
            text(value, "link", what="requests", max_length=2_048),
            integer(value, "expires_in", what="requests"),
        )
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
