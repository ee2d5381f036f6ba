"""The presentation behind an account (WIRE C10): asked for and checked like any other.

One claim is asked for: the identifier that the issuer made for this consent service and nobody else.
"""

from collections.abc import Mapping
from typing import Any

from consent.service.asked_presentation import AskedPresentation

PAIRWISE_VCT = "urn:atorga:pairwise:1"


class AccountPresentation(AskedPresentation):
    __slots__ = ()

    QUERY_ID = "account"
    VCT = PAIRWISE_VCT
    PATH = "/me/account"

    def check(self, vp_token: Mapping[str, Any], nonce: str) -> str:
        """The identifier; nothing else of the presentation is returned or kept. Raises IdentityError."""
        return self._checked(vp_token, nonce)[1]
