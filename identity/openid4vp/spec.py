"""OpenID4VP 1.0 (Final and errata): the literal names of the wire, spelled once.

https://openid.net/specs/openid-4-verifiable-presentations-1_0.html
HAIP 1.0: https://openid.net/specs/openid4vc-high-assurance-interoperability-profile-1_0.html
"""

from typing import Literal

Profile = Literal["haip", "base"]
"""HAIP 1.0 section 5.1, or OpenID4VP 1.0 with what this package knows of it."""

SCHEME = "openid4vp"
"""Section 13.1.2 of the specification's static configuration."""

# Section 5: the request
REQUEST_OBJECT_TYP = "oauth-authz-req+jwt"
REQUEST_OBJECT_MEDIA_TYPE = "application/oauth-authz-req+jwt"
AUDIENCE = "https://self-issued.me/v2"
"""Section 5.8: the ``aud`` of a request object under static discovery."""

CLIENT_ID = "client_id"
REQUEST = "request"
REQUEST_URI = "request_uri"
REQUEST_URI_METHOD = "request_uri_method"
RESPONSE_TYPE = "response_type"
RESPONSE_MODE = "response_mode"
RESPONSE_URI = "response_uri"
REDIRECT_URI = "redirect_uri"
SCOPE = "scope"
NONCE = "nonce"
STATE = "state"
DCQL_QUERY = "dcql_query"
CLIENT_METADATA = "client_metadata"
TRANSACTION_DATA = "transaction_data"
VERIFIER_INFO = "verifier_info"

# Section 5.10: request_uri_method post
WALLET_METADATA = "wallet_metadata"
WALLET_NONCE = "wallet_nonce"
GET = "get"
POST = "post"

# Section 5.9.3: Client Identifier Prefixes
X509_HASH = "x509_hash"
X509_SAN_DNS = "x509_san_dns"
DECENTRALIZED_IDENTIFIER = "decentralized_identifier"
REDIRECT_URI_PREFIX = "redirect_uri"
ORIGIN = "origin"
"""Reserved: never accepted in a request."""

PREFIXES: dict[Profile, frozenset[str]] = {
    # HAIP 1.0 section 5: "For signed requests, the Verifier MUST use … x509_hash"
    "haip": frozenset({X509_HASH}),
    "base": frozenset({X509_HASH, X509_SAN_DNS, REDIRECT_URI_PREFIX, DECENTRALIZED_IDENTIFIER}),
}

# Section 8: the response
VP_TOKEN = "vp_token"  # noqa: S105  # a name, no secret
RESPONSE = "response"
ERROR = "error"
ERROR_DESCRIPTION = "error_description"
RESPONSE_CODE = "response_code"
"""Section 13.3, implementation considerations: the parameter of ``redirect_uri``."""

DIRECT_POST = "direct_post"
DIRECT_POST_JWT = "direct_post.jwt"
RESPONSE_MODES: dict[Profile, frozenset[str]] = {
    # HAIP 1.0 section 5.1: "Response encryption MUST be used"
    "haip": frozenset({DIRECT_POST_JWT}),
    "base": frozenset({DIRECT_POST, DIRECT_POST_JWT}),
}

FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"

# Section 8.3, section 11: metadata
JWKS = "jwks"
ENC_VALUES = "encrypted_response_enc_values_supported"
DEFAULT_ENC = "A128GCM"
VP_FORMATS = "vp_formats_supported"
SD_JWT_ALG_VALUES = "sd-jwt_alg_values"
KB_JWT_ALG_VALUES = "kb-jwt_alg_values"

# Section 8.5: error codes
INVALID_REQUEST = "invalid_request"
INVALID_CLIENT = "invalid_client"
ACCESS_DENIED = "access_denied"
VP_FORMATS_NOT_SUPPORTED = "vp_formats_not_supported"
INVALID_REQUEST_URI_METHOD = "invalid_request_uri_method"
INVALID_TRANSACTION_DATA = "invalid_transaction_data"
WALLET_UNAVAILABLE = "wallet_unavailable"

# Section 6.1.1: trusted authorities
AKI = "aki"
