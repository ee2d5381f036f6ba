"""Erasure (ADR 0009, D10): what was sealed is opened by nobody any more; leaves and proofs stay valid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from consent.errors import LedgerConflict, NotKnown
from consent.grant.lifecycle import State
from consent.ledger import spreading
from consent.ledger.accounts import StoredAccount
from consent.ledger.ended_grants import EndedGrants, Erasable
from consent.ledger.grant_row import Entry, GrantBody, HotRow, MakeEntry
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.service.expiring import BY_END
from consent.service.granting import require_full
from consent.service.in_force import state_at
from consent.service.of_grant import GrantEntries
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.path_id import path_id
from consent.service.sequencer import Sequencer
from consent.signed_message import exact, reading
from identity.codec import base64url, jcs, members
from identity.envelope import jws
from identity.errors import IdentityError

_WHAT = "erasure"


@dataclass(frozen=True, slots=True)
class Erased:
    grants: tuple[str, ...]
    account: bool

    def to_json(self) -> dict[str, Any]:
        return {"erased": list(self.grants), "account": "erased" if self.account else "kept"}


class Erasing:
    def __init__(
        self,
        operator: Operator,
        *,
        ended: EndedGrants,
        grants: GrantStore,
        openings: OpeningFolder,
        entries: GrantEntries,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._ended = ended
        self._grants = grants
        self._openings = openings
        self._entries = entries
        self._sequencer = sequencer

    def erase(self, account: StoredAccount, body: Mapping[str, Any]) -> Erased:
        """Raises MessageError, NotAllowed, NotKnown, LedgerConflict (a state).

        1. One grant by its id, or all that have ended.
        2. Not by an account that was recovered just now.
        3. Only what has ended; an end is final, so nothing can change that meanwhile.
        4. The sealed keys first: whatever fails afterwards, nobody opens anything of these grants again.
        5. Rows, sealed events, and the account where nothing is left of it.
        """
        # 1
        exact(body, _WHAT, frozenset({"grant_id"}))
        wanted = None
        if body["grant_id"] is not None:
            with reading(_WHAT):
                wanted = members.identifier(body, "grant_id", what=_WHAT)
        # 2
        now = self._operator.now
        require_full(account, now)
        # 3
        rows = self._one(account, wanted) if wanted is not None else self._all(account)
        # 4
        for row, grant_body in rows:
            for public in (grant_body.opening_key, *self._ended.former_openings(row.grant_id)):
                self._openings.forget(public)
        # 5
        digest = base64url.encode(sha256(jcs.canonicalize(dict(body))).digest())
        alone = len(rows) == 1
        gone = self._ended.erase(
            account.number,
            [self._erasable(row, grant_body, digest, alone=alone) for row, grant_body in rows],
            now=now,
            whole_account=wanted is None,
        )
        self._sequencer.wake()
        return Erased(tuple(base64url.encode(row.grant_id) for row, _ in rows), gone)

    def _one(self, account: StoredAccount, grant_id: str) -> list[tuple[HotRow, GrantBody]]:
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        if found is None or found[0].account != account.number:
            raise NotKnown("unknown_grant")
        state = state_at(found[0], self._operator.now)
        if state in (State.GIVEN, State.PAUSED):
            raise LedgerConflict(state.word)
        return [found]

    def _all(self, account: StoredAccount) -> list[tuple[HotRow, GrantBody]]:
        found = []
        for row in self._grants.of_account(account.number):
            body = self._grants.body(row.grant_id)
            if body is not None and state_at(row, self._operator.now) not in (State.GIVEN, State.PAUSED):
                found.append((row, body))
        return found

    def _erasable(self, row: HotRow, body: GrantBody, digest: str, *, alone: bool) -> Erasable:
        at = self._operator.milliseconds
        due = None if alone else spreading.due(at, self._operator.random)
        return Erasable(
            row.grant_id,
            _request_id(body),
            self._entries.maker(Kind.EXPIRE, row, body, at=at, due=due, by=BY_END),
            _unsealed(self._entries.maker(Kind.ERASE, row, body, at=at, due=due, hash=digest)),
        )


def _unsealed(make: MakeEntry) -> MakeEntry:
    """Without what was sealed to a key that nobody has any more."""

    def without(row: HotRow) -> Entry:
        return replace(make(row), sealed=None)

    return without


def _request_id(body: GrantBody) -> bytes | None:
    """Of the request within the grant: its stored row names the grant."""
    try:
        request = jws.parse(body.grant_jws, what=_WHAT).claims(what=_WHAT)["request"]
        return base64url.decode(jws.parse(request, what=_WHAT).claims(what=_WHAT)["jti"])
    except (IdentityError, KeyError):
        return None
