"""New copies before the old ones run out: by the refresh token, under the same DPoP key."""

from identity.errors import IdentityError
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.keys.signer import SoftwareSigner
from wallet_cli.errors import OfferError, WalletError
from wallet_cli.network import Network
from wallet_cli.receive import copies, issuer, token
from wallet_cli.receive.exchange import Exchange
from wallet_cli.store import credentials, history
from wallet_cli.store.credentials import Credential, Issuance
from wallet_cli.store.database import Store
from wallet_cli.world import World

REFILL_AT = 2
"""Unused copies left when new ones are fetched."""

LOGIN_TYPES = frozenset({"urn:atorga:person-id:1", "urn:atorga:pairwise:1"})
"""Without these nobody gets in anywhere: their least used copy is shown again when no new one can be had."""


def due(store: Store, credential: Credential, *, now: int) -> bool:
    return len(credentials.unused(store, credential.id, now=now)) <= REFILL_AT


def refill(world: World, network: Network, store: Store, credential: Credential, issuer_key: IssuerKey) -> int:
    """Stores a fresh batch and returns its size. Raises WalletError or IdentityError; what was there stays."""
    issuance = credentials.issuance(store, credential.issuance)
    if issuance.refresh_token is None:
        raise OfferError("not_offered", "issuer: gave no refresh token with this credential")
    found = issuer.discover(network, issuance.credential_issuer)
    configuration = found.configurations.get(credential.configuration)
    if configuration is None or configuration.vct != credential.type:
        raise OfferError("not_offered", "issuer: no longer describes this credential")
    key = None if issuance.dpop_key is None else SoftwareSigner.from_jwk(issuance.dpop_key)
    exchange = Exchange(network, world.clock, world.random, key)
    tokens = token.refresh(exchange, found.server, issuance.client_id, refresh_token=issuance.refresh_token)
    if tokens.refresh_token is not None:
        # Kept at once: the server may have retired the old one the moment it gave this.
        with store.transaction():
            credentials.save_issuance(store, _with_refresh_token(issuance, tokens.refresh_token))
    if credential.identifier is not None and configuration.id not in tokens.identifiers:
        tokens = token.Tokens(
            tokens.access_token, tokens.refresh_token, {configuration.id: credential.identifier, **tokens.identifiers}
        )
    issued_by, batch = copies.fetch(
        exchange, found, configuration, tokens, client_id=issuance.client_id, issuer_key=issuer_key
    )
    if issued_by != credential.issuer:
        raise OfferError("issuer_answer_refused", "refill: the copies name another issuer than the first ones")
    with store.transaction():
        credentials.replace_copies(store, credential.id, batch)
        history.record(store, "refilled", issuance.credential_issuer, [credential.type], now=world.now)
    return len(batch)


def try_refill(
    world: World, network: Network, store: Store, credential: Credential, issuer_key: IssuerKey
) -> WalletError | IdentityError | None:
    """What went wrong, or None."""
    try:
        refill(world, network, store, credential, issuer_key)
    except (WalletError, IdentityError) as fault:
        return fault
    return None


def _with_refresh_token(issuance: Issuance, refresh_token: str) -> Issuance:
    return Issuance(issuance.id, issuance.credential_issuer, issuance.client_id, refresh_token, issuance.dpop_key)
