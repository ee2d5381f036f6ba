"""Export (ADR 0009, D12): all that the consent service holds about the resident, opened as far as this wallet can.

What is sealed to this wallet is opened; what is not stays in the file as it came, and is counted. The
file says what the consent service said: it proves nothing, `wallet timeline` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consent.errors import ConsentError
from consent.grant.detail import parse_details
from consent.grant.opening import open_event, open_opening
from identity.codec import base64url
from identity.codec.members import integer, mapping, text
from identity.envelope import jws
from identity.errors import EncodingError, IdentityError
from identity.keys.agreement import AgreementPrivateKey
from wallet_cli.consents import timeline
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import Item
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import acts, consents

MAX_LISTED = 10_000
"""Of one kind in one answer."""

LISTS = ("mailboxes", "grants", "timeline", "oppositions", "deletions")
_WHAT = "export"


@dataclass(slots=True)
class Export:
    consent: str
    account: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in LISTS})
    still_sealed: int = 0
    """Events that only an earlier wallet could open, or nobody any more."""

    def to_json(self) -> dict[str, Any]:
        return {"consent_service": self.consent, "account": self.account, **self.lists}


def read(errand: Errand, at: OpenAccount) -> Export:
    """Raises NetworkError, ConsentRefused."""
    found = Export(at.account.consent)
    after: int | None = None
    for page in range(timeline.MAX_PAGES):
        address = f"{at.base}/me/export" + ("" if after is None else f"?after={after}")
        body = at.caller.get(address).expect(200, what=_WHAT).object(what=_WHAT)
        try:
            if page == 0:
                found.account = mapping(body, "account", what=_WHAT)
            for name in LISTS:
                found.lists[name] += _list(body, name)
            following = None if body.get("next") is None else integer(body, "next", what=_WHAT)
        except EncodingError as fault:
            raise ConsentRefused("bad_answer", str(fault)) from None
        if following is None or following == after:
            _open(errand, at, found)
            return found
        after = following
    raise ConsentRefused("bad_answer", f"{_WHAT}: more than {timeline.MAX_PAGES} pages")


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    listed = body.get(name)
    if not isinstance(listed, list) or len(listed) > MAX_LISTED:
        raise EncodingError(f"{_WHAT}: {name!r} must be a list of at most {MAX_LISTED}")
    return listed


def _open(errand: Errand, at: OpenAccount, found: Export) -> None:
    keys = {}
    for grant in found.lists["grants"]:
        if isinstance(grant, dict):
            _describe(grant)
            if (key := _key(at, grant)) is not None:
                keys[grant.get("grant_id")] = key
    kept = {(one.grant_id, one.counter): one.body for own in consents.all_events(errand.store).values() for one in own}
    erased = acts.erased(errand.store)
    for done, value in enumerate(found.lists["timeline"], start=1):
        errand.progress("progress.export", done, len(found.lists["timeline"]))
        try:
            item = Item.parse(value)
            private = at.view_key if item.own else keys[item.grant_id]
            opened = open_event(private, item.sealed, leaf_id=item.grant_id, counter=item.counter)
            value |= {"event": opened.event, "salt": base64url.encode(opened.salt)}
        except (ConsentError, EncodingError, KeyError):
            name = (value.get("grant_id"), value.get("counter")) if isinstance(value, dict) else ("", 0)
            if name[0] in erased and name in kept:
                value |= kept[name]
            else:
                found.still_sealed += 1


def _describe(grant: dict[str, Any]) -> None:
    """What the signed grant says, in clear beside it."""
    try:
        claims = jws.parse(text(grant, "grant", what=_WHAT, max_length=65_536), what=_WHAT).claims(what=_WHAT)
        grant["detail"] = parse_details(claims, what=_WHAT).to_json()
        asked = jws.parse(text(claims, "request", what=_WHAT, max_length=65_536), what=_WHAT).claims(what=_WHAT)
        grant["service"] = text(asked, "iss", what=_WHAT)
    except (ConsentError, IdentityError):
        return


def _key(at: OpenAccount, grant: Mapping[str, Any]) -> AgreementPrivateKey | None:
    try:
        return open_opening(at.view_key, text(grant, "opening", what=_WHAT), grant_id=str(grant.get("grant_id")))
    except (ConsentError, EncodingError):
        return None
