"""The resident's account at a consent service: opened once (WIRE C10), then used by its key.

Opening it:
 1. Account key and view key are stored before anything is sent: an answer that gets lost is asked
    for again under the same keys.
 2. The request comes from the consent service of the list, signed by it, and asks for the number
    that only this consent service knows, and for nothing else.
 3. Its nonce is made from our key: the presentation opens no other account.
 4. The log's verifier key is the list's, pinned from now on.
"""

from dataclasses import dataclass
from typing import Any

from consent.grant.account import account_nonce
from consent.log.note import NoteKey
from consent.log.period import same_log
from identity.codec import base64url
from identity.codec.members import text
from identity.errors import EncodingError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import Party
from wallet_cli.consents.caller import Caller
from wallet_cli.consents.parties import CONSENT, endpoint
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.present import build, choose, copies, request
from wallet_cli.present.choose import IDS, PAIRWISE, Part
from wallet_cli.store import consents, history
from wallet_cli.store.consents import Account

SENDING, ACTIVE, RECOVERED = "sending", "active", "recovered"
_WHAT = "account"


@dataclass(slots=True)
class OpenAccount:
    """Ready to ask this consent service as its resident."""

    consent: Party
    account: Account
    caller: Caller
    base: str
    """Address of the consent service, without a slash at its end."""

    @property
    def view_key(self) -> AgreementPrivateKey:
        return AgreementPrivateKey.from_jwk(self.account.view_key)


@dataclass(frozen=True, slots=True)
class Opening:
    """An account that may be opened once the person agrees."""

    consent: Party
    account: Account
    request: request.Request
    number: Part
    """The pairwise identifier for this consent service."""


def held(errand: Errand, consent: Party) -> OpenAccount | None:
    """The account at this consent service, where there is one. Raises ConsentRefused."""
    account = consents.account(errand.store, consent.id)
    if account is None or account.state == SENDING:
        return None
    _require_pinned(consent, account)
    return _opened(errand, consent, account)


def all_held(errand: Errand) -> list[OpenAccount]:
    parties = errand.trust.parties()
    accounts = [held(errand, parties.named(one.consent, CONSENT)) for one in consents.accounts(errand.store)]
    return [one for one in accounts if one is not None]


def prepare(errand: Errand, consent: Party) -> Opening | OpenAccount:
    """What opening an account would show; or the account, where it turns out that it is open already."""
    account = consents.account(errand.store, consent.id) or _begin(errand, consent)  # 1
    _require_pinned(consent, account)
    opened = _opened(errand, consent, account)
    if opened.caller.get(f"{opened.base}/me/grants").status == 200:
        return _keep(errand, opened, ACTIVE)
    asked = _fetch(errand, consent, opened)  # 2, 3
    part = choose.choose(errand, asked.verified.query)[0]
    return Opening(consent, account, asked, part)


def open_account(errand: Errand, opening: Opening) -> OpenAccount:
    """Raises ConsentRefused, NetworkError."""
    opened = _opened(errand, opening.consent, opening.account)
    verified = opening.request.verified
    vp_token = build.vp_token(errand, [opening.number], audience=verified.client_id, nonce=verified.nonce)
    body = {"vp_token": vp_token, "view_jwk": opened.view_key.public.jwk()}
    answer = opened.caller.post(f"{opened.base}/me/account", body, with_jwk=True).expect(200, 201, what=_WHAT)
    state = answer.object(what=_WHAT).get("state")
    if state not in (ACTIVE, RECOVERED):
        raise ConsentRefused("bad_answer", f"{_WHAT}: the answer has no state that we know")
    kept = _keep(errand, opened, state)
    copies.replenish(errand, opening.number.held.credential)
    return kept


def _begin(errand: Errand, consent: Party) -> Account:
    if consent.log_vkey is None:
        raise ConsentRefused("unknown_party", f"registry: {consent.id} is listed without its log's key")
    key, view_key = SoftwareSigner.generate(), AgreementPrivateKey.generate()
    account = Account(consent.id, key.private_jwk(), view_key.private_jwk(), consent.log_vkey, SENDING)
    with errand.store.transaction():
        consents.save_account(errand.store, account)
    return account


def _fetch(errand: Errand, consent: Party, opened: OpenAccount) -> request.Request:
    """Steps 2 and 3. Raises ConsentRefused, RequestRefused."""
    thumbprint = opened.caller.signer.public_key.thumbprint
    answer = errand.network.get(f"{opened.base}/me/account/request?jkt={thumbprint}").expect(200, what=_WHAT)
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
    if verified.nonce != expected:
        raise ConsentRefused("request_invalid", f"{_WHAT}: the request's nonce is not made for our key")
    if verified.response_uri != f"{opened.base}/me/account":
        raise ConsentRefused("request_invalid", f"{_WHAT}: the request wants its answer elsewhere")
    if not _asks_only_for_number(verified.query, consent.id):
        raise ConsentRefused("more_than_needed", f"{_WHAT}: the request asks for more than the number for {consent.id}")
    return asked


def _asks_only_for_number(query: Any, consent: str) -> bool:
    return (
        len(query.credentials) == 1
        and query.credentials[0].vct_values == (PAIRWISE,)
        and [claim.path for claim in query.credentials[0].claims] == [(IDS, consent)]
    )


def _require_pinned(consent: Party, account: Account) -> None:
    """The log's key does not change: a new period has the same key under its own name (WIRE C6)."""
    listed, pinned = NoteKey.parse(consent.log_vkey or ""), NoteKey.parse(account.log_vkey)
    if (listed.public, listed.key_type) != (pinned.public, pinned.key_type) or not same_log(listed.name, pinned.name):
        raise ConsentRefused("proof_refused", f"registry: the log of {consent.id} has another key than the pinned one")


def _opened(errand: Errand, consent: Party, account: Account) -> OpenAccount:
    caller = Caller(errand.world, errand.network, SoftwareSigner.from_jwk(account.key))
    return OpenAccount(consent, account, caller, endpoint(consent, "consent"))


def _keep(errand: Errand, opened: OpenAccount, state: str) -> OpenAccount:
    account = opened.account
    kept = Account(account.consent, account.key, account.view_key, account.log_vkey, state)
    with errand.store.transaction():
        consents.save_account(errand.store, kept)
        history.record(errand.store, "enrolled", account.consent, now=errand.now)
    return OpenAccount(opened.consent, kept, opened.caller, opened.base)
