"""Withdrawal (WIRE C5): one signed message, three doors.

The message is signed and stored before it is sent, so that a wallet that dies here goes on later.
Each door answers for itself; a door that gives no answer is tried again, now and by later commands.
The consent service also proves that the withdrawal is logged, or promises that it will be: the
promise is kept until the log has kept it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consent.errors import ConsentError
from consent.grant import withdrawal
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_leaf_proof
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from wallet_cli.consents.parties import CONSENT, HOLDER, SERVICE, Parties
from wallet_cli.consents.public_log import key_for, promise_under
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import JSON, JWT, TIMEOUT_SECONDS, Network
from wallet_cli.store import consents, history
from wallet_cli.store.consents import Account, HeldGrant
from wallet_cli.store.database import Store
from wallet_cli.world import World

TRIES = 3
PAUSES_SECONDS = (0.5, 2.0)
"""Between tries: longer than a restart of a worker, shorter than a person's patience."""

AGAIN_SECONDS = 3.0
"""For a door that did not answer before: the person wants something else now."""

SAID_AGAIN = 4
"""Promised withdrawals that one command repeats, the ones due first: nobody waits for more."""

MISSING, NOTED, WITHDRAWN = "missing", "noted", "withdrawn"
STATES = (WITHDRAWN, "given", "paused")
ENDED = ("revoked", "expired", "invalidated", "erased")
"""A door that says so has nothing left to take back."""
DOORS = (CONSENT, HOLDER, SERVICE)
_ENDINGS = (Kind.WITHDRAW, Kind.AMEND, Kind.REVOKE, Kind.EXPIRE)


@dataclass(frozen=True, slots=True)
class Outcome:
    grant_id: str
    state: str
    """``withdrawn`` once a door has said so; ``given`` or ``paused`` after single attributes; else ``missing``."""
    doors: dict[str, str]
    fault: str | None = None
    """What is wrong with the consent service's evidence, where something is."""

    @property
    def complete(self) -> bool:
        return MISSING not in self.doors.values()

    def to_json(self) -> dict[str, Any]:
        return {"grant_id": self.grant_id, "state": self.state, "doors": self.doors}


def prepare(
    world: World, store: Store, parties: Parties, grant: HeldGrant, attributes: tuple[str, ...] | None
) -> tuple[str, str]:
    """``jti`` and JWS of a withdrawal that is signed and stored. ``attributes``: None = the whole grant.

    The same withdrawal again is the same message: doors that have not answered get it once more.
    """
    for jti, jws, _ in consents.withdrawals(store, grant.grant_id):
        before = withdrawal.verify_withdrawal(jws).attributes
        if before is None or (attributes is not None and set(before) == set(attributes)):
            return jti, jws
    signed = withdrawal.sign_withdrawal(
        grant.grant_id,
        attributes,
        signer=SoftwareSigner.from_jwk(grant.grant_key),
        now=world.now,
        random=world.random,
    )
    # Read back as a door reads it: one that every door would refuse is never stored.
    jti = withdrawal.verify_withdrawal(signed).id
    with store.transaction():
        consents.save_withdrawal(store, jti, grant.grant_id, signed, _addresses(parties, grant), now=world.now)
        history.record(store, "withdrawn", grant.service, [grant.grant_id, *(attributes or ())], now=world.now)
    return jti, signed


