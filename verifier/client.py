"""How a verifier names itself, and signs as that (OpenID4VP 1.0 section 5.9.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from identity.did import did_jwk
from identity.keys.signer import Signer
from identity.openid4vp import spec
from identity.openid4vp.request import sign_request
from identity.trust.chain import certificate_hash


@dataclass(frozen=True, slots=True)
class VerifierClient:
    url: str
    """Public address, without a slash at its end; its host is a dNSName of the certificate."""
    signer: Signer
    """Of the access certificate."""
    x5c: tuple[bytes, ...]
    """DER, the certificate first, without the root (HAIP 1.0 section 5)."""

    def client_id(self, prefix: str, response_uri: str) -> str:
        """In full. ``prefix`` is one that ``spec.PREFIXES`` has."""
        match prefix:
            case spec.X509_HASH:
                return f"{prefix}:{certificate_hash(self.x5c[0])}"
            case spec.X509_SAN_DNS:
                return f"{prefix}:{urlsplit(self.url).hostname}"
            case spec.DECENTRALIZED_IDENTIFIER:
                return f"{prefix}:{self._did}"
            case spec.REDIRECT_URI_PREFIX:
                return f"{prefix}:{response_uri}"
        raise ValueError(f"client id prefix {prefix!r}")

    def sign(self, prefix: str, claims: Mapping[str, Any]) -> str:
        """The request object of a client that signs."""
        if prefix == spec.DECENTRALIZED_IDENTIFIER:
            return sign_request(claims, self.signer, kid=f"{self._did}#{did_jwk.FRAGMENT}")
        return sign_request(claims, self.signer, x5c=self.x5c)

    @property
    def _did(self) -> str:
        return did_jwk.create(self.signer.public_key)
