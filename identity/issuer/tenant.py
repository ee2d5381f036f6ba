"""A town hall as the issuer sees it: its identifier, its types, its keys, its rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from identity.errors import ProtocolError
from identity.issuer.credential_type import CredentialType
from identity.keys.signer import Signer
from identity.openid4vci import metadata
from identity.openid4vci.authorization_request import AuthorizationRequest
from identity.openid4vci.metadata import Endpoints
from identity.openid4vci.redirect import RedirectPolicy
from identity.openid4vci.spec import INVALID_AUTHORIZATION_DETAILS, INVALID_SCOPE

BATCH_SIZE = 10
"""Copies in one answer (DESIGN section 5)."""

OpenIdProfile = Literal["base", "haip"]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and its certificates (DER, signer first, without the root)."""

    signer: Signer
    x5c: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    """The path segment, ``bcn``; also the scope of its keyed hashes."""
    issuer: str
    """The ``credential_issuer``: the service's address and the name."""
    names: Mapping[str, str]
    types: Mapping[str, CredentialType]
    """By configuration id."""
    credential_key: SigningKey
    status_key: SigningKey
    redirect_policy: RedirectPolicy
    deferred: frozenset[str]
    """Configurations that wait for the operator's decision."""
    status_list_size: int
    status_ttl_seconds: int
    refresh_seconds: int
    """How long one proof of the card, or one offer, gives fresh copies."""

    @property
    def at(self) -> Endpoints:
        return Endpoints(self.issuer)

    def metadata(self) -> dict[str, Any]:
        return metadata.credential_issuer(
            self.issuer,
            names=self.names,
            batch_size=BATCH_SIZE,
            configurations={name: kind.metadata() for name, kind in self.types.items()},
        )

    def server_metadata(self) -> dict[str, Any]:
        return metadata.authorization_server(
            self.issuer, scopes=list(dict.fromkeys(kind.scope for kind in self.types.values()))
        )

    def keys_metadata(self) -> dict[str, Any]:
        return metadata.jwt_vc_issuer(self.issuer, [self.credential_key.signer.public_key])

    def wanted(self, request: AuthorizationRequest) -> tuple[str, ...]:
        """The configurations that a request names (OpenID4VCI 1.0 sections 5.1.1, 5.1.2). Raises ProtocolError.

        Unknown scopes are ignored, as demanded there; details are taken at their word.
        """
        named = self.known(request.details or ())
        found = tuple(dict.fromkeys((*named, *self.of_scopes(request.scopes))))
        if not found:
            raise ProtocolError(INVALID_SCOPE, "authorization request: names no credential of this issuer")
        return found

    def known(self, details: Sequence[str]) -> tuple[str, ...]:
        """The configurations of ``authorization_details``. Raises ProtocolError."""
        if not all(name in self.types for name in details):
            raise ProtocolError(INVALID_AUTHORIZATION_DETAILS, "authorization_details: an unknown configuration")
        return tuple(details)

    def of_scopes(self, scopes: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name, kind in self.types.items() if kind.scope in scopes)
