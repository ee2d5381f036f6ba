"""Mandates (ADR 0009, D14): acting for somebody else, within verbs and purposes, until a day.

1. A fresh key for this mandate alone: it acts for one person, and proves nothing about its owner.
2. The request is the consent service's own, made for this key, and asks for the mandate and nothing
   else; the number in it is the represented person's.
3. What the consent service registers is what the mandate says, and not more.

The person represented sees who may act for them, and ends it by one act; so does whoever acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant.account import account_nonce
from consent.grant.mandate import ROLES, VERBS
from consent.spec import VCT_MANDATE
from identity.codec import base64url
from identity.codec.members import boolean, identifier, integer, text, texts
from identity.errors import EncodingError
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import Party
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.caller import Caller
from wallet_cli.consents.parties import CONSENT, endpoint
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, WalletError
from wallet_cli.present import build, choose, copies, request
from wallet_cli.present.choose import IDS, Part
from wallet_cli.store import history
from wallet_cli.store import mandates as stored
from wallet_cli.store.mandates import HeldMandate

CLAIMS = ("role", "verbs", "purposes", "until")
MAX_LISTED = 1_000
MAX_PURPOSES = 64

_WHAT = "mandate"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mandate that may be registered once the person agrees."""

    consent: Party
    signer: SoftwareSigner
    request: request.Request
    part: Part


@dataclass(frozen=True, slots=True)
class Given:
    """Somebody may act for this resident."""

    id: str
    role: str
    verbs: tuple[str, ...]
    purposes: tuple[str, ...]
    until: int

    def to_json(self) -> dict[str, Any]:
        return {
            "mandate_id": self.id,
            "role": self.role,
            "verbs": list(self.verbs),
            "purposes": list(self.purposes),
            "until": self.until,
        }


def prepare(errand: Errand, consent: Party) -> Prepared:
    """Raises RequestRefused ``no_matching_credential`` where there is no mandate, ConsentRefused, NetworkError."""
    # 1
    signer = SoftwareSigner.generate()
    # 2
    base, thumbprint = endpoint(consent, CONSENT), signer.public_key.thumbprint
    answer = errand.network.get(f"{base}/me/account/request?jkt={thumbprint}&mandate=1").expect(200, what=_WHAT)
    body = answer.object(what=_WHAT)
    try:
        compact, random = text(body, "request", what=_WHAT, max_length=65_536), text(body, "random", what=_WHAT)
        expected = account_nonce(consent.id, thumbprint, base64url.decode(random, what=_WHAT))
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    asked = request.verify(errand, compact)
    verified = asked.verified
    if asked.party is None or asked.party.id != consent.id:
        raise ConsentRefused("unknown_party", f"{_WHAT}: the request is not signed by {consent.id}")
    if verified.nonce != expected or verified.response_uri != f"{base}/me/mandates":
        raise ConsentRefused("request_invalid", f"{_WHAT}: the request is not made for our key, or not for a mandate")
    if not _asks_only_for_mandate(verified.query, consent.id):
        raise ConsentRefused("more_than_needed", f"{_WHAT}: the request asks for more than the mandate")
    return Prepared(consent, signer, asked, choose.choose(errand, verified.query)[0])


def register(errand: Errand, prepared: Prepared) -> HeldMandate:
    """Raises ConsentRefused, NetworkError."""
    verified, base = prepared.request.verified, endpoint(prepared.consent, CONSENT)
    vp_token = build.vp_token(errand, [prepared.part], audience=verified.client_id, nonce=verified.nonce)
    caller = Caller(errand.world, errand.network, prepared.signer)
    answer = caller.post(f"{base}/me/mandates", {"vp_token": vp_token}, with_jwk=True).expect(201, what=_WHAT)
    given = _read(answer.object(what=_WHAT))
    claims = prepared.part.held.claims
    # 3
    wider = set(given.verbs) - set(claims.get("verbs", ())) or given.until > int(claims.get("until", 0))
    if wider or list(given.purposes) != list(claims.get("purposes", ())):
        raise ConsentRefused("bad_answer", f"{_WHAT}: something else was registered than the mandate says")
    held = HeldMandate(
        given.id,
        prepared.consent.id,
        prepared.signer.private_jwk(),
        given.role,
        given.verbs,
        given.purposes,
        given.until,
    )
    with errand.store.transaction():
        stored.save(errand.store, held)
        history.record(errand.store, "mandated", prepared.consent.id, now=errand.now)
    copies.replenish(errand, prepared.part.held.credential)
    return held


def acting(errand: Errand, mandate: HeldMandate) -> tuple[Caller, str]:
    """Who calls, and where. Raises WalletError ``mandate_over``, ConsentRefused."""
    if errand.now >= mandate.until:
        raise WalletError("mandate_over", f"{_WHAT}: it ended on its day")
    base = errand.trust.parties().address_of_consent(mandate.consent)
    return Caller(errand.world, errand.network, SoftwareSigner.from_jwk(mandate.key)), base


def given_by(at: OpenAccount) -> list[Given]:
    """Who may act for the resident of this account. Raises NetworkError, ConsentRefused."""
    answer = at.caller.get(f"{at.base}/me/mandates")
    if answer.status == 404:
        return []
    listed = answer.expect(200, what=_WHAT).object(what=_WHAT).get("mandates")
    if not isinstance(listed, list) or len(listed) > MAX_LISTED:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {MAX_LISTED} is expected")
    return [_read(value, listed=True) for value in listed]


def end(errand: Errand, caller: Caller, base: str, mandate_id: str, consent: str) -> None:
    """By whoever is represented or whoever acts; one that is gone has ended. Raises NetworkError."""
    caller.delete(f"{base}/me/mandates/{mandate_id}").expect(200, 404, what=_WHAT)
    with errand.store.transaction():
        stored.end(errand.store, mandate_id, now=errand.now)
        history.record(errand.store, "mandate_ended", consent, now=errand.now)


def _asks_only_for_mandate(query: Any, consent: str) -> bool:
    wanted = {*((name,) for name in CLAIMS), (IDS, consent)}
    return (
        len(query.credentials) == 1
        and query.credentials[0].vct_values == (VCT_MANDATE,)
        and {claim.path for claim in query.credentials[0].claims} <= wanted
    )


def _read(value: Any, *, listed: bool = False) -> Given:
    try:
        if not isinstance(value, Mapping):
            raise EncodingError(f"{_WHAT}: an entry is an object")
        if listed:
            boolean(value, "own", what=_WHAT)
        role = text(value, "role", what=_WHAT, max_length=32)
        verbs = texts(value, "verbs", what=_WHAT, max_count=len(VERBS), max_length=32)
        if role not in ROLES or set(verbs) - set(VERBS):
            raise EncodingError(f"{_WHAT}: a role or a verb that does not exist")
        return Given(
            identifier(value, "mandate_id", what=_WHAT),
            role,
            verbs,
            texts(value, "purposes", what=_WHAT, max_count=MAX_PURPOSES),
            integer(value, "until", what=_WHAT),
        )
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
