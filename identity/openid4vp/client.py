"""Who asks: Client Identifier Prefixes and the key that may have signed (OpenID4VP 1.0 sections 5.9, 5.9.3).

A party's identity is its entry in the registry, found by its certificate, and never its
``client_id``. A client without entry is authenticated all the same, and unknown: ``party`` is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from identity.did import did_jwk, did_key
from identity.envelope import jws
from identity.errors import DidError, ProtocolError, TrustError
from identity.keys.public_key import PublicKey
from identity.openid4vp import spec
from identity.openid4vp.spec import CLIENT_ID, INVALID_REQUEST, RESPONSE_URI, Profile
from identity.trust.chain import VerifiedChain, certificate_hash, read_x5c, verify_chain
from identity.trust.spec import VERIFIER

if TYPE_CHECKING:
    from identity.trust.registry import Party, VerifiedRegistry

MAX_CLIENT_ID_CHARACTERS = 2_048
"""A ``redirect_uri`` or a DID is the longest that can follow a prefix."""


@dataclass(frozen=True, slots=True)
class Client:
    client_id: str
    """In full; the audience of every presentation (section 14.8)."""
    prefix: str
    value: str
    """What follows the prefix."""
    chain: VerifiedChain | None
    """None where the prefix knows no certificates."""
    party: "Party | None"
    """The registry's entry with role verifier that lists the certificate; None: unknown."""

    @property
    def is_authenticated(self) -> bool:
        """False for ``redirect_uri``: anybody could have written such a request."""
        return self.prefix != spec.REDIRECT_URI_PREFIX


def split(client_id: str, profile: Profile) -> tuple[str, str]:
    """Prefix and value. A prefix that the profile does not know is refused, and so is none (section 5.9.2)."""
    if len(client_id) > MAX_CLIENT_ID_CHARACTERS:
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: more than {MAX_CLIENT_ID_CHARACTERS} characters")
    prefix, colon, value = client_id.partition(":")
    if not colon or not value or prefix not in spec.PREFIXES[profile]:
        known = ", ".join(sorted(spec.PREFIXES[profile]))
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: its prefix must be one of {known}")
    return prefix, value


def authenticate(
    request: jws.UnverifiedJws,
    client_id: str,
    *,
    profile: Profile,
    anchors: Sequence[bytes],
    registry: "VerifiedRegistry | None",
    now: int,
    dids: bool = False,
) -> tuple[Client, PublicKey]:
    """The client and the key that must have signed ``request``, whose signature is still to be verified.

    ``dids`` opts in to clients named by did:jwk and did:key. Raises ProtocolError and TrustError.
    """
    prefix, value = split(client_id, profile)
    if prefix == spec.DECENTRALIZED_IDENTIFIER:
        if not dids:
            raise TrustError(f"{CLIENT_ID}: clients named by a DID are not accepted here")
        return Client(client_id, prefix, value, None, None), _did_key(value, request.header.get("kid"))
    if prefix == spec.REDIRECT_URI_PREFIX:
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: a request of {prefix!r} cannot be signed")
    certificates = read_x5c(request.header)
    chain = verify_chain(certificates, anchors, at=now)
    if prefix == spec.X509_HASH and value != certificate_hash(certificates[0]):
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: is not the hash of the certificate that signs")
    if prefix == spec.X509_SAN_DNS and value.lower() not in chain.dns_names:
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: is no dNSName of the certificate that signs")
    return Client(client_id, prefix, value, chain, _party(chain, registry, now)), chain.key


def unsigned(client_id: str, *, profile: Profile) -> Client:
    """The client of a request that nobody signed: only ``redirect_uri`` allows one."""
    prefix, value = split(client_id, profile)
    if prefix != spec.REDIRECT_URI_PREFIX:
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: a request of {prefix!r} must be signed")
    return Client(client_id, prefix, value, None, None)


def require_own_address(client: Client, response_uri: str) -> None:
    """The answer may go there: the address belongs to the client (sections 5.9.3, 8.2, 14.3.1)."""
    try:
        parts = urlsplit(response_uri)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ProtocolError(INVALID_REQUEST, f"{RESPONSE_URI}: is not an address") from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None or parts.fragment:
        # http is judged once more where it is sent to: the sandbox allows it for loopback
        raise ProtocolError(INVALID_REQUEST, f"{RESPONSE_URI}: must be an https address without fragment")
    match client.prefix:
        case spec.REDIRECT_URI_PREFIX:
            owned = response_uri == client.value
        case spec.X509_SAN_DNS:
            owned = host == client.value.lower()
        case spec.X509_HASH:
            owned = client.chain is not None and host in client.chain.dns_names
        case _:
            # Nothing binds an address to a DID; the signature at least says that the client wrote it.
            owned = client.prefix == spec.DECENTRALIZED_IDENTIFIER
    if not owned:
        raise ProtocolError(INVALID_REQUEST, f"{RESPONSE_URI}: its host is not the client's")


def _party(chain: VerifiedChain, registry: "VerifiedRegistry | None", now: int) -> "Party | None":
    if registry is None:
        return None
    registry.require_current(now)
    try:
        party = registry.by_certificate(chain.x5t, now=now)
    except TrustError:
        return None
    if VERIFIER not in party.roles:
        raise TrustError(f"{CLIENT_ID}: the registry lists its owner, but not as a verifier")
    return party


def _did_key(did: str, kid: object) -> PublicKey:
    """The one key of a did:jwk or did:key, named by ``kid`` as section 5.9.3 asks."""
    try:
        if did.startswith(did_jwk.PREFIX):
            key, fragment = did_jwk.key_of(did), did_jwk.FRAGMENT
        elif did.startswith(did_key.PREFIX):
            key, fragment = did_key.key_of(did), did.removeprefix(did_key.PREFIX)
        else:
            raise TrustError(f"{CLIENT_ID}: only did:jwk and did:key are resolved")
    except DidError as fault:
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: {fault}") from None
    if kid != f"{did}#{fragment}":
        raise ProtocolError(INVALID_REQUEST, f"{CLIENT_ID}: kid does not name the key of the DID")
    return key
