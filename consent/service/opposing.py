"""Oppositions (ADR 0009, D4): a resident objects to accesses that rest on law, where the law lets residents object."""

from collections.abc import Mapping
from typing import Any

from consent.errors import MessageError, NotKnown
from consent.grant.opposition import parse_opposition
from consent.ledger.accounts import StoredAccount
from consent.ledger.leaf import Kind
from consent.ledger.notices import NoticeStore, StoredOpposition
from consent.service.catalogue import Catalogue
from consent.service.granting import require_full
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.path_id import path_id
from consent.service.sequencer import Sequencer
from consent.service.unlinked import make_unlinked
from identity.codec import base64url

MAX_OPPOSITIONS = 256
"""Of one account: more services than a resident deals with."""

ID_BYTES = 16


class Opposing:
    def __init__(
        self,
        operator: Operator,
        *,
        store: NoticeStore,
        catalogue: Catalogue,
        parties: Parties,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._store = store
        self._catalogue = catalogue
        self._parties = parties
        self._sequencer = sequencer

    def oppose(self, account: StoredAccount, body: Mapping[str, Any]) -> str:
        """In force when this returns. Raises MessageError, LedgerConflict (``too_many``), OutOfService."""
        opposition = parse_opposition(body)
        for party in filter(None, (opposition.service, opposition.holder)):
            if self._parties.find(party) is None:
                raise MessageError("opposition: a party that is not listed")
        made = make_unlinked(
            Kind.OPPOSE,
            at=self._operator.milliseconds,
            codes=self._catalogue.group_codes(opposition.service, opposition.purpose),
            view_keys={account.number: account.view_jwk},
            random=self._operator.random,
            hash=opposition.digest,
        )
        opposition_id = self._operator.random(ID_BYTES)
        self._store.oppose(
            StoredOpposition(
                opposition_id,
                account.number,
                opposition.service,
                opposition.purpose,
                opposition.holder,
                self._operator.now,
            ),
            made.stored,
            at_most=MAX_OPPOSITIONS,
        )
        self._sequencer.wake()
        return base64url.encode(opposition_id)

    def of(self, account: StoredAccount) -> dict[str, Any]:
        return {
            "oppositions": [
                {
                    "opposition_id": base64url.encode(one.opposition_id),
                    "service": one.service,
                    "purpose": one.purpose,
                    "holder": one.holder,
                    "since": one.since,
                }
                for one in self._store.oppositions(account.number)
            ]
        }

    def end(self, account: StoredAccount, opposition_id: str) -> dict[str, Any]:
        """Raises NotKnown, NotAllowed while the account waits after a recovery: it opens what was closed."""
        require_full(account, self._operator.now)
        raw = path_id(opposition_id)
        if raw is None or not self._store.end_opposition(raw, account.number):
            raise NotKnown("unknown_opposition")
        return {"opposition_id": opposition_id, "state": "ended"}
