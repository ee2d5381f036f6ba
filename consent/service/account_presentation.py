"""The presentation behind an account (WIRE C10): asked for and checked like any other (OpenID4VP 1.0).

One claim is asked for: the identifier that the issuer made for this consent service and nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.grant.account import NONCE_SECONDS
from consent.service.operator import Operator
from identity.errors import CredentialError
from identity.formats.sd_jwt_vc.spec import FORMAT
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.keys.signer import Signer
from identity.openid4vp import client_metadata, spec
from identity.openid4vp.check import StatusCheck, check_presentation
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from identity.openid4vp.request import make_claims, sign_request
from identity.trust.chain import certificate_hash

PAIRWISE_VCT = "urn:atorga:pairwise:1"
IDS = "ids"
QUERY_ID = "account"


@dataclass(frozen=True, slots=True)
class AccountPresentation:
    """``signer`` and ``x5c`` are of the access certificate (DER, without the root)."""

    operator: Operator
    signer: Signer
    x5c: Sequence[bytes]
    issuer_key: IssuerKey
    status_check: StatusCheck

    @property
    def client_id(self) -> str:
        return f"{spec.X509_HASH}:{certificate_hash(self.x5c[0])}"

    def make_jar(self, nonce: str) -> str:
        now = self.operator.now
        claims = make_claims(
            client_id=self.client_id,
            response_uri=f"{self.operator.url}/me/account",
            response_mode=spec.DIRECT_POST,
            nonce=nonce,
            state=None,
            query=self._query(),
            metadata=client_metadata.make(),
            iat=now,
            exp=now + NONCE_SECONDS,
        )
        return sign_request(claims, self.signer, x5c=self.x5c)

    def check(self, vp_token: Mapping[str, Any], nonce: str) -> str:
        """The identifier; nothing else of the presentation is returned or kept. Raises IdentityError."""
        found = check_presentation(
            vp_token,
            self._query(),
            issuer_key=self.issuer_key,
            status_check=self.status_check,
            client_id=self.client_id,
            nonce=nonce,
            now=self.operator.now,
        )
        claim = found.claims[QUERY_ID][0].get(IDS, {}).get(self.operator.id)
        if not isinstance(claim, str):
            raise CredentialError("presentation: the identifier is not a text")
        return claim

    def _query(self) -> DcqlQuery:
        claim = ClaimsQuery(id=None, path=(IDS, self.operator.id), values=None)
        asked = CredentialQuery(id=QUERY_ID, format=FORMAT, meta={"vct_values": [PAIRWISE_VCT]}, claims=(claim,))
        return DcqlQuery((asked,))
