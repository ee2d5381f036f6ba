"""Server nonces of the caller proof (WIRE C1): stateless, valid 5 minutes, for any request of any key."""

import hmac
from functools import lru_cache
from hashlib import sha256

from identity.codec import base64url
from identity.errors import EncodingError

NONCE_SECONDS = 300
_TIME_BYTES = 8
_MAC_BYTES = 16


class Nonces:
    """Makes and recognises nonces under one secret, which all workers share."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # One a second is given out, to everybody; those of the last minutes come back.
        self._at = lru_cache(maxsize=2 * NONCE_SECONDS)(self._made_at)

    def fresh(self, now: int) -> str:
        return base64url.encode(self._at(now))

    def accepts(self, nonce: str, now: int) -> bool:
        try:
            raw = base64url.decode(nonce)
        except EncodingError:
            return False
        if len(raw) != _TIME_BYTES + _MAC_BYTES:
            return False
        made = int.from_bytes(raw[:_TIME_BYTES], "big")
        return hmac.compare_digest(raw, self._at(made)) and made - NONCE_SECONDS < now < made + NONCE_SECONDS

    def _made_at(self, time: int) -> bytes:
        stamp = time.to_bytes(_TIME_BYTES, "big")
        return stamp + hmac.digest(self._secret, b"atorga/proof-nonce/v1" + stamp, sha256)[:_MAC_BYTES]
