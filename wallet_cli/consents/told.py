"""What a data holder tells the wallet over its link (ADR 0009, D15 and D16), and the answer to a changed value."""

from dataclasses import dataclass
from typing import Any

from identity.codec.members import exact_members, identifier, integer, text
from identity.errors import EncodingError
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import Party
from wallet_cli.consents.caller import Caller
from wallet_cli.consents.parties import beside
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import history
from wallet_cli.store.consents import HeldGrant, HolderLink

LINK, VALUE_CHANGED = "link", "value_changed"
KINDS = (LINK, VALUE_CHANGED)
FOLLOW = "follow"
MAX_NOTICES = 10_000
"""Of one link; a longer answer is not read to its end."""

_WHAT = "notices"


@dataclass(frozen=True, slots=True)
class Told:
    holder: str
    kind: str
    time: int
    grant_id: str | None

    def to_json(self) -> dict[str, Any]:
        return {"holder": self.holder, "kind": self.kind, "time": self.time, "grant_id": self.grant_id}


def read(errand: Errand, holder: Party, link: HolderLink) -> list[Told]:
    """Oldest first; none where the data holder has no such address. Raises NetworkError, ConsentRefused."""
    answer = _caller(errand, link).get(beside(holder, "journal", "notices"))
    if answer.status == 404:
        return []
    listed = answer.expect(200, what=_WHAT).object(what=_WHAT).get("notices")
    if not isinstance(listed, list) or len(listed) > MAX_NOTICES:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {MAX_NOTICES} is expected")
    try:
        return sorted((_read(one, holder.id) for one in listed), key=lambda one: one.time)
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None


def follow(errand: Errand, holder: Party, link: HolderLink, grant: HeldGrant) -> None:
    """From now on the value of the day may be read. Raises ConsentRefused, NetworkError."""
    body = {"grant_id": grant.grant_id, "answer": FOLLOW}
    answer = _caller(errand, link).post(beside(holder, "journal", "changes"), body)
    if answer.status in (404, 409):
        raise ConsentRefused("nothing_changed", f"change: {answer.host} has asked nothing about this permission")
    answer.expect(200, what="change")
    with errand.store.transaction():
        history.record(errand.store, "followed", grant.holder, [grant.grant_id], now=errand.now)


def _caller(errand: Errand, link: HolderLink) -> Caller:
    return Caller(errand.world, errand.network, SoftwareSigner.from_jwk(link.key))


def _read(value: Any, holder: str) -> Told:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an entry is an object")
    exact_members(value, what=_WHAT, required=frozenset({"kind", "time"}), optional=frozenset({"grant_id"}))
    kind = text(value, "kind", what=_WHAT, max_length=32)
    if kind not in KINDS:
        raise EncodingError(f"{_WHAT}: of a kind that does not exist")
    grant_id = identifier(value, "grant_id", what=_WHAT) if "grant_id" in value else None
    return Told(holder, kind, integer(value, "time", what=_WHAT), grant_id)
