"""Multibase base58btc and multicodec prefixes of public keys (W3C CID 1.0 section 2.4; multiformats tables).

Only what did:key needs: 'z', and the codecs of the keys that we know.
"""

from identity.errors import DidError

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}

CODECS = {
    "X25519": b"\xec\x01",
    "Ed25519": b"\xed\x01",
    "P-256": b"\x80\x24",
    "P-384": b"\x81\x24",
    "P-521": b"\x82\x24",
}
"""Curve to multicodec (0xec, 0xed, 0x1200, 0x1201, 0x1202), as unsigned varint."""

MAX_CHARACTERS = 128
"""The longest, P-521, has 96; base58 decoding costs the square of the length."""


def encode_key(curve: str, raw: bytes) -> str:
    return "z" + _base58(CODECS[curve] + raw)


def decode_key(text: str) -> tuple[str, bytes]:
    """Curve and raw key. Raises DidError."""
    if not text.startswith("z"):
        raise DidError("multibase: expected base58btc, which begins with 'z'")
    if len(text) > MAX_CHARACTERS:
        raise DidError(f"multibase: {len(text)} characters, at most {MAX_CHARACTERS} are read")
    raw = _from_base58(text[1:])
    for curve, codec in CODECS.items():
        if raw.startswith(codec):
            return curve, raw[len(codec) :]
    raise DidError(f"multicodec: not a key of {', '.join(CODECS)}")


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    # Each leading zero byte is one leading '1'.
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def _from_base58(text: str) -> bytes:
    number = 0
    for character in text:
        if character not in _VALUES:
            raise DidError("multibase: a character is not of base58btc")
        number = number * 58 + _VALUES[character]
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body
