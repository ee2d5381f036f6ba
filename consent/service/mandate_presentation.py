"""The presentation behind a mandate (ADR 0009, D14): asked for and checked like the one behind an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.service.asked_presentation import AskedPresentation
from consent.spec import VCT_MANDATE
from identity.errors import CredentialError


@dataclass(frozen=True, slots=True)
class PresentedMandate:
    """Claims of a mandate credential that is valid now, and where its status stands."""

    represented: str
    """The represented person's identifier for this consent service."""
    claims: Mapping[str, Any]
    issuer: str
    status: tuple[str, int]


class MandatePresentation(AskedPresentation):
    __slots__ = ()

    QUERY_ID = "mandate"
    VCT = VCT_MANDATE
    PATH = "/me/mandates"
    CLAIMS = ("role", "verbs", "purposes", "until")

    def check(self, vp_token: Mapping[str, Any], nonce: str) -> PresentedMandate:
        """Raises IdentityError."""
        shown, represented = self._checked(vp_token, nonce)
        if shown.credential.status is None:
            raise CredentialError("presentation: a mandate that could never be revoked")
        return PresentedMandate(
            represented=represented,
            claims={name: shown.claims[name] for name in self.CLAIMS if name in shown.claims},
            issuer=shown.credential.iss,
            status=shown.credential.status,
        )
