"""The order in which the places of a status list are given out.

Places must look random (two copies of one batch must not stand side by side) and never come twice.
Both follow from counting through a secret permutation: a Feistel network over the bits of a place,
walked until it falls inside the list. Nothing needs to be remembered but how many were given out.
"""

import hmac
from hashlib import sha256

ROUNDS = 8
"""Twice what Luby and Rackoff need against who can choose inputs; here the inputs are a counter."""

KEY_BYTES = 32


def place(key: bytes, size: int, number: int) -> int:
    """The place given out as number ``number`` (from 0); a permutation of ``range(size)``."""
    if not 0 <= number < size:
        raise ValueError("status places: the list has no such number")
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    value = number
    while True:
        value = _permuted(key, half, value)
        if value < size:
            return value


def _permuted(key: bytes, half: int, value: int) -> int:
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for step in range(ROUNDS):
        mixed = hmac.digest(key, bytes([step]) + right.to_bytes(4, "big"), sha256)
        left, right = right, left ^ (int.from_bytes(mixed[:4], "big") & mask)
    return left << half | right
