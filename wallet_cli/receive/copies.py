"""Asking for the copies of one credential (OpenID4VCI 1.0 section 8), and believing none of them unread.

1. A fresh nonce, where the issuer has a nonce endpoint (section 7).
2. A key of its own for every copy, and a proof by each (section 8.2.1.1): aud the issuer, the nonce.
3. The request names the credential as the token answer did: identifier, else configuration.
4. The answer is at once, or deferred: then it is asked for again (section 9).
5. Every copy is verified before it is kept: trusted issuer, dates, the type that was offered, one
   of our keys, each key once. A batch with one bad copy is refused whole.
6. The issuer is told how it went, where it wants to know (section 11).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from identity.clock import Clock
from identity.codec.members import integer, text
from identity.envelope import jws
from identity.errors import CredentialError, EncodingError, IdentityError
from identity.formats.sd_jwt_vc import verify as sd_jwt_vc
from identity.keys.signer import SoftwareSigner
from wallet_cli.errors import NetworkError, OfferError, WalletError
from wallet_cli.network import Answer
from wallet_cli.receive.exchange import Exchange
from wallet_cli.receive.issuer import Configuration, Issuer
from wallet_cli.receive.token import Tokens
from wallet_cli.store.credentials import NewCopy

PROOF_TYP = "openid4vci-proof+jwt"
MAX_DEFERRED_TRIES = 20
MAX_DEFERRED_WAIT_SECONDS = 30
"""Together: who has not decided after ten minutes is asked again by the person."""


def fetch(
    exchange: Exchange,
    issuer: Issuer,
    configuration: Configuration,
    tokens: Tokens,
    *,
    client_id: str | None,
    issuer_key: sd_jwt_vc.IssuerKey,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, list[NewCopy]]:
    """The ``iss`` of the copies, and the copies. Raises OfferError, NetworkError, IdentityError."""
    signers = [SoftwareSigner.generate() for _ in range(issuer.batch_size)]
    request: dict[str, Any] = (  # 3
        {"credential_identifier": tokens.identifiers[configuration.id]}
        if configuration.id in tokens.identifiers
        else {"credential_configuration_id": configuration.id}
    )
    answer = _ask(exchange, issuer, request, signers, tokens, client_id)
    if answer.status == 400 and answer.fault()[0] == "invalid_nonce":
        # Section 8.3.1.2: the nonce was too old; a fresh one is tried once.
        answer = _ask(exchange, issuer, request, signers, tokens, client_id)
    body = answer.expect(200, 202, what="credential").object(what="credential answer")
    if answer.status == 202:
        body = _deferred(exchange, issuer, body, tokens, sleep)
    notification = body.get("notification_id")
    try:
        found = _verified(_bodies(body), configuration, signers, issuer_key, exchange.clock)
    except (WalletError, IdentityError):
        _notify(exchange, issuer, notification, "credential_failure", tokens)
        raise
    _notify(exchange, issuer, notification, "credential_accepted", tokens)
    return found


def _ask(
    exchange: Exchange,
    issuer: Issuer,
    request: Mapping[str, Any],
    signers: list[SoftwareSigner],
    tokens: Tokens,
    client_id: str | None,
) -> Answer:
    nonce = _nonce(exchange, issuer)  # 1
    claims: dict[str, Any] = {"aud": issuer.credential_issuer, "iat": int(exchange.clock())}
    # Appendix F.1: `iss` is the client, and must be absent after anonymous pre-authorized access.
    claims |= {} if client_id is None else {"iss": client_id}
    claims |= {} if nonce is None else {"nonce": nonce}
    proofs = [  # 2
        jws.sign(claims, signer, typ=PROOF_TYP, header={"jwk": signer.public_key.jwk()}) for signer in signers
    ]
    return exchange.post_json(
        issuer.credential_endpoint, {**request, "proofs": {"jwt": proofs}}, token=tokens.access_token
    )


def _nonce(exchange: Exchange, issuer: Issuer) -> str | None:
    if issuer.nonce_endpoint is None:
        return None
    answer = exchange.network.send("POST", issuer.nonce_endpoint, content=b"").expect(200, what="nonce")
    if dpop_nonce := answer.headers.get("dpop-nonce"):  # section 7.2
        exchange.remember_nonce(issuer.nonce_endpoint, dpop_nonce)
    try:
        return text(answer.object(what="nonce answer"), "c_nonce", what="nonce answer")
    except EncodingError as fault:
        raise OfferError("issuer_answer_refused", str(fault)) from None


def _deferred(
    exchange: Exchange, issuer: Issuer, body: Mapping[str, Any], tokens: Tokens, sleep: Callable[[float], None]
) -> dict[str, Any]:
    """Step 4."""
    what = "deferred credential"
    if issuer.deferred_endpoint is None:
        raise OfferError("issuer_answer_refused", f"{what}: promised, but the issuer has no endpoint to ask at")
    try:
        for _ in range(MAX_DEFERRED_TRIES):
            transaction = text(body, "transaction_id", what=what)
            sleep(integer(body, "interval", what=what, maximum=MAX_DEFERRED_WAIT_SECONDS))
            answer = exchange.post_json(
                issuer.deferred_endpoint, {"transaction_id": transaction}, token=tokens.access_token
            ).expect(200, 202, what=what)
            body = answer.object(what=what)
            if answer.status == 200:
                return dict(body)
    except EncodingError as fault:
        raise OfferError("issuer_answer_refused", str(fault)) from None
    raise OfferError("not_offered", f"{what}: not ready after {MAX_DEFERRED_TRIES} questions")


def _bodies(body: Mapping[str, Any]) -> list[str]:
    entries = body.get("credentials")
    if not isinstance(entries, list) or not entries:
        raise OfferError("issuer_answer_refused", "credential answer: 'credentials' must be a list with entries")
    bodies = [entry.get("credential") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(one, str) for one in bodies):
        raise OfferError("issuer_answer_refused", "credential answer: each entry holds one credential, as text")
    return [str(one) for one in bodies]


def _verified(
    bodies: list[str],
    configuration: Configuration,
    signers: list[SoftwareSigner],
    issuer_key: sd_jwt_vc.IssuerKey,
    clock: Clock,
) -> tuple[str, list[NewCopy]]:
    """Step 5."""
    ours = {signer.public_key.thumbprint: signer for signer in signers}
    copies: list[NewCopy] = []
    issuers: set[str] = set()
    for body in bodies:
        credential = sd_jwt_vc.verify_issuer_signed(body, issuer_key=issuer_key, now=int(clock()))
        if credential.vct != configuration.vct:
            raise CredentialError("credential: its type is not the offered one")
        signer = ours.pop(credential.holder_key.thumbprint, None) if credential.holder_key else None
        if signer is None:
            raise CredentialError("credential: is bound to no key of ours, or to one twice")
        if credential.exp is None:
            raise CredentialError("credential: has no end date")
        issuers.add(credential.iss)
        copies.append(NewCopy(body, signer.private_jwk(), credential.exp))
    if len(issuers) != 1:
        raise CredentialError("credential: the copies name different issuers")
    return issuers.pop(), copies


def _notify(exchange: Exchange, issuer: Issuer, notification: object, event: str, tokens: Tokens) -> None:
    """Step 6. A courtesy: the copies are ours whatever the issuer answers."""
    if issuer.notification_endpoint is None or not isinstance(notification, str):
        return
    try:
        exchange.post_json(
            issuer.notification_endpoint, {"notification_id": notification, "event": event}, token=tokens.access_token
        )
    except NetworkError:
        return
