"""The bytes of a list, and what may not unfold."""

import zlib

import pytest

from identity.errors import EncodingError
from identity.status.status_list import ALLOWED_BITS, MAX_BYTES, StatusList


@pytest.mark.parametrize("bits", ALLOWED_BITS)
def test_every_value_at_every_place_touches_no_neighbour(bits: int) -> None:
    made = StatusList(bits, 16)
    for index in range(16):
        made.set(index, index % (1 << bits))
    assert [made.get(index) for index in range(16)] == [index % (1 << bits) for index in range(16)]
    made.set(3, 0)
    assert made.get(3) == 0 and made.get(2) == 2 % (1 << bits) and made.get(4) == 4 % (1 << bits)
    assert StatusList.from_compressed(made.compress(), bits) == made
    assert StatusList.from_bytes(bytes(made), bits) == made
    assert len(made) == 16 and bytes(made) and repr(made) == f"StatusList({bits}, 16)"
    assert made != StatusList(bits, 16) and made != b"" and StatusList(1, 16) != StatusList(2, 8)


@pytest.mark.parametrize("index", [-1, 16, 2**40])
def test_index_outside(index: int) -> None:
    with pytest.raises(EncodingError, match="outside 0…15"):
        StatusList(1, 16).get(index)
    with pytest.raises(EncodingError, match="outside 0…15"):
        StatusList(1, 16).set(index, 1)


@pytest.mark.parametrize(("bits", "value"), [(1, 2), (2, 4), (4, 16), (8, 256), (1, -1)])
def test_value_that_does_not_fit(bits: int, value: int) -> None:
    with pytest.raises(EncodingError, match="does not fit"):
        StatusList(bits, 16).set(0, value)


@pytest.mark.parametrize("bits", [0, 3, 16, -1, True])
def test_bits(bits: int) -> None:
    with pytest.raises(EncodingError, match="bits must be"):
        StatusList(bits, 16)
    with pytest.raises(EncodingError, match="bits must be"):
        StatusList.from_bytes(b"\0", bits)


@pytest.mark.parametrize(("bits", "size"), [(1, 0), (1, -8), (1, 9), (2, 5), (1, MAX_BYTES * 8 + 8)])
def test_size(bits: int, size: int) -> None:
    with pytest.raises(EncodingError, match="whole bytes"):
        StatusList(bits, size)


def test_largest_list() -> None:
    largest = StatusList(1, MAX_BYTES * 8)
    assert StatusList.from_compressed(largest.compress(), 1) == largest


def test_bomb() -> None:
    with pytest.raises(EncodingError, match="more than"):
        StatusList.from_compressed(zlib.compress(bytes(MAX_BYTES + 1), 9), 1)
    with pytest.raises(EncodingError, match="more than 10"):
        StatusList.from_compressed(zlib.compress(bytes(11)), 1, max_bytes=10)
    assert len(StatusList.from_compressed(zlib.compress(bytes(10)), 1, max_bytes=10)) == 80


GOOD = zlib.compress(b"\x01\x02\x03")


@pytest.mark.parametrize(
    "data",
    [b"", b"x", GOOD[:-1], GOOD[:-4], GOOD + b"\0", GOOD + GOOD, GOOD[:-1] + b"\0", zlib.compress(b""), GOOD[2:-4]],
    ids=["empty", "text", "cut", "no-checksum", "more", "twice", "checksum", "nothing", "raw-deflate"],
)
def test_compressed_form(data: bytes) -> None:
    with pytest.raises(EncodingError, match="status list"):
        StatusList.from_compressed(data, 1)
