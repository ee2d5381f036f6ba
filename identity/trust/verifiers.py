"""Who asks for a presentation: the party behind an access certificate.

  1. The certificate has a path to an anchor now. Necessary, never sufficient.
  2. The list names this very certificate as a verifier's. A party is its registry id, never the
     ``client_id`` that it asks under.

In the sandbox an anchor that was added stands in for step 2; then nobody vouches for a name, and the
screen says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from identity.clock import Clock
from identity.errors import TrustError
from identity.trust import spec
from identity.trust.chain import VerifiedChain, verify_chain
from identity.trust.party import Party
from identity.trust.registry import VerifiedRegistry


@dataclass(frozen=True, slots=True)
class TrustedVerifier:
    chain: VerifiedChain
    """Its key signs the authorization request; its ``dns_names`` are the hosts that may receive answers."""
    party: Party | None
    """None only where an anchor stands in for the list."""


class VerifierTrust:
    """Threads may share one."""

    def __init__(
        self,
        registry: Callable[[], VerifiedRegistry] | None,
        anchors: Sequence[bytes],
        clock: Clock,
        *,
        anchors_stand_in: bool = False,
    ) -> None:
        self._registry = registry
        self._anchors = tuple(anchors)
        self._clock = clock
        self._anchors_stand_in = anchors_stand_in

    def decide(self, chain: Sequence[bytes]) -> TrustedVerifier:
        """The verifier behind ``chain`` (DER, signer first: `chain.read_x5c`). Raises TrustError."""
        now = int(self._clock())
        verified = verify_chain(chain, self._anchors, at=now)  # 1
        try:
            return TrustedVerifier(verified, self._listed(verified, now))  # 2
        except TrustError:
            if self._anchors_stand_in:
                return TrustedVerifier(verified, None)
            raise

    def _listed(self, verified: VerifiedChain, now: int) -> Party:
        if self._registry is None:
            raise TrustError("verifier: no list is configured")
        party = self._registry().by_certificate(verified.x5t, now=now)
        if spec.VERIFIER not in party.roles:
            raise TrustError(f"verifier: {party.id} is not listed as verifier")
        return party
