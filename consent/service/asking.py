"""Consent requests (WIRE C2): a service asks; its request lies here until it ends or is decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from consent import spec
from consent.errors import MessageError, NotKnown
from consent.grant.request import verify_request
from consent.ledger.accounts import StoredAccount
from consent.ledger.grant_row import REQUEST_GIVEN, REQUEST_REFUSED
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.ledger.requests import RequestStore, StoredRequest
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker
from consent.service.granting import require_full
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.path_id import path_id
from consent.service.sequencer import Sequencer
from consent.signed_message import exact, reading
from identity.codec import base64url, members
from identity.trust.registry import Party

MAX_MAILBOXES = 256
"""One a service: more services than a resident deals with."""


@dataclass(frozen=True, slots=True)
class Asked:
    id: str
    uri: str
    link: str
    expires_in: int

    def to_json(self) -> dict[str, Any]:
        return {
            "request_id": self.id,
            "request_uri": self.uri,
            "link": self.link,
            "expires_in": self.expires_in,
        }


class Asking:
    def __init__(
        self,
        operator: Operator,
        *,
        store: RequestStore,
        grants: GrantStore,
        catalogue: Catalogue,
        parties: Parties,
        entries: EntryMaker,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._store = store
        self._grants = grants
        self._catalogue = catalogue
        self._parties = parties
        self._entries = entries
        self._sequencer = sequencer

    def ask(self, compact: str) -> Asked:
        """Raises MessageError, LedgerConflict (``taken``), OutOfService.

        1. Signed by a listed service, for us, in its time.
        2. Nothing beyond what the service declared and the data holder declared.
        3. Its period has not passed, and it is one that a grant can still begin in.
        4. Stored until its end, with its leaf.
        """
        self._sequencer.require_running()
        now, at = self._operator.now, self._operator.milliseconds
        # 1
        verified = verify_request(compact, key_of=self._parties.service_key, consent=self._operator.id, now=now)
        request = verified.request
        # 2
        self._catalogue.check_needed(request.service, request.detail)
        # 3
        if request.detail.not_after <= now:
            raise MessageError("consent request: its period has passed")
        # 4
        entry = self._entries.unlinked(
            Kind.REQUEST,
            at=at,
            service=request.service,
            purpose=request.detail.purpose,
            codes=self._catalogue.group_codes(request.service, request.detail.purpose),
            request_hash=verified.digest,
        )
        self._store.add(
            base64url.decode(request.id),
            service=self._catalogue.parties()[request.service],
            jws=compact,
            expires=request.expires,
            mailbox=None if request.mailbox is None else base64url.decode(request.mailbox),
            entry=entry,
        )
        self._sequencer.wake()
        return self._asked(request.id, request.expires - now)

    def signed(self, request_id: str) -> str:
        """The JWS, for whoever has its address; only while it can be decided. Raises NotKnown."""
        found = self._find(request_id)
        if found is None or not found.open_at(self._operator.now):
            raise NotKnown("unknown_request")
        return found.jws

    def state(self, party: Party, request_id: str) -> dict[str, Any]:
        """What became of it, for the service that asked. Raises NotKnown."""
        found = self._find(request_id)
        if found is None or self._catalogue.parties().get(party.id) != found.service:
            raise NotKnown("unknown_request")
        if found.state == REQUEST_REFUSED:
            return {"state": "refused"}
        if found.state == REQUEST_GIVEN and found.grant_id is not None:
            body = self._grants.body(found.grant_id)
            if body is not None:
                return {"state": "given", "grant_id": base64url.encode(found.grant_id), "grant": body.grant_jws}
        return {"state": "pending" if found.open_at(self._operator.now) else "expired"}

    def waiting(self, account: StoredAccount) -> dict[str, Any]:
        """What lies undecided in the resident's mailboxes."""
        now = self._operator.now
        return {
            "requests": [
                {**self._asked(base64url.encode(one.request_id), one.expires - now).to_json(), "request": one.jws}
                for one in self._store.waiting(account.number, now=now)
            ]
        }

    def open_mailbox(self, account: StoredAccount, body: Mapping[str, Any]) -> str:
        """A mailbox whose id the wallet drew. Raises MessageError, LedgerConflict (``taken``, ``too_many``)."""
        mailbox = _mailbox(body)
        self._store.add_mailbox(base64url.decode(mailbox), account.number, at_most=MAX_MAILBOXES)
        return mailbox

    def close_mailbox(self, account: StoredAccount, body: Mapping[str, Any]) -> str:
        """Raises MessageError, NotKnown, NotAllowed while the account waits after a recovery.

        Notices of accesses by law, and oppositions to them, find their resident by mailboxes: who may be
        sent away again must not have them closed.
        """
        require_full(account, self._operator.now)
        mailbox = _mailbox(body)
        if not self._store.remove_mailbox(base64url.decode(mailbox), account.number):
            raise NotKnown("unknown_mailbox")
        return mailbox

    def _find(self, request_id: str) -> StoredRequest | None:
        raw = path_id(request_id)
        return None if raw is None else self._store.get(raw)

    def _asked(self, request_id: str, expires_in: int) -> Asked:
        uri = f"{self._operator.url}/requests/{request_id}/jwt"
        link = f"{spec.LINK_SCHEME}://?request_uri={quote(uri, safe='')}"
        return Asked(request_id, uri, link, expires_in)


def _mailbox(body: Mapping[str, Any]) -> str:
    what = "mailbox"
    exact(body, what, frozenset({"mailbox"}))
    with reading(what):
        return members.identifier(body, "mailbox", what=what)
