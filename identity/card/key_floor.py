"""The weakest key we accept in a card's chain.

Path validators look at names and signatures; both of Python's take an RSA-1024 leaf without a word.
"""

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.errors import CardError, KeyMaterialError
from identity.keys.public_key import PublicKey

MIN_RSA_BITS = 2_048
MAX_RSA_BITS = 8_192
"""Larger ones belong to no card and cost whoever checks them more than whoever sends them."""

MIN_EXPONENT = 65_537

ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
"""CVE-2017-15361: a modulus of the weak generator is a power of 65537 modulo each of these.

A sound one is so by chance once in 2^27.
"""


def _powers(prime: int) -> frozenset[int]:
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * 65_537 % prime
    return frozenset(found)


_ROCA_RESIDUES = {prime: _powers(prime) for prime in ROCA_PRIMES}


def strong_key(key: object, *, what: str) -> PublicKey:
    """The key, if it is EC P-256, P-384, P-521 or a sound RSA key of at least 2,048 bits. Raises CardError."""
    if isinstance(key, rsa.RSAPublicKey):
        _require_strong_rsa(key, what=what)
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise CardError(f"{what}: the key is neither EC nor RSA")
    try:
        return PublicKey.from_cryptography(key)
    except KeyMaterialError as fault:
        raise CardError(f"{what}: {fault}") from None


def _require_strong_rsa(key: rsa.RSAPublicKey, *, what: str) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise CardError(f"{what}: RSA key of {key.key_size} bits, expected {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    numbers = key.public_numbers()
    if numbers.e < MIN_EXPONENT or numbers.e % 2 == 0:
        raise CardError(f"{what}: RSA exponent {numbers.e}, expected an odd one of at least {MIN_EXPONENT}")
    if all(numbers.n % prime in residues for prime, residues in _ROCA_RESIDUES.items()):
        raise CardError(f"{what}: RSA key of a generator that is broken (ROCA, CVE-2017-15361)")
