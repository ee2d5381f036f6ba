"""DPoP at this issuer: the proof is right (`identity.openid4vci.dpop`) and comes for the first time."""

from collections.abc import Sequence

from identity.clock import Clock
from identity.errors import ProtocolError
from identity.issuer import sealing
from identity.issuer.store.spent import Purpose, SpentStore
from identity.openid4vci import dpop
from identity.openid4vci.nonces import Nonces
from identity.openid4vci.spec import INVALID_DPOP_PROOF


class ProofOfPossession:
    def __init__(self, store: SpentStore, nonces: Nonces, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.nonces = nonces

    def thumbprint(self, fields: Sequence[str], *, url: str, access_token: str | None = None) -> str | None:
        """The key of the request's proof; None where there is no DPoP header. Raises ProtocolError."""
        if not fields:
            return None
        now = self._clock()
        proof = dpop.verify(fields, method="POST", url=url, now=now, nonces=self.nonces, access_token=access_token)
        # RFC 9449 section 11.1; older ones fail by their nonce
        value = sealing.name(f"{proof.thumbprint} {proof.jti}")
        if not self._store.spend(Purpose.DPOP, value, expires=int(now) + 2 * self.nonces.seconds):
            raise ProtocolError(INVALID_DPOP_PROOF, "DPoP proof: was used before")
        return proof.thumbprint