def deliver(
    network: Network,
    store: Store,
    jti: str,
    grant_id: str,
    signed: str,
    *,
    tries: int = TRIES,
    timeout_seconds: float = TIMEOUT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Knocks at every door that has not answered yet."""
    fault: str | None = None
    for attempt in range(tries):
        missing = [door for door in consents.doors(store, jti) if door.answer is None]
        if not missing:
            break
        if attempt:
            sleep(PAUSES_SECONDS[attempt - 1])
        for door in missing:
            answer = _knock(network, door.address, signed, timeout_seconds)
            if answer is None:
                continue
            effective_at = answer.get("effective_at")
            with store.transaction():
                consents.set_door_answer(
                    store,
                    jti,
                    door.door,
                    str(answer["state"]),
                    effective_at if isinstance(effective_at, int) and answer["state"] in STATES else None,
                )
            if door.door == CONSENT:
                fault = _keep_evidence(store, grant_id, answer)
    found = {door.door: door.answer or MISSING for door in consents.doors(store, jti)}
    state = next((found[name] for name in DOORS if found.get(name) in STATES), MISSING)
    if state in STATES:
        with store.transaction():
            consents.set_grant_state(store, grant_id, state)
    return Outcome(grant_id, state, found, fault)


def deliver_all(
    network: Network,
    store: Store,
    prepared: Sequence[tuple[HeldGrant, str, str]],
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Many withdrawals, (grant, jti, jws) each. All are told once before any silent door is tried again."""
    found: dict[str, Outcome] = {}
    faults: dict[str, str] = {}
    for attempt in range(TRIES):
        waiting = [one for one in prepared if one[1] not in found or not found[one[1]].complete]
        if not waiting:
            break
        if attempt:
            sleep(PAUSES_SECONDS[attempt - 1])
        for grant, jti, signed in waiting:
            # A door that kept silent once has the next withdrawals told to it quickly, and again later.
            silent = any(not outcome.complete for outcome in found.values())
            patience = AGAIN_SECONDS if attempt or silent else TIMEOUT_SECONDS
            outcome = deliver(network, store, jti, grant.grant_id, signed, tries=1, timeout_seconds=patience)
            if outcome.fault is not None:
                faults[jti] = outcome.fault
            found[jti] = replace(outcome, fault=faults.get(jti))
            progress(len(found), len(prepared))
    return [found[jti] for _, jti, _ in prepared]


def knock_again(network: Network, store: Store) -> list[Outcome]:
    """One try at every door that never answered, by whatever command comes next; those now complete.

    A consent service that only promised the leaf hears it again too: where an old copy of its database
    was restored meanwhile, what stands in no log is lost with it, and this message is what brings it back.
    """
    for address, signed in consents.promised_withdrawals(store)[:SAID_AGAIN]:
        _knock(network, address, signed, AGAIN_SECONDS)
    again = [
        deliver(network, store, jti, grant_id, signed, tries=1, timeout_seconds=AGAIN_SECONDS)
        for jti, grant_id, signed in consents.open_withdrawals(store)
    ]
    return [outcome for outcome in again if outcome.complete]


def _knock(network: Network, address: str, signed: str, timeout_seconds: float) -> dict[str, Any] | None:
    """What a door answers; None where it has to be tried again."""
    try:
        headers = {"Content-Type": JWT, "Accept": JSON}
        answer = network.send("POST", address, headers=headers, content=signed, timeout_seconds=timeout_seconds)
        if answer.status not in (200, 202):
            return None
        body = answer.object(what="withdrawal answer")
    except NetworkError:
        return None
    if body.get("state") in ENDED:
        return {**body, "state": WITHDRAWN}
    return body if body.get("state") in (*STATES, NOTED) else None


def _keep_evidence(store: Store, grant_id: str, answer: Mapping[str, Any]) -> str | None:
    """Checks the proof, or keeps the promise, of the consent service; what is wrong with it, or None."""
    grant = next((one for one in consents.grants(store) if one.grant_id == grant_id), None)
    account = None if grant is None else consents.account(store, grant.consent)
    if account is None or answer["state"] == NOTED:
        return None
    return keep_evidence(store, account, grant_id, answer)


def keep_evidence(store: Store, account: Account, grant_id: str, answer: Mapping[str, Any]) -> str | None:
    """Of an ending: its proof is checked, its promise kept until the log has kept it."""
    try:
        if isinstance(promised := answer.get("promise"), str):
            promise = promise_under(promised, account.log_vkey)
            _require_about(promise.leaf.id, promise.leaf.kind, grant_id)
            with store.transaction():
                consents.save_promise(store, grant_id, promise.leaf.counter, promised, promise.due)
            return None
        if isinstance(proved := answer.get("proof"), str):
            signed_checkpoint = proved.partition("\n\n")[2]
            logged = verify_leaf_proof(proved, key_for(account.log_vkey, signed_checkpoint).format())
            _require_about(logged.leaf.id, logged.leaf.kind, grant_id)
            return None
    except ConsentError as fault:
        return str(fault)
    return "withdrawal answer: neither a proof nor a promise"


def _require_about(leaf_id: bytes, kind: Kind, grant_id: str) -> None:
    if base64url.encode(leaf_id) != grant_id or kind not in _ENDINGS:
        raise ConsentError("withdrawal answer: its leaf is about something else")


def _addresses(parties: Parties, grant: HeldGrant) -> Mapping[str, str]:
    """The three doors, from the list. One party missing there does not keep the others from being told."""
    found: dict[str, str] = {}
    for door, party_id in ((CONSENT, grant.consent), (HOLDER, grant.holder), (SERVICE, grant.service)):
        try:
            endpoints = parties.named(party_id, door).endpoints
        except ConsentRefused:
            continue
        address = endpoints.get("withdrawals")
        if not address and door == CONSENT and endpoints.get("consent"):
            address = endpoints["consent"].rstrip("/") + "/withdrawals"
        if address:
            found[door] = address
    if not found:
        raise ConsentRefused("unknown_party", "registry: lists none of the three doors of this grant")
    return found
