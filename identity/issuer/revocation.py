"""Revoking credentials, by id, by a place in a status list, or by whose they are.

All copies of a credential go together, and no further copy is given. Loss, theft and fraud show at
once; everything else waits for the daily tick, in which all of a day flip together: bits that flip
in one moment tell whoever compares two lists that they are copies of one credential.
"""

from dataclasses import dataclass

from identity.clock import Clock
from identity.codec import base64url
from identity.issuer.claims import Sources
from identity.issuer.person import Person
from identity.issuer.status_publishing import StatusPublishing
from identity.issuer.store.credentials import Place
from identity.issuer.store.revocations import RevocationStore

AT_ONCE = frozenset({"loss", "theft", "fraud"})
WITH_THE_DAY = frozenset({"moved", "changed", "error", "deceased"})
REASONS = AT_ONCE | WITH_THE_DAY


@dataclass(frozen=True, slots=True)
class RevokedCredential:
    credential_id: str
    copies: int
    """Living copies that carry a status."""


class Revocation:
    def __init__(self, store: RevocationStore, publishing: StatusPublishing, sources: Sources, *, clock: Clock) -> None:
        self._store = store
        self._publishing = publishing
        self._sources = sources
        self._clock = clock

    def by_id(self, credential_id: str, reason: str) -> list[RevokedCredential]:
        """Empty where there is none. Raises EncodingError for what is no id, ValueError for an unknown reason."""
        return self._revoke(self._store.by_id(base64url.decode(credential_id, what="credential_id")), reason)

    def by_status(self, uri: str, index: int, reason: str) -> list[RevokedCredential]:
        number = self._publishing.number_of(uri)
        found = [] if number is None else self._store.by_place(Place(number, index))
        return self._revoke(found, reason)

    def by_person(self, id_number: str, reason: str, configuration: str | None = None) -> list[RevokedCredential]:
        """All credentials of a person, or those of one type: what a clerk does when a wallet is lost.

        A wallet that is lost or stolen gets nothing more under what it was given either.
        """
        found = self._store.by_person(self.person_hash(id_number), configuration)
        return self._revoke(found, reason, with_issuances=reason in AT_ONCE and configuration is None)

    def person_hash(self, id_number: str) -> bytes:
        """What rows about this person carry in place of the number."""
        return self._sources.person_hash(Person(id_number, "", "", None, "low"))

    def tick(self) -> int:
        """The daily flip of what waited; the lists are served anew when it returns."""
        flipped = self._store.flip_waiting(now=int(self._clock()))
        self._publishing.publish()
        return flipped

    def _revoke(self, numbers: list[int], reason: str, *, with_issuances: bool = False) -> list[RevokedCredential]:
        if reason not in REASONS:
            raise ValueError(f"revocation: reason is one of {', '.join(sorted(REASONS))}")
        done = self._store.revoke(
            numbers,
            reason=reason,
            at_once=reason in AT_ONCE,
            now=int(self._clock()),
            with_issuances=with_issuances,
        )
        # The new lists are served before anybody is told that it is done.
        self._publishing.publish()
        return [RevokedCredential(base64url.encode(one.credential_id), one.copies) for one in done]
