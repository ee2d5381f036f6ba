"""What an issuer and its authorization server say of themselves (OpenID4VCI 1.0 section 12.2, RFC 8414).

Only what this wallet uses is read. Each document must name itself as the address it was asked for
under: else one party could speak for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from identity.codec.members import mapping, text
from identity.errors import EncodingError
from wallet_cli.errors import OfferError
from wallet_cli.network import Network

SD_JWT_VC = "dc+sd-jwt"
MAX_BATCH = 10
"""Copies asked for at once (DESIGN section 5)."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One credential that can be had, of a format this wallet keeps."""

    id: str
    vct: str
    scope: str | None
    names: dict[str, str]
    """Display names by language tag."""


@dataclass(frozen=True, slots=True)
class Issuer:
    credential_issuer: str
    names: dict[str, str]
    credential_endpoint: str
    nonce_endpoint: str | None
    deferred_endpoint: str | None
    notification_endpoint: str | None
    batch_size: int
    configurations: dict[str, Configuration]
    server: "AuthorizationServer"


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None
    par_endpoint: str | None
    dpop: bool
    """Whether it binds tokens to a key by ES256 DPoP proofs."""
    anonymous_pre_authorized: bool


def metadata_url(identifier: str, well_known: str) -> str:
    """The well-known part stands between host and path (RFC 8414 section 3.1, OpenID4VCI 1.0 section 12.2.2)."""
    parts = urlsplit(identifier)
    return urlunsplit((parts.scheme, parts.netloc, f"/.well-known/{well_known}{parts.path.rstrip('/')}", "", ""))


def discover(network: Network, credential_issuer: str, *, authorization_server: str | None = None) -> Issuer:
    """Raises OfferError, NetworkError."""
    document = _document(network, metadata_url(credential_issuer, "openid-credential-issuer"))
    try:
        if text(document, "credential_issuer", what="issuer metadata") != credential_issuer:
            raise EncodingError("issuer metadata: names another issuer than the one asked")
        servers = document.get("authorization_servers", [credential_issuer])
        if not isinstance(servers, list) or not servers or not all(isinstance(one, str) for one in servers):
            raise EncodingError("issuer metadata: 'authorization_servers' must be a list of addresses")
        if authorization_server is not None and authorization_server not in servers:
            raise EncodingError("offer: names an authorization server that the issuer's metadata does not")
        server = _server(network, authorization_server or servers[0])
        return Issuer(
            credential_issuer=credential_issuer,
            names=_display(document),
            credential_endpoint=text(document, "credential_endpoint", what="issuer metadata"),
            nonce_endpoint=_address(document, "nonce_endpoint"),
            deferred_endpoint=_address(document, "deferred_credential_endpoint"),
            notification_endpoint=_address(document, "notification_endpoint"),
            batch_size=_batch_size(document),
            configurations=_configurations(document),
            server=server,
        )
    except EncodingError as fault:
        raise OfferError("issuer_answer_refused", str(fault)) from None


def _server(network: Network, identifier: str) -> AuthorizationServer:
    what = "authorization server metadata"
    document = _document(network, metadata_url(identifier, "oauth-authorization-server"))
    if text(document, "issuer", what=what) != identifier:  # RFC 8414 section 3.3
        raise EncodingError(f"{what}: names another server than the one asked")
    return AuthorizationServer(
        issuer=identifier,
        token_endpoint=text(document, "token_endpoint", what=what),
        authorization_endpoint=_address(document, "authorization_endpoint"),
        par_endpoint=_address(document, "pushed_authorization_request_endpoint"),
        dpop="ES256" in _list(document, "dpop_signing_alg_values_supported"),
        anonymous_pre_authorized=document.get("pre-authorized_grant_anonymous_access_supported") is True,
    )


def _document(network: Network, url: str) -> dict[str, Any]:
    return network.get(url).expect(200, what="issuer metadata").object(what="issuer metadata")


def _configurations(document: Mapping[str, Any]) -> dict[str, Configuration]:
    """Those of a format this wallet keeps; others are the issuer's business."""
    found: dict[str, Configuration] = {}
    for identifier, entry in mapping(document, "credential_configurations_supported", what="issuer metadata").items():
        if isinstance(entry, dict) and entry.get("format") == SD_JWT_VC and isinstance(entry.get("vct"), str):
            about = entry.get("credential_metadata")
            scope = entry.get("scope")
            found[identifier] = Configuration(
                identifier,
                entry["vct"],
                scope if isinstance(scope, str) else None,
                _display(about if isinstance(about, dict) else {}),
            )
    return found


def _display(obj: Mapping[str, Any]) -> dict[str, str]:
    """Language tag → name; an entry without a language counts as any."""
    names: dict[str, str] = {}
    for entry in _list(obj, "display"):
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            locale = entry.get("locale")
            names.setdefault(locale if isinstance(locale, str) else "", entry["name"])
    return names


def _batch_size(document: Mapping[str, Any]) -> int:
    batch = document.get("batch_credential_issuance")
    size = batch.get("batch_size") if isinstance(batch, dict) else None
    return min(size, MAX_BATCH) if isinstance(size, int) and size >= 1 else 1


def _list(obj: Mapping[str, Any], name: str) -> list[Any]:
    found = obj.get(name)
    return found if isinstance(found, list) else []


def _address(obj: Mapping[str, Any], name: str) -> str | None:
    return text(obj, name, what="issuer metadata") if name in obj else None
