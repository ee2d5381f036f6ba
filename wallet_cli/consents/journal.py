"""The data holder's release journal, read over the holder link, and compared with what is logged.

The data holder writes down what it released; the consent service what it allowed. A release that
nobody allowed in the log means that one of them hides something. A use that no journal speaks of may
be a data holder that died between the two: it is said, and nobody is accused of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError
from consent.grant.use import ALLOW_SECONDS
from consent.ledger.leaf import Kind
from consent.log import merkle
from consent.spec import MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_PARTY_ID
from identity.codec import base64url, jcs
from identity.codec.members import digest, exact_members, identifier, integer, text, texts
from identity.errors import EncodingError
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import Party
from wallet_cli.consents.caller import Caller
from wallet_cli.consents.entry import Entry, Finding
from wallet_cli.consents.fitting import SKEW_SECONDS
from wallet_cli.consents.parties import endpoint
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
    holder: str
    grant_id: str
    """Of an access that rests on law, the id of its leaf."""
    counter: int
    time: int
    service: str
    attributes: tuple[str, ...]
    """Names; none = the use was allowed and nothing was released."""


@dataclass(frozen=True, slots=True)
class Journals:
    """What all data holders showed that could be asked, each whole."""

    releases: tuple[Release, ...]
    holders: frozenset[str]
    """Whose journal was read; what another data holder released is not known."""
    read_at: int


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
        releases = [_release(one, holder.id) for one in listed]
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


def compare(
    journals: Journals, entries: Sequence[Entry], holder_of: Mapping[str, str], erased: frozenset[str]
) -> list[Finding]:
    """``holder_of``: grant id → its data holder. ``erased``: grants whose events the resident had erased.

    1. Every release has its use, or its access by law, on the timeline, and goes not beyond it.
    2. None came after the allow had run out.
    3. Every use has its line in the journal of its data holder, unless it was a moment ago.
    """
    allowed = {(entry.grant_id, entry.counter): entry for entry in entries if entry.kind in (Kind.USE, Kind.NOTICE)}
    findings: list[Finding] = []
    written: set[tuple[str, int]] = set()

    def finding(one: Release, detail: str) -> None:
        findings.append(Finding("release_without_use", one.grant_id, detail))

    for one in journals.releases:
        written.add((one.grant_id, one.counter))
        entry = allowed.get((one.grant_id, one.counter))
        if entry is None and one.grant_id in erased:
            continue
        if entry is None:
            finding(one, f"event {one.counter} is not on the timeline")
        elif entry.service != one.service or not set(one.attributes) <= set(entry.attributes):
            finding(one, f"event {one.counter} allowed something else")
        elif one.attributes and entry.kind is Kind.USE and one.time > entry.time + ALLOW_SECONDS + SKEW_SECONDS:
            finding(one, f"event {one.counter}: handed over when that was allowed no more")
    for key, entry in allowed.items():
        known = entry.kind is Kind.USE and holder_of.get(entry.grant_id) in journals.holders
        over = entry.time + ALLOW_SECONDS + SKEW_SECONDS < journals.read_at
        if known and over and key not in written:
            detail = f"event {entry.counter} is not in the data holder's journal"
            findings.append(Finding("use_without_release", entry.grant_id, detail, grave=False))
    return findings


def _release(value: Any, holder: str) -> Release:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: a release is an object")
    exact_members(value, what=_WHAT, required=_MEMBERS)
    identifier(value, "use_id", what=_WHAT)
    return Release(
        holder,
        identifier(value, "grant_id", what=_WHAT),
        integer(value, "counter", what=_WHAT),
        integer(value, "time", what=_WHAT),
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
