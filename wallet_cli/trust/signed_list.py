"""The signed list of parties (WIRE C12) as this wallet keeps it: the newest version, checked each time it is read."""

from typing import TYPE_CHECKING

from identity.codec.members import integer
from identity.envelope import jws
from identity.errors import IdentityError, TrustError
from identity.trust import spec
from identity.trust.registry import MAX_BYTES, VerifiedRegistry, verify_registry
from wallet_cli.errors import NetworkError, WalletError
from wallet_cli.store import trust
from wallet_cli.store.trust import StoredRegistry

if TYPE_CHECKING:
    from wallet_cli.network import Network
    from wallet_cli.store.database import Store


def add(network: "Network", store: "Store", url: str, *, now: int) -> VerifiedRegistry:
    """Believes the list at this address from now on, in place of an earlier one. Raises WalletError, TrustError."""
    anchors = list_anchors(store)
    if not anchors:
        raise WalletError("anchor_missing", "registry: no anchor to check it against; add one first")
    before = _kept(store, url)
    compact = _fetch(network, url)
    found = verify_registry(compact, anchors=anchors, now=now, minimum_version=before.version if before else 0)
    _keep(store, StoredRegistry(url, compact, found.version), found)
    return found


def current(network: "Network", store: "Store", *, now: int) -> VerifiedRegistry | None:
    """The newest list; None where this wallet has none.

    One that cannot be fetched is as old as the kept one, which serves until it expires; an older
    version than the kept one is refused. Raises TrustError where neither can be believed.
    """
    kept = next(iter(trust.registries(store)), None)
    if kept is None:
        return None
    anchors = list_anchors(store)
    try:
        compact = _fetch(network, kept.url)
        found = verify_registry(compact, anchors=anchors, now=now, minimum_version=kept.version)
    except (NetworkError, TrustError):
        return verify_registry(kept.jws, anchors=anchors, now=now, minimum_version=kept.version)
    if compact != kept.jws:
        _keep(store, StoredRegistry(kept.url, compact, found.version), found)
    return found


def last_known(store: "Store") -> VerifiedRegistry | None:
    """The kept list as it was when it was signed, however old. Raises TrustError where nobody of ours signed it.

    For withdrawals alone: they tell nobody a secret, and must not fail because the list has expired.
    """
    kept = next(iter(trust.registries(store)), None)
    if kept is None:
        return None
    try:
        signed = integer(jws.parse(kept.jws, what="registry", max_bytes=MAX_BYTES).claims(), "iat", what="registry")
    except IdentityError as fault:
        raise TrustError(str(fault)) from None
    return verify_registry(kept.jws, anchors=list_anchors(store), now=signed)


def _keep(store: "Store", stored: StoredRegistry, found: VerifiedRegistry) -> None:
    names = {party.id: party.name for party in found.parties}
    names |= {party.issuer: party.name for party in found.parties if party.issuer is not None}
    with store.transaction():
        trust.keep_only_registry(store, stored)
        trust.remember_names(store, names)


def _fetch(network: "Network", url: str) -> str:
    answer = network.get(url, accept=spec.MEDIA_TYPE).expect(200, what="registry")
    return answer.body.decode("ascii", "replace").strip()


def _kept(store: "Store", url: str) -> StoredRegistry | None:
    return next((one for one in trust.registries(store) if one.url == url), None)


def list_anchors(store: "Store") -> list[bytes]:
    """An anchor added for one use only does not speak for a list, which speaks for all."""
    verifiers = trust.anchors(store, "verifier")
    return [der for der in trust.anchors(store, "issuer") if der in verifiers]
