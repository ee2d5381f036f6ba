"""Acts on a grant (WIRE C5): pause, resume, narrow. Signed whole by the grant key, each with the grant's next number.

1. The act is signed and stored before it is sent; the same act again is the same message.
2. The consent service takes it and proves that it is logged. An act number that it already knows is
   ours to raise, once.
3. The data holder takes the same message at its own door, where it has one: a pause then holds there
   whatever the consent service says later.

What nobody answered is sent again by later commands, but for a resume: a permission that opens again
by itself, days later, is nobody's wish.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import ConsentError
from consent.grant import act
from consent.grant.act import Amend, Deed, Pause, Resume
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_leaf_proof
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.parties import HOLDER, beside
from wallet_cli.consents.public_log import key_for
from wallet_cli.consents.withdraw import AGAIN_SECONDS, MISSING, NOTED
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError, WalletError
from wallet_cli.network import JSON, JWT, TIMEOUT_SECONDS, Answer, Network
from wallet_cli.store import acts, consents, history
from wallet_cli.store.acts import OwnAct
from wallet_cli.store.consents import Account, HeldGrant
from wallet_cli.store.database import Store

KINDS = {Pause.verb: Kind.PAUSE, Resume.verb: Kind.RESUME, Amend.verb: Kind.AMEND}
HISTORY: Mapping[str, history.Act] = {Pause.verb: "paused", Resume.verb: "resumed", Amend.verb: "narrowed"}
STATES = ("given", "paused")

_WHAT = "grant act"


@dataclass(frozen=True, slots=True)
class Outcome:
    grant_id: str
    verb: str
    state: str
    """Of the grant, by the consent service's answer; ``missing`` while there is none."""
    doors: dict[str, str]

    @property
    def complete(self) -> bool:
        return MISSING not in self.doors.values()

    def to_json(self) -> dict[str, Any]:
        return {"grant_id": self.grant_id, "state": self.state, "doors": self.doors}


def do(errand: Errand, at: OpenAccount, grant: HeldGrant, deed: Deed, *, last: int) -> Outcome:
    """``last``: the number of the grant's last act, as the consent service says.

    Raises ConsentRefused: ``act_refused``, ``proof_refused``.
    """
    try:
        own = _prepared(errand, at, grant, deed, last + 1)
        return _send(errand.network, errand.store, at.account, at.base, own)
    except _Renumbered as fault:
        own = _prepared(errand, at, grant, deed, fault.stored + 1)
        try:
            return _send(errand.network, errand.store, at.account, at.base, own)
        except _Renumbered:
            raise ConsentRefused("act_refused", f"{_WHAT}: its number is refused again") from None


def knock_again(errand: Errand) -> None:
    """One try for each act that somebody never answered; silent, since the next command is about something else."""
    for own in acts.untold(errand.store):
        grant = next((one for one in consents.grants(errand.store) if one.grant_id == own.grant_id), None)
        account = None if grant is None else consents.account(errand.store, grant.consent)
        if account is None or (own.state is None and own.verb == Resume.verb):
            continue
        try:
            base = errand.trust.doors().address_of_consent(account.consent)
            _send(errand.network, errand.store, account, base, own, timeout_seconds=AGAIN_SECONDS)
        except (WalletError, _Renumbered):
            continue


def own_act(store: Store, grant_id: str, digest: object) -> OwnAct | None:
    """The act of this wallet with this hash."""
    from identity.envelope import jws

    return next((one for one in acts.acts(store, grant_id) if jws.digest(one.jws) == digest), None)


class _Renumbered(Exception):
    """The consent service knows a later act than we thought."""

    def __init__(self, stored: int) -> None:
        super().__init__("act number")
        self.stored = stored


def _prepared(errand: Errand, at: OpenAccount, grant: HeldGrant, deed: Deed, number: int) -> OwnAct:
    """Step 1."""
    consent = at.consent.id
    for before in acts.acts(errand.store, grant.grant_id):
        if before.state is None and act.verify_act(before.jws, consent=consent).deed == deed:
            return before
    signer = SoftwareSigner.from_jwk(grant.grant_key)
    signed = act.sign_act(
        grant.grant_id, number, deed, consent=consent, signer=signer, now=errand.now, random=errand.world.random
    )
    made = act.verify_act(signed, consent=consent)
    own = OwnAct(made.id, grant.grant_id, number, deed.verb, signed, errand.now, _door(errand, grant))
    with errand.store.transaction():
        acts.save_act(errand.store, own)
        history.record(errand.store, HISTORY[deed.verb], grant.service, [grant.grant_id], now=errand.now)
    return own


