"""The literal names of the wire, spelled once. Sections without a name are of OpenID4VCI 1.0."""

OFFER_SCHEME = "openid-credential-offer"
CREDENTIAL_OFFER = "credential_offer"
CREDENTIAL_OFFER_URI = "credential_offer_uri"
"""Section 4.1."""

AUTHORIZATION_CODE = "authorization_code"
PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105  # a name
GRANT_TYPES = (AUTHORIZATION_CODE, PRE_AUTHORIZED, REFRESH_TOKEN)
"""Section 6.1, RFC 6749 sections 4.1.3 and 6."""

PRE_AUTHORIZED_CODE = "pre-authorized_code"
TX_CODE = "tx_code"
ISSUER_STATE = "issuer_state"

OPENID_CREDENTIAL = "openid_credential"
"""The type of authorization details (section 5.1.1)."""

REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
"""RFC 9126 section 2.2."""

S256 = "S256"
"""RFC 7636 section 4.2; ``plain`` is not spoken."""

PROOF_TYP = "openid4vci-proof+jwt"
"""Appendix F.1."""

PROOF_ALGORITHMS = frozenset({"ES256"})

DPOP_TYP = "dpop+jwt"
"""RFC 9449 section 4.2."""

DPOP_ALGORITHMS = frozenset({"ES256"})
DPOP_HEADER = "DPoP"
DPOP_NONCE_HEADER = "DPoP-Nonce"
BEARER = "Bearer"
DPOP = "DPoP"

SD_JWT_VC = "dc+sd-jwt"
"""Appendix A.3."""

EVENTS = frozenset({"credential_accepted", "credential_failure", "credential_deleted"})
"""Section 11.1."""

CREDENTIAL_ISSUER_METADATA = "/.well-known/openid-credential-issuer"
AUTHORIZATION_SERVER_METADATA = "/.well-known/oauth-authorization-server"
JWT_VC_ISSUER_METADATA = "/.well-known/jwt-vc-issuer"
"""Each stands between host and path of the identifier (section 12.2.2, RFC 8414 section 3.1, SD-JWT VC section 4)."""

# Error codes: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 9396 section 5, RFC 9449 sections 5 and 8.
INVALID_REQUEST = "invalid_request"
INVALID_CLIENT = "invalid_client"
INVALID_GRANT = "invalid_grant"
INVALID_SCOPE = "invalid_scope"
INVALID_TOKEN = "invalid_token"  # noqa: S105  # a code
ACCESS_DENIED = "access_denied"
UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
INVALID_AUTHORIZATION_DETAILS = "invalid_authorization_details"
INVALID_DPOP_PROOF = "invalid_dpop_proof"
USE_DPOP_NONCE = "use_dpop_nonce"

# Sections 8.3.1.2, 9.3 and 11.3.
INVALID_CREDENTIAL_REQUEST = "invalid_credential_request"
UNKNOWN_CREDENTIAL_CONFIGURATION = "unknown_credential_configuration"
UNKNOWN_CREDENTIAL_IDENTIFIER = "unknown_credential_identifier"
INVALID_PROOF = "invalid_proof"
INVALID_NONCE = "invalid_nonce"
INVALID_ENCRYPTION_PARAMETERS = "invalid_encryption_parameters"
CREDENTIAL_REQUEST_DENIED = "credential_request_denied"
INVALID_TRANSACTION_ID = "invalid_transaction_id"
INVALID_NOTIFICATION_ID = "invalid_notification_id"
INVALID_NOTIFICATION_REQUEST = "invalid_notification_request"


def description(text: str) -> str:
    """A text as ``error_description`` may be: ASCII without quotation marks and backslashes (section 8.3.1.2)."""
    return "".join(character if " " <= character <= "~" and character not in '"\\' else "?" for character in text)[:512]
