"""The resident's answer to a request (WIRE C3): given, in part, or refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import CallerUnproven, LedgerConflict, MessageError, NotAllowed, NotKnown
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import REFUSED, VerifiedGrant, verify_grant
from consent.grant.locator import MAX_LOCATOR
from consent.ledger.accounts import StoredAccount
from consent.ledger.grant_row import GIVEN, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, mask_of
from consent.ledger.requests import RequestStore, StoredRequest
from consent.ledger.status_places import StatusPlaces
from consent.ledger.uses import SpentProof
from consent.service.catalogue import Catalogue
from consent.service.enrolling import view_key_of
from consent.service.entries import EntryMaker, Names, Written
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from consent.signed_message import exact, reading
from identity.codec import base64url, members, strict_json

_WHAT = "grant"


@dataclass(frozen=True, slots=True)
class Given:
    grant_id: str
    receipt_id: str


class Granting:
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        requests: RequestStore,
        catalogue: Catalogue,
        parties: Parties,
        openings: OpeningFolder,
        entries: EntryMaker,
        sequencer: Sequencer,
        places: StatusPlaces,
    ) -> None:
        self._places = places
        self._operator = operator
        self._grants = grants
        self._requests = requests
        self._catalogue = catalogue
        self._parties = parties
        self._openings = openings
        self._entries = entries
        self._sequencer = sequencer

    def decide(
        self, account: StoredAccount, body: Mapping[str, Any], *, proof: SpentProof | None = None
    ) -> Given | None:
        """None where the resident refused. ``proof``: the caller's, spent with what is written; None = it is already.

        Raises MessageError, NotKnown, NotAllowed, LedgerConflict, OutOfService, CallerUnproven.

        1. The grant: its own signature, its service's, nothing wider than what was asked, made just now.
        2. About the very request that lies here, and in this resident's mailbox if it lies in one.
        3. Still nothing beyond what was declared.
        4. A refusal closes the request, and nothing else.
        5. An account that was recovered waits before it gives.
        6. The opening pair is durable before the grant is; the request is closed with it.
        """
        self._sequencer.require_running()
        now = self._operator.now
        # 1
        grant, locator = self._read(body, now)
        # 2
        self._check_request(grant, account)
        # 3
        self._catalogue.check_needed(grant.service, grant.request.request.detail)
        # 4
        request_id = base64url.decode(grant.request.request.id)
        if grant.decision == REFUSED:
            self._refuse(grant, request_id, now, proof)
            return None
        # 5
        require_full(account, now)
        # 6
        return self._give(account, grant, locator, request_id, now, proof)

    def _read(self, body: Mapping[str, Any], now: int) -> tuple[VerifiedGrant, str]:
        with reading(_WHAT):
            grant = verify_grant(
                members.text(body, "grant", what=_WHAT, max_length=spec.MAX_JWS),
                key_of=self._parties.service_key,
                consent=self._operator.id,
                resolutions=self._catalogue.resolutions,
                fresh_at=now,
            )
        # A refusal names nobody's row, so it has no locator.
        locator = set() if grant.decision == REFUSED else {"locator"}
        exact(body, _WHAT, {"grant", *locator})
        with reading(_WHAT):
            return grant, members.text(body, "locator", what=_WHAT, max_length=MAX_LOCATOR) if locator else ""

    def _check_request(self, grant: VerifiedGrant, account: StoredAccount) -> None:
        found = self._requests.get(base64url.decode(grant.request.request.id))
        if found is None or found.jws != grant.request.compact or not self._may_decide(found, account):
            raise NotKnown("unknown_request")

    def _may_decide(self, request: StoredRequest, account: StoredAccount) -> bool:
        if request.mailbox is None:
            return True
        owner = self._requests.owner_of(request.mailbox)
        return owner is None or owner == account.number

    def _refuse(self, grant: VerifiedGrant, request_id: bytes, now: int, proof: SpentProof | None) -> None:
        entry = self._entries.unlinked(
            Kind.REFUSE,
            at=self._operator.milliseconds,
            service=grant.service,
            purpose=grant.detail.purpose,
            codes=self._catalogue.group_codes(grant.service, grant.detail.purpose),
            request_hash=grant.request.digest,
        )
        self._requests.refuse(request_id, now=now, entry=entry, proof=proof)
        self._sequencer.wake()

    def _give(
        self,
        account: StoredAccount,
        grant: VerifiedGrant,
        locator: str,
        request_id: bytes,
        now: int,
        proof: SpentProof | None,
    ) -> Given:
        detail = grant.detail
        if detail.not_after <= now:
            raise MessageError(f"{_WHAT}: its period has passed")
        opening = self._openings.make(grant.id, view_key_of(account))
        codes = self._catalogue.codes(grant.service, detail.purpose)
        leaf_codes = codes.to_bytes() if codes.flags else None
        names = Names(grant.service, detail.purpose, opening.raw, leaf_codes)
        written: list[Written] = []
        at = self._operator.milliseconds

        def make_entry(row: HotRow) -> Entry:
            made = self._entries.of_grant(
                Kind.GRANT,
                row,
                names,
                at=at,
                grant_hash=grant.digest,
                attributes=list(detail.attributes),
                not_after=detail.not_after,
                max_uses=detail.use_limit,
            )
            written.append(made)
            return made.entry

        try:
            self._grants.give(
                self._row(account, grant),
                GrantBody(
                    grant_jws=grant.compact,
                    locator=locator,
                    thumbprint=grant.key.thumbprint,
                    opening_key=opening.raw,
                    details=strict_json.compact(detail.to_json()).decode(),
                    last_act=None,
                    last_act_counter=None,
                    leaf_codes=leaf_codes,
                ),
                request_id=request_id,
                now=now,
                make_entry=make_entry,
                proof=proof,
            )
        except (LedgerConflict, CallerUnproven):
            self._openings.forget(opening.raw)
            raise
        self._sequencer.wake()
        receipt_id = written[-1].entry.receipt_id
        assert receipt_id is not None
        return Given(grant.id, base64url.encode(receipt_id))

    def _row(self, account: StoredAccount, grant: VerifiedGrant) -> HotRow:
        detail = grant.detail
        parties = self._catalogue.parties()
        return HotRow(
            grant_id=base64url.decode(grant.id),
            account=account.number,
            service=parties[grant.service],
            holder=parties[grant.holder],
            purpose=self._catalogue.purposes()[detail.purpose],
            state=GIVEN,
            counter=1,
            act=0,
            uses=0,
            window_start=0,
            window_uses=0,
            status_index=self._places.take(),
            **limits_of(detail),
        )


def limits_of(detail: AuthorizationDetail) -> dict[str, Any]:
    """What of a hot row the detail in force decides."""
    frequency = detail.frequency
    return {
        "mask": mask_of(detail.datatypes, detail.attributes),
        "not_before": detail.not_before,
        "not_after": detail.not_after,
        "max_uses": detail.use_limit or 0,
        "window_max": 0 if frequency is None else frequency.max,
        "window_seconds": 0 if frequency is None else frequency.seconds,
    }


def require_full(account: StoredAccount, now: int) -> None:
    """Raises NotAllowed while a recovered account may not yet give, resume, or undo what protects (DESIGN §7)."""
    if now < account.full_after:
        raise NotAllowed("recovered", f"account: recovered; it may give and resume from {account.full_after} on")
