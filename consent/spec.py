"""Literal names of the wire shapes (WIRE sections B and C), each spelled once."""

REQUEST_PROOF_HEADER = "Request-Proof"
PROOF_NONCE_HEADER = "Proof-Nonce"
USE_PROOF_NONCE = "use_proof_nonce"
INVALID_PROOF = "invalid_proof"
INVALID_REQUEST = "invalid_request"
STALE_REQUEST = "stale_request"
BAD_SIGNATURE = "bad_signature"

MEDIA_JWT = "application/jwt"
MEDIA_JSON = "application/json"
MEDIA_RECEIPT = "application/ld+json"
MEDIA_FORM = "application/x-www-form-urlencoded"

TYP_PROOF = "atorga-proof+jwt"
TYP_REQUEST = "consent-request+jwt"
TYP_GRANT = "consent-grant+jwt"
TYP_GRANT_LINK = "grant-link+jwt"
TYP_USE_REQUEST = "use-request+jwt"
TYP_USE_ANSWER = "use-answer+jwt"
TYP_DATA_ANSWER = "data-answer+jwt"
TYP_WITHDRAWAL = "withdrawal+jwt"
TYP_ACT = "grant-act+jwt"
TYP_PURPOSE_DECLARATION = "purpose-declaration+jwt"
TYP_DATA_DECLARATION = "data-declaration+jwt"
TYP_PROMISE = "log-promise+jwt"
TYP_BASIS_REQUEST = "basis-request+jwt"
TYP_NOTICE_ANSWER = "notice-answer+jwt"
TYP_SPOOLED_NOTICE = "spooled-notice+jwt"
TYP_FEED = "consent-feed+jwt"
TYP_DELETION_RECEIPT = "deletion-receipt+jwt"
TYP_OPENING_ORDER = "opening-order+jwt"
TYP_JOURNAL_ROOT = "journal-root+jwt"

DETAIL_TYPE = "urn:atorga:attribute-consent:1"
LINK_SCHEME = "atorga-consent"

# What an HPKE value is sealed for, and what a nonce is made for.
INFO_LOCATOR = b"atorga/v1/locator"
INFO_SUBJECT = b"atorga/v1/subject"
INFO_DATA = b"atorga/v1/data"
INFO_LINK = b"atorga/v1/link"
INFO_EVENT = b"atorga/v1/event"
INFO_OPENING = b"atorga/v1/opening"
INFO_OFFICERS = b"atorga/v1/officers"
TAG_LINK = "atorga/link/v1"
TAG_ACCOUNT = "atorga/account/v1"
TAG_ACCREDITATION = "atorga/accreditation/v1"

# Credential types that consent itself reads.
VCT_ACCREDITATION = "urn:atorga:accreditation:1"
VCT_MANDATE = "urn:atorga:mandate:1"

MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_NAME = 64
MAX_PARTY_ID = 128
MAX_JWS = 65_536
"""WIRE: bodies are at most 64 KiB."""
