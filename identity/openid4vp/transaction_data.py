"""Transaction data (OpenID4VP 1.0 sections 5.1, 8.4, B.3.3.1): what a presentation also authorises.

A type that the reader does not know is refused with the whole request, and so is a member that the
profile of section B.3.3.1 does not have, unless the type's own reader takes it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from identity.codec import base64url, strict_json
from identity.codec.members import text, texts
from identity.errors import EncodingError, ProtocolError
from identity.openid4vp.dcql import MAX_CREDENTIALS, DcqlQuery
from identity.openid4vp.spec import INVALID_TRANSACTION_DATA, TRANSACTION_DATA

MAX_ITEMS = 8
MAX_ITEM_CHARACTERS = 16_384
"""One carries, for example, the text of a grant."""

HASH = "sha-256"
HASHES_ALG = "transaction_data_hashes_alg"


@dataclass(frozen=True, slots=True)
class TransactionData:
    encoded: str
    """As received; what is hashed."""
    type: str
    credential_ids: tuple[str, ...]
    names_hash: bool
    """The request named hash functions, so the answer names the one it used."""
    members: Mapping[str, Any]
    """All of it, for the reader of the type."""

    @property
    def hash(self) -> str:
        """Section B.3.3.1: over the text as received, not decoded."""
        return base64url.encode(sha256(self.encoded.encode("ascii")).digest())


def parse(claims: Mapping[str, Any], query: DcqlQuery, types: Collection[str]) -> tuple[TransactionData, ...]:
    """Raises ProtocolError ``invalid_transaction_data``; ``types`` are those the caller understands."""
    if TRANSACTION_DATA not in claims:
        return ()
    try:
        encoded = texts(claims, TRANSACTION_DATA, what="request", max_count=MAX_ITEMS, max_length=MAX_ITEM_CHARACTERS)
        return tuple(_item(one, query, types) for one in encoded)
    except EncodingError as fault:
        raise ProtocolError(INVALID_TRANSACTION_DATA, str(fault)) from None


def format(data_type: str, credential_ids: Collection[str], members: Mapping[str, Any]) -> str:
    """One entry of the request parameter; ``members`` are those of the type."""
    obj = {"type": data_type, "credential_ids": list(credential_ids), **members}
    return base64url.encode(strict_json.compact(obj))


def _item(encoded: str, query: DcqlQuery, types: Collection[str]) -> TransactionData:
    what = TRANSACTION_DATA
    obj = strict_json.parse_object(base64url.decode(encoded, what=what), what=what)
    item_type = text(obj, "type", what=what)
    if item_type not in types:
        raise EncodingError(f"{what}: its type is not known here")
    ids = texts(obj, "credential_ids", what=what, max_count=MAX_CREDENTIALS)
    if not all(query.credential(one) for one in ids):
        raise EncodingError(f"{what}: 'credential_ids' names a query that is not there")
    if HASHES_ALG in obj and HASH not in texts(obj, HASHES_ALG, what=what, max_count=16):
        raise EncodingError(f"{what}: {HASH} is not among the hash functions")
    return TransactionData(encoded, item_type, ids, HASHES_ALG in obj, obj)
