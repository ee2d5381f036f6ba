"""Which key may have signed a credential: the decision that `formats.sd_jwt_vc.verify` asks for.

An issuer is known in one of three ways, and which one is decided by our own configuration, never by
the credential (SD-JWT VC draft -24 section 7.3). A listed issuer is never judged by a weaker rule:

  listed          the signed list names ``iss`` as a party in the role issuer that may issue ``vct``:
                  with certificates, by one of them; without, by the keys at its own address
  known           somebody here added this ``iss``: by the keys at its own address
  standing in     an anchor that was added in the sandbox, or for one sandbox request, stands in for
                  the list: by a certificate under it

With a certificate (section 2.5, inline X.509):

  1. It has a path to an anchor now. That is necessary and never sufficient.
  2. It names the issuer: a URI entry is ``iss``, character by character. Where an anchor stands in,
     a certificate without URI entries may name the host of ``iss`` as dNSName instead: foreign
     test issuers have such. It is weaker, since all tenants of a host share it.
  3. The list names this very certificate for this issuer (not where an anchor stands in).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.clock import Clock
from identity.errors import FetchError, TrustError
from identity.fetch import split_url
from identity.keys.public_key import PublicKey
from identity.trust import spec
from identity.trust.chain import VerifiedChain, read_x5c, verify_chain
from identity.trust.issuer_metadata import MAX_KID, IssuerMetadata
from identity.trust.party import Party
from identity.trust.registry import VerifiedRegistry

MAX_REMEMBERED_CHAINS = 256
"""A path costs about 0.4 ms; an issuer has few certificates, and only good paths are remembered."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """The key that may have signed, and why we think so."""

    key: PublicKey
    party: Party | None
    """The entry of the list; None where the issuer is only known, or an anchor stands in."""
    chain: VerifiedChain | None

    @property
    def is_listed(self) -> bool:
        return self.party is not None


class IssuerTrust:
    """Threads may share one. ``registry`` is read anew at each decision (`RegistryReader.current`).

    ``known``: issuers that this wallet's owner added. ``anchors_stand_in``: sandbox only; the caller
    says so on the screen, or runs under a procedure that is marked as not registered.
    """

    def __init__(
        self,
        registry: Callable[[], VerifiedRegistry] | None,
        anchors: Sequence[bytes],
        clock: Clock,
        *,
        metadata: IssuerMetadata | None = None,
        known: Collection[str] = (),
        anchors_stand_in: bool = False,
    ) -> None:
        self._registry = registry
        self._anchors = tuple(anchors)
        self._clock = clock
        self._metadata = metadata
        self._known = frozenset(known)
        self._anchors_stand_in = anchors_stand_in
        self._chains: dict[tuple[str, ...], VerifiedChain] = {}

    def issuer_key(self, header: Mapping[str, Any], iss: str, vct: str) -> PublicKey:
        """An `IssuerKey`. Raises TrustError."""
        return self.decide(header, iss, vct).key

    def decide(self, header: Mapping[str, Any], iss: str, vct: str) -> TrustedIssuer:
        """Raises TrustError where nobody we trust stands behind this header, ``iss`` and ``vct``."""
        now = int(self._clock())
        party, reason = self._listed(iss, now)
        if party is not None:
            _require_type(party, vct)
            if party.certificates:
                chain = self._chain(header, now)
                _require_uri(chain, iss)
                if chain.x5t not in party.certificates:
                    raise TrustError(f"issuer: {party.id} is listed with other certificates")
                return TrustedIssuer(chain.key, party, chain)
        if party is not None or iss in self._known:
            return TrustedIssuer(self._published_key(header, iss), party, None)
        if not self._anchors_stand_in:
            raise TrustError(f"issuer: {reason}")
        chain = self._chain(header, now)
        if chain.uris or _host(iss) not in chain.dns_names:
            _require_uri(chain, iss)
        return TrustedIssuer(chain.key, None, chain)

    def require_types(self, iss: str, types: Collection[str]) -> None:
        """Refuses ``aka_vcts`` that a listed issuer may not issue. Raises TrustError.

        Who is only known, or stands under an anchor that stands in, has no list of types to check.
        """
        party, reason = self._listed(iss, int(self._clock()))
        if party is not None:
            for vct in types:
                _require_type(party, vct)
        elif iss not in self._known and not self._anchors_stand_in:
            raise TrustError(f"issuer: {reason}")

    def _listed(self, iss: str, now: int) -> tuple[Party | None, str]:
        """The party that issues as ``iss``, or None and the reason why there is none."""
        if self._registry is None:
            return None, "no list is configured"
        try:
            return self._registry().by_issuer(iss, now=now), ""
        except TrustError as fault:
            return None, str(fault)

    def _chain(self, header: Mapping[str, Any], now: int) -> VerifiedChain:
        entries = header.get("x5c")
        name = tuple(entries) if isinstance(entries, list) and all(isinstance(one, str) for one in entries) else ()
        chain = self._chains.get(name)
        if chain is not None and chain.valid_from <= now <= chain.valid_to:
            return chain
        chain = verify_chain(read_x5c(header), self._anchors, at=now)
        if len(self._chains) >= MAX_REMEMBERED_CHAINS:
            self._chains.clear()
        self._chains[name] = chain
        return chain

    def _published_key(self, header: Mapping[str, Any], iss: str) -> PublicKey:
        if self._metadata is None:
            raise TrustError("issuer: its keys would have to be asked for, which is not done here")
        kid = header.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID):
            raise TrustError(f"issuer: 'kid' must be a text of at most {MAX_KID} characters")
        return self._metadata.key(iss, kid)


def _require_type(party: Party, vct: str) -> None:
    if spec.ISSUER not in party.roles:
        raise TrustError(f"issuer: {party.id} is not listed as issuer")
    if vct not in party.vcts:
        raise TrustError(f"issuer: {party.id} is not listed for this credential type")


def _require_uri(chain: VerifiedChain, iss: str) -> None:
    if iss not in chain.uris:
        raise TrustError("issuer: the certificate does not name the issuer as its URI")


def _host(iss: str) -> str | None:
    try:
        return split_url(iss).hostname
    except FetchError:
        return None
