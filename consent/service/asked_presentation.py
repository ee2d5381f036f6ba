"""A presentation that this service asks a resident for, and its check (OpenID4VP 1.0)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from consent.grant.account import NONCE_SECONDS
from consent.service.operator import Operator
from identity.errors import CredentialError
from identity.formats.sd_jwt_vc.spec import FORMAT
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.keys.signer import Signer
from identity.openid4vp import client_metadata, spec
from identity.openid4vp.check import PresentedCredential, StatusCheck, check_presentation
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from identity.openid4vp.request import make_claims, sign_request
from identity.trust.chain import certificate_hash

IDS = "ids"
"""Organisation → the identifier that the issuer made for it and nobody else."""


@dataclass(frozen=True, slots=True)
class AskedPresentation(ABC):
    """One credential of one type, with the identifier for this consent service among its claims.

    ``signer`` and ``x5c`` are of the access certificate (DER, without the root).
    """

    operator: Operator
    signer: Signer
    x5c: Sequence[bytes]
    issuer_key: IssuerKey
    status_check: StatusCheck

    QUERY_ID: ClassVar[str]
    VCT: ClassVar[str]
    PATH: ClassVar[str]
    """Where the answer goes, below the service's address."""
    CLAIMS: ClassVar[tuple[str, ...]] = ()
    """What is asked for beside the identifier."""

    @property
    def client_id(self) -> str:
        return f"{spec.X509_HASH}:{certificate_hash(self.x5c[0])}"

    def make_jar(self, nonce: str) -> str:
        now = self.operator.now
        claims = make_claims(
            client_id=self.client_id,
            response_uri=f"{self.operator.url}{self.PATH}",
            response_mode=spec.DIRECT_POST,
            nonce=nonce,
            state=None,
            query=self._query(),
            metadata=client_metadata.make(),
            iat=now,
            exp=now + NONCE_SECONDS,
        )
        return sign_request(claims, self.signer, x5c=self.x5c)

    @abstractmethod
    def check(self, vp_token: Mapping[str, Any], nonce: str) -> Any:
        """What of the presentation is kept. Raises IdentityError."""

    def _checked(self, vp_token: Mapping[str, Any], nonce: str) -> tuple[PresentedCredential, str]:
        """The credential, and whose identifier it holds. Raises IdentityError."""
        found = check_presentation(
            vp_token,
            self._query(),
            issuer_key=self.issuer_key,
            status_check=self.status_check,
            client_id=self.client_id,
            nonce=nonce,
            now=self.operator.now,
        )
        shown = found.credentials[self.QUERY_ID][0]
        identifier = shown.claims.get(IDS, {}).get(self.operator.id)
        if not isinstance(identifier, str):
            raise CredentialError("presentation: the identifier is not a text")
        return shown, identifier

    def _query(self) -> DcqlQuery:
        paths = [*((name,) for name in self.CLAIMS), (IDS, self.operator.id)]
        claims = tuple(ClaimsQuery(id=None, path=path, values=None) for path in paths)
        return DcqlQuery(
            (CredentialQuery(id=self.QUERY_ID, format=FORMAT, meta={"vct_values": [self.VCT]}, claims=claims),)
        )
