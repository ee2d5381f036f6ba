"""Pairwise identifiers: who a person is to one organisation, and to no other (DESIGN section 5).

    "a" ‖ base32(HMAC(key of this issuer, u16-length-prefixed "atorga/pairwise/v1", number rule, number, organisation))

in lower case: common applications fold case, want a letter first and take 64 characters; these are
53. The key lies in the process of `identity.keys.keyed_hash`, so that a number and its identifier
can be joined only by asking it, at its rate.
"""

from base64 import b32encode
from collections.abc import Sequence

from identity.codec.length_prefix import prefixed
from identity.issuer.person import NUMBER_RULE, Person
from identity.keys.keyed_hash import KeyedHash

MAX_SHARD = 200
"""Organisations in one credential: what an SD-JWT of 64 KiB can carry."""


def shards(organisations: Sequence[str]) -> list[tuple[str, ...]]:
    """The organisations, in the order of the list, as datasets; at least one, which may be empty."""
    return [tuple(organisations[at : at + MAX_SHARD]) for at in range(0, len(organisations), MAX_SHARD)] or [()]


def identifiers(person: Person, organisations: Sequence[str], keyed_hash: KeyedHash, scope: str) -> dict[str, str]:
    """Organisation → identifier. Raises KeyUnavailable."""
    if not organisations:
        return {}
    messages = [
        prefixed("atorga/pairwise/v1", NUMBER_RULE, person.id_number, organisation) for organisation in organisations
    ]
    found = keyed_hash.hashes(scope, messages)
    return {
        organisation: "a" + b32encode(value).decode("ascii").rstrip("=").lower()
        for organisation, value in zip(organisations, found, strict=True)
    }


def person_hash(person: Person, keyed_hash: KeyedHash, scope: str) -> bytes:
    """What the issuer knows a person's credentials by, to revoke them when a wallet is lost."""
    (found,) = keyed_hash.hashes(scope, [prefixed("atorga/subject/v1", NUMBER_RULE, person.id_number)])
    return found
