"""Acts on a grant (WIRE C5): pause, resume, narrow. Signed whole by the grant key, in their own numbers."""

from dataclasses import dataclass, replace
from typing import Any

from consent.errors import MessageError, NotKnown, OutOfService
from consent.grant import lifecycle
from consent.grant.act import Amend, Deed, Pause, Resume, verify_act
from consent.grant.lifecycle import Actor, State
from consent.grant.narrowing import Resolutions, check_not_wider
from consent.ledger.accounts import AccountStore, StoredAccount
from consent.ledger.grant_row import Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker, Names
from consent.service.granting import limits_of, require_full
from consent.service.in_force import detail_in_force, stored_detail
from consent.service.operator import Operator
from consent.service.path_id import path_id
from consent.service.sequencer import Sequencer
from identity.codec import strict_json

LOG_SECONDS = 4.0
"""How long the answer waits for its proof. The act stands; the same JWS again asks for the answer."""

_WHAT = "grant act"
_KINDS = {Pause.verb: Kind.PAUSE, Resume.verb: Kind.RESUME, Amend.verb: Kind.AMEND}


@dataclass(frozen=True, slots=True)
class Acted:
    grant_id: str
    state: State
    counter: int
    act: int
    proof: str

    def to_json(self) -> dict[str, Any]:
        return {
            "grant_id": self.grant_id,
            "state": self.state.word,
            "counter": self.counter,
            "act": self.act,
            "proof": self.proof,
        }


class Acting:
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        accounts: AccountStore,
        catalogue: Catalogue,
        entries: EntryMaker,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._grants = grants
        self._accounts = accounts
        self._catalogue = catalogue
        self._entries = entries
        self._sequencer = sequencer

    def act(self, grant_id: str, compact: str) -> Acted:
        """Raises MessageError, NotKnown, NotAllowed, LedgerConflict (``act_number``, a state), OutOfService.

        1. Signed whole, for us, about the grant in the address.
        2. By that grant's key: for everybody else there is no such grant.
        3. The next act of the grant, and one that its state allows; narrower than what is in force.
        4. Logged: the answer has the proof.
        """
        self._sequencer.require_running()
        # 1
        act = verify_act(compact, consent=self._operator.id)
        if act.grant_id != grant_id:
            raise MessageError(f"{_WHAT}: made for another grant than the address names")
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        # 2
        if raw is None or found is None or found[1].thumbprint != act.key.thumbprint:
            raise NotKnown("unknown_grant")
        row, body = found
        # Whatever asks the database is asked before the transaction of the act begins.
        present = stored_detail(body)
        names = Names(self._catalogue.party_id(row.service), present.purpose, body.opening_key, body.leaf_codes)
        resolutions = self._catalogue.resolutions(present)
        if isinstance(act.deed, Resume):
            require_full(self._account(row), self._operator.now)
        at = self._operator.milliseconds

        def make_entry(after: HotRow) -> Entry:
            more: dict[str, Any] = {"act_hash": act.digest}
            if isinstance(act.deed, Amend):
                detail = act.deed.detail
                more |= {
                    "attributes": list(detail.attributes),
                    "not_after": detail.not_after,
                    "max_uses": detail.use_limit,
                }
            return self._entries.of_grant(_KINDS[act.deed.verb], after, names, at=at, **more).entry

        # 3
        done = self._grants.act(
            raw,
            act=act.number,
            act_hash=act.digest,
            change=lambda before, body: _change(act.deed, before, body, resolutions),
            make_entry=make_entry,
        )
        # 4
        logged = self._sequencer.find(raw, done.counter) or self._sequencer.wait(raw, done.counter, seconds=LOG_SECONDS)
        if logged is None:
            raise OutOfService("log: the act stands, its proof is not there yet")
        return Acted(grant_id, State(done.state), done.counter, done.act, logged.proof)

    def _account(self, row: HotRow) -> StoredAccount:
        account = self._accounts.by_number(row.account)
        if account is None:
            raise NotKnown("unknown_grant")
        return account


def _change(deed: Deed, row: HotRow, body: GrantBody, resolutions: Resolutions) -> tuple[HotRow, str]:
    """The row as it shall be, and the details in force. Raises what forbids the act."""
    state = lifecycle.after(State(row.state), deed.verb, by=Actor.RESIDENT)
    if not isinstance(deed, Amend):
        return replace(row, state=state.value), body.details
    check_not_wider(detail_in_force(row, body), deed.detail, resolutions, what=_WHAT)
    return replace(row, **limits_of(deed.detail)), strict_json.compact(deed.detail.to_json()).decode()
