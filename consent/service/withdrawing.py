"""Taking back (WIRE C5): by the grant key, by the account, and the service's giving back.

Nothing that can fail stands in its way: no nonce, no counter, no log that has to run. It takes
effect when it is committed, in a transaction of its own; the answer has the proof if the log is
quick, else the log's promise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent.errors import LedgerConflict, NotKnown, OutOfService
from consent.grant.decision import State
from consent.grant.withdrawal import VerifiedWithdrawal, verify_withdrawal
from consent.ledger.accounts import StoredAccount
from consent.ledger.events import EventStore, PlacedEvent
from consent.ledger.grant_row import WITHDRAWN, Ended, Entry, GrantBody, HotRow, MakeEntry, to_spread
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf, mask_of, names_of
from consent.ledger.promise import sign_promise
from consent.ledger.proofs import ProofStore
from consent.log.note import NoteKey
from consent.log.proof import Proof
from consent.service.allowance import Allowance
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker, Names
from consent.service.in_force import stored_detail
from consent.service.operator import Operator
from consent.service.path_id import path_id
from consent.service.sequencer import Logged, Sequencer
from consent.signed_message import exact, reading
from consent.spec import MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES
from identity.codec import base64url, members, strict_json
from identity.keys.ed25519 import Ed25519Signer
from identity.trust.registry import Party

LOG_SECONDS = 1.0
"""How long an answer waits for its proof (WIRE C5: logged within 1 s)."""

PROMISE_SECONDS = 60
"""When a promised leaf is due that need not wait: a restart of the service fits in."""

NOTED_PER_MINUTE = 100
"""WIRE C5: withdrawals of unknown grants from one address."""

ATTEMPTS = 3
"""Looks at an ending whose counter changes under the answer."""

_ENDS = frozenset({Kind.AMEND, Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE, Kind.ERASE})

BY_ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """``left``: the attributes still granted; empty = the grant has ended."""

    state: State
    left: tuple[str, ...]
    counter: int
    effective_at: int
    proof: str | None
    promise: str | None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"state": self.state.word}
        if self.left:
            value["attributes"] = list(self.left)
        value |= {"counter": self.counter, "effective_at": self.effective_at}
        return value | ({"promise": self.promise} if self.proof is None else {"proof": self.proof})


class Withdrawing:
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        events: EventStore,
        noted: ProofStore,
        catalogue: Catalogue,
        entries: EntryMaker,
        sequencer: Sequencer,
        log_signer: Ed25519Signer,
    ) -> None:
        self._operator = operator
        self._grants = grants
        self._events = events
        self._noted = noted
        self._catalogue = catalogue
        self._entries = entries
        self._sequencer = sequencer
        self._log_signer = log_signer
        self._unknown = Allowance(NOTED_PER_MINUTE, operator.clock)

    def by_grant_key(self, compact: str, *, address: str) -> Withdrawn | None:
        """The door for everybody. None = noted: no such grant, or not this key's; the same for both.

        Raises MessageError, TooMany.
        """
        message = verify_withdrawal(compact)
        grant_id = base64url.decode(message.grant_id)
        limited = False
        while True:
            found = self._grants.get(grant_id)
            if found is not None and found[1].thumbprint == message.key.thumbprint:
                return self._end(grant_id, found, message)
            if not limited:
                self._unknown.spend(address)
                limited = True
            if found is not None or self._note(grant_id, message):
                return None
            # The grant came between the two looks: it is ended like any other.

    def _end(self, grant_id: bytes, found: tuple[HotRow, GrantBody], message: VerifiedWithdrawal) -> Withdrawn:
        def end() -> Ended:
            ended = self._grants.withdraw(
                grant_id,
                thumbprint=message.key.thumbprint,
                mask=_mask(found[1], message.attributes),
                at_milliseconds=self._operator.milliseconds,
                make_entry=self._make_entry(*found, withdrawal_hash=message.digest),
            )
            assert ended is not None
            return ended

        return self._answer(end, found[1])

    def _note(self, grant_id: bytes, message: VerifiedWithdrawal) -> bool:
        attributes = None if message.attributes is None else list(message.attributes)
        return self._noted.note_withdrawal(
            grant_id,
            message.key.thumbprint,
            strict_json.compact(attributes).decode(),
            now=self._operator.now,
        )

    def by_account(
        self, account: StoredAccount, grant_id: str, body: Mapping[str, Any], *, by: str = BY_ACCOUNT
    ) -> Withdrawn:
        """For whoever has the account and no grant key, or a mandate (``by``). Raises MessageError, NotKnown."""
        exact(body, "withdrawal", set(), {"attributes"})
        attributes = None
        if body.get("attributes") is not None:
            with reading("withdrawal"):
                attributes = members.texts(
                    body, "attributes", what="withdrawal", max_count=MAX_ATTRIBUTES, max_length=MAX_ATTRIBUTE_NAME
                )
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        if raw is None or found is None or found[0].account != account.number:
            raise NotKnown("unknown_grant")
        number = account.number

        def end() -> Ended:
            ended = self._grants.withdraw_by_account(
                raw,
                account=number,
                mask=_mask(found[1], attributes),
                at_milliseconds=self._operator.milliseconds,
                make_entry=self._make_entry(*found, by=by),
            )
            assert ended is not None
            return ended

        return self._answer(end, found[1])

    def give_back(self, party: Party, grant_id: str) -> Ended:
        """The service ends a grant of its own. Raises NotKnown, LedgerConflict (a state)."""
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        number = self._catalogue.parties().get(party.id)
        if raw is None or found is None or number is None:
            raise NotKnown("unknown_grant")
        ended = self._grants.revoke(
            raw,
            service=number,
            at_milliseconds=self._operator.milliseconds,
            make_entry=self._make_entry(*found, by=party.id),
        )
        if ended is None:
            raise NotKnown("unknown_grant")
        if ended.row.state != State.REVOKED:
            raise LedgerConflict(State(ended.row.state).word)
        self._sequencer.wake()
        return ended

    def promise(self, event: PlacedEvent) -> str:
        """The log's word that this event's leaf will be in it: the first word that was given stands."""
        key: NoteKey = self._sequencer.writer.key
        due = event.promised or self._operator.now + PROMISE_SECONDS
        return sign_promise(Leaf.from_bytes(event.leaf), due=due, key=key, signer=self._log_signer)

    def _make_entry(self, row: HotRow, body: GrantBody, **how: Any) -> MakeEntry:
        detail = stored_detail(body)
        names = Names(self._catalogue.party_id(row.service), detail.purpose, body.opening_key, body.leaf_codes)
        at = self._operator.milliseconds

        def make(after: HotRow) -> Entry:
            if after.state == State.REVOKED:
                return self._entries.of_grant(Kind.REVOKE, after, names, at=at, **how).entry
            if after.state == WITHDRAWN:
                return waiting(self._entries.of_grant(Kind.WITHDRAW, after, names, at=at, **how).entry)
            made = self._entries.of_grant(
                Kind.AMEND,
                after,
                names,
                at=at,
                attributes=list(names_of(detail.datatypes, after.mask)),
                not_after=after.not_after,
                max_uses=after.max_uses or None,
                **how,
            )
            return waiting(made.entry)

        def waiting(entry: Entry) -> Entry:
            # A wallet that ends everything at once must not be recognised by neighbours in the log.
            return replace(entry, due=to_spread(at))

        return make

    def _answer(self, end: Callable[[], Ended], body: GrantBody) -> Withdrawn:
        """``end`` ends it, or finds that it has ended. Raises OutOfService."""
        for _ in range(ATTEMPTS):
            ended = end()
            key = (ended.row.grant_id, ended.counter)
            logged = (self._sequencer.find(*key) if ended.repeated else None) or self._logged(ended)
            event = self._events.of_grant(*key)
            if event is not None and _tells(event, ended, logged):
                break
            # The database was behind its log, which has given this counter to another leaf: it has a new one.
        else:
            raise OutOfService("log: the withdrawal stands, its place in the log is not known yet")
        return Withdrawn(
            state=State(ended.row.state),
            left=names_of(stored_detail(body).datatypes, ended.row.mask),
            counter=ended.counter,
            effective_at=ended.effective_at // 1000,
            proof=None if logged is None else logged.proof,
            promise=None if logged is not None else self.promise(event),
        )

    def _logged(self, ended: Ended) -> Logged | None:
        """With its proof, where the log is quick; a leaf that will wait is not waited for."""
        key = (ended.row.grant_id, ended.counter)
        if self._events.closed_lately(ended.row.account, now=self._operator.milliseconds):
            self._sequencer.wake()
            return self._sequencer.find(*key)
        return self._sequencer.wait(*key, seconds=LOG_SECONDS)


def _tells(event: PlacedEvent, ended: Ended, logged: Logged | None) -> bool:
    """Whether this event is of that ending, and what was proven is its leaf: the same commitment."""
    if not ended.repeated and event.kind not in _ENDS:
        return False
    if logged is None:
        return True
    return Leaf.from_bytes(Proof.parse(logged.proof).entry).commitment == Leaf.from_bytes(event.leaf).commitment


def _mask(body: GrantBody, attributes: tuple[str, ...] | None) -> int | None:
    """The bits to end; an attribute that was never asked for has none and withdraws nothing."""
    if attributes is None:
        return None
    datatypes = stored_detail(body).datatypes
    return mask_of(datatypes, [name for name in attributes if name in datatypes])