def _door(errand: Errand, grant: HeldGrant) -> str | None:
    """Where the data holder takes acts: beside its door for withdrawals."""
    try:
        return beside(errand.trust.doors().named(grant.holder, HOLDER), "withdrawals", "acts")
    except ConsentRefused:
        return None


def _send(
    network: Network,
    store: Store,
    account: Account,
    base: str,
    own: OwnAct,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Outcome:
    """Steps 2 and 3. Raises ConsentRefused, _Renumbered."""
    state = own.state
    if state is None:
        state = _tell_consent(network, store, account, f"{base}/me/grants/{own.grant_id}", own, timeout_seconds)
    told = own.told
    # Nothing may be open at the data holder that is not open at the consent service.
    if told is None and own.door is not None and (state is not None or own.verb != Resume.verb):
        told = _tell_holder(network, store, own.door, own, timeout_seconds)
    doors = {"consent": state or MISSING} | ({} if own.door is None else {"holder": told or MISSING})
    return Outcome(own.grant_id, own.verb, state or MISSING, doors)


def _tell_consent(
    network: Network, store: Store, account: Account, address: str, own: OwnAct, timeout_seconds: float
) -> str | None:
    answer = _knock(network, "PATCH", address, own.jws, timeout_seconds)
    if answer is None or answer.status >= 500 or answer.status == 429:
        return None
    if answer.status != 200:
        _drop(store, own)
        stored = answer.object(what=_WHAT).get("act") if answer.fault()[0] == "act_number" else None
        if isinstance(stored, int) and 0 <= stored < act.MAX_ACT:
            raise _Renumbered(stored)
        code, description = answer.fault()
        raise ConsentRefused("act_refused", f"{_WHAT}: {answer.host} refused it: {code} {description}".strip())
    state = _checked(answer.object(what=_WHAT), account, own)
    with store.transaction():
        acts.set_act_state(store, own.jti, state)
        consents.set_grant_state(store, own.grant_id, state)
    return state


def _checked(body: Mapping[str, Any], account: Account, own: OwnAct) -> str:
    """The state, once the answer proves that the act is logged. Raises ConsentRefused ``proof_refused``."""
    state, counter, proved = body.get("state"), body.get("counter"), body.get("proof")
    if state not in STATES or not isinstance(proved, str) or body.get("grant_id") != own.grant_id:
        raise ConsentRefused("bad_answer", f"{_WHAT}: the answer is not of its form")
    try:
        logged = verify_leaf_proof(proved, key_for(account.log_vkey, proved.partition("\n\n")[2]).format())
    except ConsentError as fault:
        raise ConsentRefused("proof_refused", str(fault)) from None
    about = (base64url.encode(logged.leaf.id), logged.leaf.kind, logged.leaf.counter)
    if about != (own.grant_id, KINDS[own.verb], counter):
        raise ConsentRefused("proof_refused", f"{_WHAT}: the proof is about something else")
    return str(state)


def _tell_holder(network: Network, store: Store, address: str, own: OwnAct, timeout_seconds: float) -> str | None:
    answer = _knock(network, "POST", address, own.jws, timeout_seconds)
    if answer is None or answer.status not in (200, 202, 404):
        return None
    if answer.status == 404:
        # A data holder that has no such door goes by the consent service's answers.
        told = NOTED
    else:
        try:
            told = str(answer.object(what=_WHAT).get("state"))
        except NetworkError:
            return None
        if told not in (*STATES, NOTED):
            return None
    with store.transaction():
        acts.set_act_told(store, own.jti, told)
    return told


def _knock(network: Network, method: str, address: str, signed: str, timeout_seconds: float) -> Answer | None:
    try:
        headers = {"Content-Type": JWT, "Accept": JSON}
        return network.send(method, address, headers=headers, content=signed, timeout_seconds=timeout_seconds)
    except NetworkError:
        return None


def _drop(store: Store, own: OwnAct) -> None:
    with store.transaction():
        acts.drop_act(store, own.jti)
