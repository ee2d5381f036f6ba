"""Who may ask the credential, deferred and notification endpoints (RFC 6750, RFC 9449 section 7).

1. One Authorization header field with a token of ours that has not ended.
2. A token bound to a key is used as ``DPoP``, with a proof by that key over this very token; as
   ``Bearer`` it is refused, else whoever sees it could use it.
3. A token bound to none is used as ``Bearer``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from identity.clock import Clock
from identity.errors import EncodingError, ProtocolError
from identity.issuer import sealing
from identity.issuer.person import Subject, parse_subject
from identity.issuer.proof_of_possession import ProofOfPossession
from identity.issuer.store.tokens import IssuanceRow, TokenStore
from identity.openid4vci.spec import DPOP, INVALID_DPOP_PROOF, INVALID_TOKEN

_HEADER = re.compile(r"(DPoP|Bearer) +([A-Za-z0-9\-._~+/]{1,256}=*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Granted:
    """What the request's token opens."""

    issuance: IssuanceRow
    configurations: tuple[str, ...]
    subject: Subject


class AccessMissing(ProtocolError):
    """The request carries no token at all: the answer names the schemes and no error (RFC 6750 section 3.1)."""


class ResourceAccess:
    def __init__(self, store: TokenStore, proofs: ProofOfPossession, *, clock: Clock) -> None:
        self._store = store
        self._proofs = proofs
        self._clock = clock

    def require(self, authorization: Sequence[str], dpop_fields: Sequence[str], *, url: str) -> Granted:
        """Raises ProtocolError."""
        # 1
        if not authorization:
            raise AccessMissing(INVALID_TOKEN, "access token: none came with the request")
        found = _HEADER.fullmatch(authorization[0]) if len(authorization) == 1 else None
        if found is None:
            raise ProtocolError(INVALID_TOKEN, "access token: the Authorization header cannot be read")
        is_dpop, token = found[1].lower() == DPOP.lower(), found[2]
        access = self._store.access(sealing.name(token), now=int(self._clock()))
        if access is None:
            raise ProtocolError(INVALID_TOKEN, "access token: unknown, or no longer good")
        jkt = access.issuance.jkt
        # 2, 3
        if (jkt is not None) != is_dpop:
            raise ProtocolError(INVALID_TOKEN, f"access token: is {'not ' if jkt is None else ''}bound to a key")
        if jkt is not None:
            if not dpop_fields:
                raise ProtocolError(INVALID_DPOP_PROOF, "access token: needs a DPoP proof beside it")
            if self._proofs.thumbprint(dpop_fields, url=url, access_token=token) != jkt:
                raise ProtocolError(INVALID_TOKEN, "access token: is bound to another key")
        try:
            subject = parse_subject(sealing.unseal(token, access.sealed))
        except EncodingError:
            raise ProtocolError(INVALID_TOKEN, "access token: unknown, or no longer good") from None
        return Granted(access.issuance, access.configurations, subject)
