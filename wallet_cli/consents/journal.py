"""The data holder's release journal, read over the holder link, and compared with what is logged.

The data holder writes down what it released; the consent service what it allowed. A release that
nobody allowed in the log means that one of them hides something.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError
from consent.ledger.leaf import Kind
from consent.log import merkle
from consent.spec import MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_PARTY_ID
from identity.codec import base64url, jcs
from identity.codec.members import digest, exact_members, identifier, integer, text, texts
from identity.errors import EncodingError
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import Party
from wallet_cli.consents.caller import Caller
from wallet_cli.consents.parties import endpoint
from wallet_cli.consents.timeline import Entry, Finding
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents
from wallet_cli.store.consents import HolderLink

MAX_RELEASES = 10_000
"""Of one resident at one data holder; a longer answer is not read to its end."""

_WHAT = "journal"
_MEMBERS = frozenset({"use_id", "grant_id", "counter", "time", "service", "attributes"})


@dataclass(frozen=True, slots=True)
class Release:
    grant_id: str
    counter: int
    service: str
    attributes: tuple[str, ...]
    """Names; none = the use was allowed and nothing was released."""


def read(errand: Errand, holder: Party, link: HolderLink) -> list[Release]:
    """Oldest first. Raises ConsentRefused ``proof_refused`` where it takes back what it showed before, NetworkError."""
    caller = Caller(errand.world, errand.network, SoftwareSigner.from_jwk(link.key))
    body = caller.get(endpoint(holder, "journal")).expect(200, what=_WHAT).object(what=_WHAT)
    try:
        exact_members(body, what=_WHAT, required=frozenset({"releases", "root"}))
        root = digest(body, "root", what=_WHAT)
        listed = body["releases"]
        if not isinstance(listed, list) or len(listed) > MAX_RELEASES:
            raise EncodingError(f"{_WHAT}: a list of at most {MAX_RELEASES} releases is expected")
        releases = [_release(one) for one in listed]
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    root_of = _roots(listed)
    if root_of(len(listed)) != root:
        raise ConsentRefused("proof_refused", f"{_WHAT}: {holder.id}: its root is not over what it shows")
    seen = consents.seen_journal(errand.store, holder.id)
    if seen is not None and (seen[0] > len(listed) or root_of(seen[0]) != seen[1]):
        raise ConsentRefused("proof_refused", f"{_WHAT}: {holder.id}: shows other releases than it showed before")
    with errand.store.transaction():
        consents.save_journal(errand.store, holder.id, len(listed), root)
    return releases


def compare(releases: Sequence[Release], entries: Sequence[Entry]) -> list[Finding]:
    """A release whose use is not on the timeline, or goes beyond it."""
    uses = {(entry.grant_id, entry.counter): entry for entry in entries if entry.kind is Kind.USE}
    findings: list[Finding] = []
    for one in releases:
        use = uses.get((one.grant_id, one.counter))
        if use is None:
            findings.append(Finding("release_without_use", one.grant_id, f"event {one.counter} is not on the timeline"))
        elif use.event.get("service") != one.service or not set(one.attributes) <= set(use.attributes):
            findings.append(Finding("release_without_use", one.grant_id, f"event {one.counter} allowed something else"))
    return findings


def _release(value: Any) -> Release:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: a release is an object")
    exact_members(value, what=_WHAT, required=_MEMBERS)
    identifier(value, "use_id", what=_WHAT)
    integer(value, "time", what=_WHAT)
    return Release(
        identifier(value, "grant_id", what=_WHAT),
        integer(value, "counter", what=_WHAT, minimum=1),
        text(value, "service", what=_WHAT, max_length=MAX_PARTY_ID),
        texts(value, "attributes", what=_WHAT, max_count=MAX_ATTRIBUTES, max_length=MAX_ATTRIBUTE_NAME, min_count=0),
    )


def _roots(listed: list[Mapping[str, Any]]) -> Callable[[int], str]:
    """Count → root over so many of the oldest releases (RFC 6962 over the JCS form of each)."""
    try:
        hashes = [merkle.leaf_hash(jcs.canonicalize(one)) for one in listed]
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", f"{_WHAT}: {fault}") from None

    def subtree(level: int, index: int) -> bytes:
        return merkle.complete_root(hashes[index << level : (index + 1) << level])

    def root(count: int) -> str:
        try:
            return base64url.encode(merkle.root(count, subtree))
        except LogError as fault:
            raise ConsentRefused("bad_answer", f"{_WHAT}: {fault}") from None

    return root
