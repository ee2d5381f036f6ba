"""The signed list of parties: the literal names of the wire, spelled once (WIRE C12).

Its shape follows ETSI TS 119 602 (lists of trusted entities as JWS); issuer metadata follows
draft-ietf-oauth-sd-jwt-vc-24 section 4.
"""

TYP = "trust-list+jwt"
TYP_BASES = "basis-list+jwt"
BASES = "/bases"
"""After the address of the list of parties."""
BASES_FILE = "bases.jwt"
"""Where the list of parties is a file that is served: beside it."""
MEDIA_TYPE = "application/jwt"

ISSUER = "issuer"
STATUS = "status"
VERIFIER = "verifier"
SERVICE = "service"
HOLDER = "holder"
CONSENT = "consent"
LOG = "log"
WITNESS = "witness"
ROLES = frozenset({ISSUER, STATUS, VERIFIER, SERVICE, HOLDER, CONSENT, LOG, WITNESS})

ENDPOINTS = frozenset({"links", "journal", "data", "withdrawals", "consent", "feed"})

JWT_VC_ISSUER = "/.well-known/jwt-vc-issuer"
"""Stands between the host and the path of the issuer's identifier."""
