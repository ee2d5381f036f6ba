"""Token Status List: the literal names of the wire, spelled once.

https://datatracker.ietf.org/doc/html/draft-ietf-oauth-status-list-21
"""

TYP = "statuslist+jwt"
"""Section 5.1."""

MEDIA_TYPE = "application/statuslist+jwt"
"""Section 8.1."""

AGGREGATION_MEDIA_TYPE = "application/json"
STATUS_LISTS = "status_lists"
"""Section 9.3: the member of an aggregation, a list of addresses."""

STATUS_LIST = "status_list"
BITS = "bits"
LST = "lst"
AGGREGATION_URI = "aggregation_uri"
"""Section 4.2."""

VALID = 0
INVALID = 1
SUSPENDED = 2
"""Section 7.1."""

SHARD_ENTRIES = 2**20
"""Entries in one of our lists: 128 KiB open, so that one revocation costs one small list, and a
resident hides among a million."""
