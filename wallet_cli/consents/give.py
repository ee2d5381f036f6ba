"""Giving, or refusing, what was asked (WIRE C3).

1. A fresh grant key; the grant names the whole request and says what is given.
2. The link key signs the grant's hash, in a locator that only the data holder can open.
3. Grant and key are stored, as ``sending``, before anything leaves.
4. The consent service answers. Where its answer is lost, it is asked what became of the grant, at
   once and by later commands.

A grant that left the wallet can be used by whoever has it, also by a consent service that says it
never came. So its key is kept, and one that was not taken is taken back at every door.
"""

from typing import Any

from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import FRESH_SECONDS, GIVEN, REFUSED, sign_grant
from consent.grant.locator import seal_locator
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random
from wallet_cli.consents import withdraw
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.request import Asked
from wallet_cli.consents.withdraw import WITHDRAWN
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError, WalletError
from wallet_cli.store import consents, history
from wallet_cli.store.consents import HeldGrant, HolderLink

SENDING, UNTAKEN = "sending", "untaken"
MAX_GRANTS = 10_000
"""Of one resident; a longer answer is not read to its end."""

_WHAT = "grant"


def give(errand: Errand, asked: Asked, detail: AuthorizationDetail, link: HolderLink, at: OpenAccount) -> HeldGrant:
    """The grant, given. Raises ConsentRefused: ``grant_refused``, or ``grant_unanswered`` while nobody knows."""
    # 1
    key = SoftwareSigner.generate()
    grant_id = _fresh_id(errand.world.random)
    signed = sign_grant(
        grant_id=grant_id, request=asked.request, detail=detail, decision=GIVEN, now=errand.now, signer=key
    )
    # 2
    assert link.handle is not None
    locator = seal_locator(
        asked.data.hpke,
        holder=asked.holder.id,
        grant=signed,
        link=link.handle,
        link_signer=SoftwareSigner.from_jwk(link.key),
    )
    # 3
    grant = HeldGrant(
        grant_id=grant_id,
        consent=asked.consent.id,
        service=asked.service.id,
        holder=asked.holder.id,
        grant_jws=signed,
        grant_key=key.private_jwk(),
        state=SENDING,
        given_at=errand.now,
        receipt=None,
        purpose=asked.purpose_jws,
    )
    with errand.store.transaction():
        consents.save_grant(errand.store, grant)
    # 4
    _send(errand, grant, at, {"grant": signed, "locator": locator})
    with errand.store.transaction():
        consents.set_grant_state(errand.store, grant_id, GIVEN)
        history.record(errand.store, "granted", asked.service.id, [grant_id, *detail.attributes], now=errand.now)
    return consents.find_grants(errand.store, grant_id)[0]


def refuse(errand: Errand, asked: Asked, at: OpenAccount) -> None:
    """Tells the consent service no: the service then need not wait. Raises NetworkError."""
    signed = sign_grant(
        grant_id=base64url.encode(errand.world.random(16)),
        request=asked.request,
        detail=asked.request.request.detail,
        decision=REFUSED,
        now=errand.now,
        signer=SoftwareSigner.generate(),
    )
    at.caller.post(f"{at.base}/me/grants", {"grant": signed}).expect(201, what="refusal")


def resolve(errand: Errand, at: OpenAccount) -> dict[str, Any]:
    """What became of grants whose answer was lost, and of the others; the service's own words by grant id.

    Raises NetworkError, and ConsentRefused where the service takes back what it had said.
    """
    listed = fetch_states(at)
    untaken: list[HeldGrant] = []
    with errand.store.transaction():
        for grant in consents.grants(errand.store):
            if grant.consent != at.account.consent:
                continue
            said = listed.get(grant.grant_id)
            if said is None:
                # Its time has passed: an honest consent service takes it no more.
                over = grant.state == SENDING and errand.now > grant.given_at + FRESH_SECONDS
                if over or (grant.state == UNTAKEN and not consents.withdrawals(errand.store, grant.grant_id)):
                    untaken.append(grant)
            elif grant.state != WITHDRAWN:
                # Where any door took a withdrawal, it holds, whatever the consent service says.
                if grant.state in (SENDING, UNTAKEN):
                    history.record(errand.store, "granted", grant.service, [grant.grant_id], now=errand.now)
                consents.set_grant_state(errand.store, grant.grant_id, str(said["state"]))
    for grant in untaken:
        _take_back(errand, grant)
    return listed


def _take_back(errand: Errand, grant: HeldGrant) -> None:
    """One that was not taken. A door that does not answer now is told by later commands."""
    with errand.store.transaction():
        consents.set_grant_state(errand.store, grant.grant_id, UNTAKEN)
    try:
        jti, signed = withdraw.prepare(errand.world, errand.store, errand.trust.doors(), grant, None)
    except WalletError:
        # Without the list there are no doors to go to: it is tried again when the grants are looked at.
        return
    withdraw.deliver(
        errand.network,
        errand.store,
        jti,
        grant.grant_id,
        signed,
        tries=1,
        timeout_seconds=withdraw.AGAIN_SECONDS,
    )


def fetch_states(at: OpenAccount) -> dict[str, Any]:
    """Grant id → ``{"grant_id","state","counter","act"}``."""
    what = "grants"
    body = at.caller.get(f"{at.base}/me/grants").expect(200, what=what).object(what=what)
    listed = body.get("grants")
    if not isinstance(listed, list) or len(listed) > MAX_GRANTS:
        raise ConsentRefused("bad_answer", f"{what}: a list of at most {MAX_GRANTS} is expected")
    for one in listed:
        if not (
            isinstance(one, dict)
            and isinstance(one.get("grant_id"), str)
            and one.get("state") in STATES
            and isinstance(one.get("counter"), int)
        ):
            raise ConsentRefused("bad_answer", f"{what}: an entry is not of its form")
    return {one["grant_id"]: one for one in listed}


STATES = frozenset({"given", "paused", "withdrawn", "revoked", "expired", "invalidated", "erased"})


def _fresh_id(random: Random) -> str:
    """A person types it: one that begins with a dash would look like an option."""
    while (grant_id := base64url.encode(random(16))).startswith("-"):
        pass
    return grant_id


def _send(errand: Errand, grant: HeldGrant, at: OpenAccount, body: dict[str, str]) -> None:
    """Step 4."""
    try:
        answer = at.caller.post(f"{at.base}/me/grants", body)
        if answer.status == 201:
            named = answer.object(what=_WHAT)
            if named.get("grant_id") == grant.grant_id and named.get("state") == GIVEN:
                return
        elif 400 <= answer.status < 500:
            code, description = answer.fault()
            _take_back(errand, grant)
            raise ConsentRefused("grant_refused", f"{_WHAT}: {answer.host} refused it: {code} {description}".strip())
    except NetworkError:
        pass
    try:
        arrived = grant.grant_id in fetch_states(at)
    except NetworkError:
        arrived = False
    if not arrived:
        raise ConsentRefused("grant_unanswered", f"{_WHAT}: no answer came; what became of it is asked later")
