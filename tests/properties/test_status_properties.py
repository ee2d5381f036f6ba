"""The list behaves like a list of small numbers; one flipped bit in anything signed is noticed."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from identity.errors import EncodingError, StatusUnavailable, TrustError
from identity.status.status_list import ALLOWED_BITS, StatusList
from identity.status.token import verify_status_list
from identity.trust.chain import read_x5c, verify_chain
from identity.trust.registry import verify_registry
from tests.unit.identity.status.conftest import ONE, StatusCity
from tests.unit.identity.trust.conftest import NOW

CITY = StatusCity()
REGISTRY = CITY.list(CITY.issuer_entry(), CITY.verifier_entry())
TOKEN = CITY.token(ONE, 5, 17)
ANCHORS = [CITY.registry_root.der]


class StatusListModel(RuleBasedStateMachine):
    """Beside it a plain Python list of numbers."""

    @initialize(bits=st.sampled_from(ALLOWED_BITS), whole_bytes=st.integers(1, 20))
    def start(self, bits: int, whole_bytes: int) -> None:
        self.model = [0] * (whole_bytes * 8 // bits)
        self.statuses = StatusList(bits, len(self.model))

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        value = data.draw(st.integers(0, (1 << self.statuses.bits) - 1))
        self.model[index] = value
        self.statuses.set(index, value)

    @rule()
    def pack_and_unpack(self) -> None:
        self.statuses = StatusList.from_compressed(self.statuses.compress(), self.statuses.bits)

    @rule(index=st.integers(-3, 200))
    def read_anywhere(self, index: int) -> None:
        if 0 <= index < len(self.model):
            assert self.statuses.get(index) == self.model[index]
        else:
            with pytest.raises(EncodingError):
                self.statuses.get(index)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "model"):
            assert [self.statuses.get(index) for index in range(len(self.statuses))] == self.model


TestStatusListModel = StatusListModel.TestCase


def flipped(text: str, place: int, bit: int) -> str:
    raw = bytearray(text.encode("ascii"))
    raw[place % len(raw)] ^= 1 << bit
    return raw.decode("latin-1")


@settings(deadline=None)
@given(st.integers(0), st.integers(0, 7))
def test_flipped_bit_in_the_list_of_parties(place: int, bit: int) -> None:
    with pytest.raises(TrustError):
        verify_registry(flipped(REGISTRY, place, bit), anchors=ANCHORS, now=NOW)


@settings(deadline=None)
@given(st.integers(0), st.integers(0, 7))
def test_flipped_bit_in_a_status_list(place: int, bit: int) -> None:
    def key_for(header: Any, _: str) -> Any:
        return verify_chain(read_x5c(header), [CITY.root.der], at=NOW).key

    assert verify_status_list(TOKEN, uri=ONE, key_for=key_for, now=NOW).get(5) == 1
    with pytest.raises(StatusUnavailable):
        verify_status_list(flipped(TOKEN, place, bit), uri=ONE, key_for=key_for, now=NOW)


@settings(deadline=None)
@given(st.integers(0), st.integers(0, 7))
def test_flipped_bit_in_a_certificate(place: int, bit: int) -> None:
    der = bytearray(CITY.issuer.der)
    der[place % len(der)] ^= 1 << bit
    with pytest.raises(TrustError):
        verify_chain([bytes(der), CITY.ca.der], [CITY.root.der], at=NOW)


@given(st.binary(max_size=200), st.sampled_from(ALLOWED_BITS))
def test_unpacking_never_fails_otherwise(data: bytes, bits: int) -> None:
    with suppress(EncodingError):
        StatusList.from_compressed(data, bits)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_certificates_never_fail_otherwise(data: bytes) -> None:
    with pytest.raises(TrustError):
        verify_chain([data], [CITY.root.der], at=NOW)
