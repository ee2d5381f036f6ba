"""The signed list of approved bases (ADR 0009, D2): on which law an access rests, and who approved it."""

from identity.errors import TrustError
from identity.trust import spec
from identity.trust.bases import Basis, VerifiedBases, verify_bases
from identity.trust.registry import MAX_BYTES
from wallet_cli.errors import NetworkError
from wallet_cli.network import Network
from wallet_cli.store import trust
from wallet_cli.store.database import Store
from wallet_cli.trust.signed_list import list_anchors

_PATH = "/bases"


def current(network: Network, store: Store, *, now: int) -> VerifiedBases | None:
    """None where it cannot be had: what rests on law can then not be compared, and that is said."""
    kept = next(iter(trust.registries(store)), None)
    if kept is None:
        return None
    try:
        answer = network.send("GET", kept.url + _PATH, headers={"Accept": spec.MEDIA_TYPE}, max_bytes=MAX_BYTES)
        compact = answer.expect(200, what="bases").body.decode("ascii", "replace").strip()
        return verify_bases(compact, anchors=list_anchors(store), now=now)
    except (NetworkError, TrustError):
        return None


def approved(bases: VerifiedBases, declaration: str, service: str, *, at: int) -> Basis | None:
    """What was approved for this service under this name at that time."""
    return next(
        (
            one
            for one in bases.bases
            if (one.declaration, one.service) == (declaration, service) and one.valid_from <= at < one.valid_to
        ),
        None,
    )
