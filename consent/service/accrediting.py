"""Who qualifies for grants to any accredited service (ADR 0009, D13): services show it, residents look it up.

The list informs. A use is decided by what its own request shows (``consent.grant.accreditation``).
"""

from collections.abc import Mapping
from typing import Any

from consent.errors import MessageError, NotAllowed, OutOfService
from consent.grant.accreditation import (
    StatusCheck,
    VerifiedAccreditation,
    VerifyAccreditation,
    announcement_nonce,
    read_announcement,
)
from consent.grant.detail import MAX_VCT
from consent.ledger.accreditations import AccreditationStore, StoredAccreditation
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.signed_message import exact, reading
from consent.spec import MAX_PARTY_ID
from identity.codec import members
from identity.errors import IdentityError, TrustError
from identity.trust import spec
from identity.trust.registry import Party

_WHAT = "accreditation"


class Accrediting:
    def __init__(
        self,
        operator: Operator,
        *,
        store: AccreditationStore,
        parties: Parties,
        verify: VerifyAccreditation,
        check_status: StatusCheck,
    ) -> None:
        self._operator = operator
        self._store = store
        self._parties = parties
        self._verify = verify
        self._check_status = check_status

    def announce(self, caller: Party, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises MessageError, NotAllowed, OutOfService.

        1. By a service of the list.
        2. A presentation of its own accreditation, made for us and for it.
        3. Kept without the presentation, until it ends.
        """
        # 1
        if spec.SERVICE not in caller.roles:
            raise NotAllowed("not_a_service", "accreditation: the caller is not listed as a service")
        # 2
        shown = self._shown(read_announcement(body), caller.id)
        # 3
        self._store.put(
            StoredAccreditation(
                shown.service, shown.vct, shown.accreditor, shown.issuer, shown.until, *shown.status
            )
        )  # fmt: skip
        return {"vct": shown.vct, "accreditor": shown.accreditor, "until": shown.until}

    def accredited(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The services that qualify at this moment. Raises MessageError, OutOfService."""
        what = "query"
        exact(query, what, {"vct", "accreditor"})
        with reading(what):
            vct = members.text(query, "vct", what=what, max_length=MAX_VCT)
            accreditor = members.text(query, "accreditor", what=what, max_length=MAX_PARTY_ID)
        found = self._store.valid(vct, accreditor, now=self._operator.now)
        return {
            "services": [
                {"id": party.id, "name": dict(party.name), "until": one.until}
                for one in found
                if (party := self._parties.find(one.service)) is not None and self._still_holds(one, party)
            ]
        }

    def _shown(self, presentation: str, service: str) -> VerifiedAccreditation:
        nonce = announcement_nonce(self._operator.id, service)
        try:
            return self._verify(presentation, service, self._operator.id, nonce)
        except MessageError:
            raise
        except IdentityError as fault:
            raise OutOfService(f"accreditation: {fault}") from None

    def _still_holds(self, one: StoredAccreditation, party: Party) -> bool:
        """The service, the accreditor and its issuer are listed as they were, and the credential is not revoked."""
        accreditor = self._parties.find(one.accreditor)
        if spec.SERVICE not in party.roles or accreditor is None or spec.ISSUER not in accreditor.roles:
            return False
        if accreditor.issuer != one.issuer or one.vct not in accreditor.vcts:
            return False
        try:
            self._check_status((one.status_uri, one.status_index), issuer=one.issuer, now=self._operator.now)
        except (IdentityError, TrustError):
            # Not known is not listed: the use would be refused too.
            return False
        return True
