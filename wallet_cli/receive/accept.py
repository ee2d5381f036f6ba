"""From an offer to stored credentials: one function for the whole act, nothing stored before all of it is right."""

from collections.abc import Callable
from dataclasses import dataclass

from identity.codec import base64url
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.keys.signer import SoftwareSigner
from wallet_cli.errors import OfferError
from wallet_cli.network import Network
from wallet_cli.receive import authorization, copies, token
from wallet_cli.receive.exchange import Exchange
from wallet_cli.receive.issuer import Configuration, Issuer
from wallet_cli.receive.offer import Offer
from wallet_cli.store import credentials, history
from wallet_cli.store.credentials import Credential, Issuance, NewCopy
from wallet_cli.store.database import Store
from wallet_cli.world import World

CLIENT_ID = "atorga-wallet"
"""The same for every wallet: it tells one wallet from another as little as a browser's name does."""

IDENTIFIER_BYTES = 5
"""A credential's id in this store only; ten characters that a person can type."""


@dataclass(frozen=True, slots=True)
class Received:
    configuration: Configuration
    identifier: str | None
    issuer: str
    copies: list[NewCopy]


Authorize = Callable[[Exchange], authorization.Code]


def wanted(issuer: Issuer, offer: Offer) -> list[Configuration]:
    """What of the offer this wallet can keep. Raises OfferError where that is nothing."""
    found = [issuer.configurations[name] for name in offer.configurations if name in issuer.configurations]
    if not found:
        raise OfferError("not_offered", "offer: names nothing that the issuer's metadata describes in a format we keep")
    return found


def receive(
    world: World,
    network: Network,
    store: Store,
    issuer: Issuer,
    offer: Offer,
    *,
    tx_code: str | None,
    authorize: Authorize,
    issuer_key: IssuerKey,
    require_dpop: bool,
) -> list[Credential]:
    """The stored credentials, in the order offered."""
    key = SoftwareSigner.generate() if issuer.server.dpop else None
    if key is None and require_dpop:
        raise OfferError("not_offered", "issuer: has no DPoP (RFC 9449), which this wallet needs outside a sandbox")
    exchange = Exchange(network, world.clock, world.random, key)
    client_id: str | None = CLIENT_ID
    if offer.pre_authorized_code is not None:
        if issuer.server.anonymous_pre_authorized:
            client_id = None
        tokens = token.redeem_pre_authorized(
            exchange, issuer.server, client_id, code=offer.pre_authorized_code, tx_code=tx_code
        )
    else:
        code = authorize(exchange)
        tokens = token.redeem_code(
            exchange,
            issuer.server,
            CLIENT_ID,
            code=code.code,
            verifier=code.verifier,
            redirect_uri=code.redirect_uri,
        )
    received = []
    for configuration in wanted(issuer, offer):
        issued_by, batch = copies.fetch(
            exchange, issuer, configuration, tokens, client_id=client_id, issuer_key=issuer_key
        )
        received.append(Received(configuration, tokens.identifiers.get(configuration.id), issued_by, batch))
    issuance = Issuance(
        id=base64url.encode(world.random(16)),
        credential_issuer=issuer.credential_issuer,
        client_id=client_id,
        refresh_token=tokens.refresh_token,
        dpop_key=None if key is None else key.private_jwk(),
    )
    return _store(world, store, issuance, received)


def _store(world: World, store: Store, issuance: Issuance, received: list[Received]) -> list[Credential]:
    kept: list[Credential] = []
    with store.transaction():
        credentials.save_issuance(store, issuance)
        for one in received:
            credential = Credential(
                id=world.random(IDENTIFIER_BYTES).hex(),
                issuance=issuance.id,
                configuration=one.configuration.id,
                identifier=one.identifier,
                type=one.configuration.vct,
                issuer=one.issuer,
                names=one.configuration.names,
                added=world.now,
            )
            credentials.save_credential(store, credential)
            credentials.add_copies(store, credential.id, one.copies)
            kept.append(credential)
        history.record(
            store, "received", issuance.credential_issuer, [credential.type for credential in kept], now=world.now
        )
    return kept
