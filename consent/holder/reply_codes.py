"""Codes with which a data holder says that it cannot release now (``NothingReleased``)."""

CONSENT_UNAVAILABLE = "consent_unavailable"
ALLOW_NOT_PROVEN = "allow_not_proven"
REGISTER_UNAVAILABLE = "register_unavailable"
REGISTRY_UNAVAILABLE = "registry_unavailable"
BASES_UNAVAILABLE = "bases_unavailable"
KEYED_HASH_UNAVAILABLE = "keyed_hash_unavailable"
SPOOL_FULL = "spool_full"
