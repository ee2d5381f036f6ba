"""The presentation behind a mandate (ADR 0009, D14): asked for and checked like the one behind an account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.grant.account import NONCE_SECONDS
from consent.service.account_presentation import IDS
from consent.service.operator import Operator
from consent.spec import VCT_MANDATE
from identity.errors import CredentialError
from identity.formats.sd_jwt_vc.spec import FORMAT
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.keys.signer import Signer
from identity.openid4vp import client_metadata, spec
from identity.openid4vp.check import StatusCheck, check_presentation
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from identity.openid4vp.request import make_claims, sign_request
from identity.trust.chain import certificate_hash

QUERY_ID = "mandate"
CLAIMS = ("role", "verbs", "purposes", "until")


@dataclass(frozen=True, slots=True)
class PresentedMandate:
    """Claims of a mandate credential that is valid now, and where its status stands."""

    represented: str
    """The represented person's identifier for this consent service."""
    claims: Mapping[str, Any]
    issuer: str
    status: tuple[str, int]


@dataclass(frozen=True, slots=True)
class MandatePresentation:
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
            response_uri=f"{self.operator.url}/me/mandates",
            response_mode=spec.DIRECT_POST,
            nonce=nonce,
            state=None,
            query=self._query(),
            metadata=client_metadata.make(),
            iat=now,
            exp=now + NONCE_SECONDS,
        )
        return sign_request(claims, self.signer, x5c=self.x5c)

    def check(self, vp_token: Mapping[str, Any], nonce: str) -> PresentedMandate:
        """Raises IdentityError."""
        found = check_presentation(
            vp_token,
            self._query(),
            issuer_key=self.issuer_key,
            status_check=self.status_check,
            client_id=self.client_id,
            nonce=nonce,
            now=self.operator.now,
        )
        shown = found.credentials[QUERY_ID][0]
        represented = shown.claims.get(IDS, {}).get(self.operator.id)
        if not isinstance(represented, str):
            raise CredentialError("presentation: the identifier is not a text")
        if shown.credential.status is None:
            raise CredentialError("presentation: a mandate that could never be revoked")
        return PresentedMandate(
            represented=represented,
            claims={name: shown.claims[name] for name in CLAIMS if name in shown.claims},
            issuer=shown.credential.iss,
            status=shown.credential.status,
        )

    def _query(self) -> DcqlQuery:
        paths = [*((name,) for name in CLAIMS), (IDS, self.operator.id)]
        claims = tuple(ClaimsQuery(id=None, path=path, values=None) for path in paths)
        asked = CredentialQuery(id=QUERY_ID, format=FORMAT, meta={"vct_values": [VCT_MANDATE]}, claims=claims)
        return DcqlQuery((asked,))
