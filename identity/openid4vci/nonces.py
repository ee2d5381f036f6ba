"""Nonces that need no store to be known again: the time they were made, random bytes, and a MAC.

``c_nonce`` (section 7) and DPoP nonces (RFC 9449 section 8) are made under one secret for two
purposes; one is never accepted as the other. Whether a nonce was used is the caller's to remember.
"""

import hmac
from hashlib import sha256

from identity.clock import Clock
from identity.codec import base64url
from identity.errors import EncodingError
from identity.randomness import Random

SECRET_BYTES = 32
_TIME_BYTES = 6
_RANDOM_BYTES = 12
_MAC_BYTES = 16
_BYTES = _TIME_BYTES + _RANDOM_BYTES + _MAC_BYTES


class Nonces:
    def __init__(self, secret: bytes, purpose: str, *, seconds: int, clock: Clock, random: Random) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"nonce secret: {len(secret)} bytes, expected {SECRET_BYTES}")
        self._key = hmac.digest(secret, b"atorga/nonce/v1/" + purpose.encode("ascii"), sha256)
        self.seconds = seconds
        """How long one is good."""
        self._clock = clock
        self._random = random

    def fresh(self) -> str:
        made = int(self._clock()).to_bytes(_TIME_BYTES, "big") + self._random(_RANDOM_BYTES)
        return base64url.encode(made + self._mac(made))

    def accepts(self, nonce: str) -> bool:
        """Whether it is ours and not too old."""
        try:
            raw = base64url.decode(nonce)
        except EncodingError:
            return False
        if len(raw) != _BYTES:
            return False
        made, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(made)):
            return False
        age = self._clock() - int.from_bytes(made[:_TIME_BYTES], "big")
        return -self.seconds < age < self.seconds

    def _mac(self, made: bytes) -> bytes:
        return hmac.digest(self._key, made, sha256)[:_MAC_BYTES]
