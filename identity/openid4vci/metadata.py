"""What an issuer and its authorization server say of themselves (sections 12.2.4 and 12.3, RFC 8414).

Addresses are the identifier and a fixed path below it: an issuer has one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from identity.keys.public_key import PublicKey
from identity.openid4vci.spec import DPOP_ALGORITHMS, GRANT_TYPES, OPENID_CREDENTIAL, S256


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses below one issuer's identifier."""

    issuer: str

    @property
    def par(self) -> str:
        return f"{self.issuer}/par"

    @property
    def authorize(self) -> str:
        return f"{self.issuer}/authorize"

    @property
    def token(self) -> str:
        return f"{self.issuer}/token"

    @property
    def nonce(self) -> str:
        return f"{self.issuer}/nonce"

    @property
    def credential(self) -> str:
        return f"{self.issuer}/credential"

    @property
    def deferred(self) -> str:
        return f"{self.issuer}/deferred"

    @property
    def notification(self) -> str:
        return f"{self.issuer}/notification"

    @property
    def card_challenge(self) -> str:
        return f"{self.issuer}/card/challenge"

    @property
    def card_login(self) -> str:
        return f"{self.issuer}/card/login"

    def offer(self, reference: str) -> str:
        return f"{self.issuer}/offers/{reference}"

    def status(self, number: int) -> str:
        return f"{self.issuer}/status/{number}"


def well_known(identifier: str, name: str) -> str:
    """The address of a metadata document: ``name`` stands between host and path."""
    parts = urlsplit(identifier)
    return urlunsplit((parts.scheme, parts.netloc, f"{name}{parts.path.rstrip('/')}", "", ""))


def display(names: Mapping[str, str]) -> list[dict[str, str]]:
    """Language tag → name, as one object a language."""
    return [{"name": name, "locale": locale} for locale, name in names.items()]


def credential_issuer(
    issuer: str, *, names: Mapping[str, str], batch_size: int, configurations: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    at = Endpoints(issuer)
    return {
        "credential_issuer": issuer,
        "credential_endpoint": at.credential,
        "nonce_endpoint": at.nonce,
        "deferred_credential_endpoint": at.deferred,
        "notification_endpoint": at.notification,
        "batch_credential_issuance": {"batch_size": batch_size},
        "display": display(names),
        "credential_configurations_supported": dict(configurations),
    }


def authorization_server(issuer: str, *, scopes: Sequence[str]) -> dict[str, Any]:
    at = Endpoints(issuer)
    return {
        "issuer": issuer,
        "authorization_endpoint": at.authorize,
        "token_endpoint": at.token,
        "pushed_authorization_request_endpoint": at.par,
        "require_pushed_authorization_requests": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": list(scopes),
        "authorization_details_types_supported": [OPENID_CREDENTIAL],
        "code_challenge_methods_supported": [S256],
        "token_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": sorted(DPOP_ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "pre-authorized_grant_anonymous_access_supported": True,
    }


def jwt_vc_issuer(issuer: str, keys: Sequence[PublicKey]) -> dict[str, Any]:
    """The issuer's keys (SD-JWT VC draft -24 section 3), for who does not follow certificates."""
    return {
        "issuer": issuer,
        "jwks": {"keys": [{**key.jwk(), "kid": key.thumbprint, "use": "sig", "alg": "ES256"} for key in keys]},
    }
