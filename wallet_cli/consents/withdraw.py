"""Withdrawal (WIRE C5): one signed message, three doors.

The message is signed and stored before it is sent, so that a wallet that dies here goes on later.
Each door answers for itself; a door that gives no answer is tried again, now and by later commands.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant import withdrawal
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from wallet_cli.consents.parties import CONSENT, HOLDER, SERVICE, Parties
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import JSON, JWT, Network
from wallet_cli.store import consents, history
from wallet_cli.store.consents import HeldGrant
from wallet_cli.store.database import Store
from wallet_cli.world import World

TRIES = 3
PAUSES_SECONDS = (0.5, 2.0)
"""Between tries: longer than a restart of a worker, shorter than a person's patience."""

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Outcome:
    grant_id: str
    state: str
    """``withdrawn`` once a door has said so; ``given`` or ``paused`` after single attributes; else ``missing``."""
    doors: dict[str, str]


def prepare(
    world: World, store: Store, parties: Parties, grant: HeldGrant, attributes: tuple[str, ...] | None
) -> str:
    """Signs and stores one withdrawal; its ``jti``. ``attributes``: None = the whole grant."""
    jti = base64url.encode(world.random(16))
    signed = withdrawal.sign_withdrawal(
        jti=jti,
        grant_id=grant.grant_id,
        attributes=attributes,
        now=world.now,
        signer=SoftwareSigner.from_jwk(grant.grant_key),
    )
    with store.transaction():
        consents.save_withdrawal(store, jti, grant.grant_id, signed, _addresses(parties, grant), now=world.now)
        history.record(store, "withdrawn", grant.service, [grant.grant_id, *(attributes or ())], now=world.now)
    return jti


def deliver(
    network: Network, store: Store, jti: str, grant_id: str, signed: str, *, sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Knocks at every door that has not answered yet."""
    for attempt in range(TRIES):
        missing = [door for door in consents.doors(store, jti) if door.answer is None]
        if not missing:
            break
        if attempt:
            sleep(PAUSES_SECONDS[attempt - 1])
        for door in missing:
            answer = _knock(network, door.address, signed)
            if answer is not None:
                with store.transaction():
                    consents.set_door_answer(store, jti, door.door, answer)
    found = {door.door: door.answer or MISSING for door in consents.doors(store, jti)}
    state = next((found[name] for name in (CONSENT, HOLDER, SERVICE) if found.get(name) in STATES), MISSING)
    if state in STATES:
        with store.transaction():
            consents.set_grant_state(store, grant_id, state)
    return Outcome(grant_id, state, found)


STATES = ("withdrawn", "given", "paused")


def _knock(network: Network, address: str, signed: str) -> str | None:
    """The state a door answers; None where it has to be tried again."""
    try:
        answer = network.send("POST", address, headers={"Content-Type": JWT, "Accept": JSON}, content=signed)
        if answer.status not in (200, 202):
            return None
        state: Any = answer.object(what="withdrawal answer").get("state")
    except NetworkError:
        return None
    return state if state in (*STATES, "noted") else None


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
