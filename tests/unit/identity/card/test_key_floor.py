"""Which keys are too weak, each made on purpose."""

import random
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from identity.card.key_floor import strong_key
from identity.errors import CardError
from tests.unit.identity.card.mint import rsa_key


def refused(key: object, why: str) -> None:
    with pytest.raises(CardError, match=why):
        strong_key(key, what="key")


def primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def roca_modulus(bits: int, *, seed: int) -> int:
    """As the broken generator did: p = k·M + (65537^a mod M), M the product of the first 126 primes."""
    source = random.Random(seed)
    product = 1
    for prime in primes(126):
        product *= prime

    def draw() -> int:
        while True:
            candidate = source.getrandbits(bits // 2 - product.bit_length()) * product + pow(
                65_537, source.getrandbits(60), product
            )
            if candidate.bit_length() == bits // 2 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3)):
                return candidate

    while (modulus := draw() * draw()).bit_length() != bits:
        pass
    return modulus


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_the_curves_of_cards(curve: ec.EllipticCurve) -> None:
    assert strong_key(ec.generate_private_key(curve).public_key(), what="key").curve is not None


def test_rsa_2048() -> None:
    assert strong_key(rsa_key().public_key(), what="key").curve is None


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP224R1(), ec.BrainpoolP256R1()])
def test_other_curves(curve: ec.EllipticCurve) -> None:
    refused(ec.generate_private_key(curve).public_key(), "expected P-256, P-384 or P-521")


def test_other_types() -> None:
    refused(ed25519.Ed25519PrivateKey.generate().public_key(), "neither EC nor RSA")
    refused(None, "neither EC nor RSA")


def test_rsa_1024() -> None:
    refused(rsa_key(1_024).public_key(), "1024 bits")


def test_rsa_2047() -> None:
    refused(rsa.RSAPublicNumbers(65_537, rsa_key().public_key().public_numbers().n >> 1 | 1).public_key(), "2047 bits")


def test_rsa_beyond_reason() -> None:
    refused(rsa.RSAPublicNumbers(65_537, 2**8_200 + 1).public_key(), "8201 bits")


def test_exponent_3() -> None:
    refused(rsa_key(2_048, 3).public_key(), "exponent 3")


def test_roca() -> None:
    modulus = roca_modulus(2_048, seed=2017)
    refused(rsa.RSAPublicNumbers(65_537, modulus).public_key(), "ROCA")


def test_sound_moduli_are_not_taken_for_roca() -> None:
    """Products of neighbouring odd numbers stand for moduli: what counts is their residues."""
    source = random.Random(2017)
    numbers = [source.getrandbits(1_024) | 1 << 1_023 | 1 << 1_022 | 1 for _ in range(400)]
    for p, q in pairwise(numbers):
        strong_key(rsa.RSAPublicNumbers(65_537, p * q).public_key(), what="key")
