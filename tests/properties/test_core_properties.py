"""Round trips, and one flipped bit anywhere is noticed."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.codec import base64url, jcs, strict_json
from identity.codec.length_prefix import prefixed
from identity.envelope import hpke, jws
from identity.errors import EncodingError, EnvelopeError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner

SIGNER = SoftwareSigner.generate()
RECIPIENT = AgreementPrivateKey.generate()

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary())
def test_base64url_round_trip(value: bytes) -> None:
    assert base64url.decode(base64url.encode(value)) == value


@given(st.text(alphabet="ABab01-_=+/ \n", max_size=12))
def test_base64url_has_one_spelling(text: str) -> None:
    try:
        value = base64url.decode(text)
    except EncodingError:
        return
    assert base64url.encode(value) == text


@given(json_values)
def test_json_round_trip(value: Any) -> None:
    assert strict_json.parse(strict_json.compact(value), what="x") == value
    assert strict_json.parse(jcs.canonicalize(value), what="x") == value


@given(st.binary(max_size=300))
def test_json_never_fails_otherwise(data: bytes) -> None:
    with suppress(EncodingError):
        strict_json.parse(data, what="x")


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_length_prefix_is_injective(one: list[bytes], other: list[bytes]) -> None:
    assert (prefixed(*one) == prefixed(*other)) == (one == other)


@given(st.dictionaries(st.text(), json_values, max_size=3), st.data())
def test_jws_flipped_character(claims: dict[str, Any], data: st.DataObject) -> None:
    compact = jws.sign(claims, SIGNER, typ="t")
    assert jws.verify(jws.parse(compact), SIGNER.public_key, typ="t").claims() == claims
    at = data.draw(st.integers(0, len(compact) - 1))
    flipped = compact[:at] + chr(ord(compact[at]) ^ (1 << data.draw(st.integers(0, 6)))) + compact[at + 1 :]
    with pytest.raises(EnvelopeError):
        jws.verify(jws.parse(flipped), SIGNER.public_key, typ="t")


@given(st.binary(max_size=40), st.binary(max_size=20), st.data())
def test_hpke_flipped_bit(plaintext: bytes, info: bytes, data: st.DataObject) -> None:
    sealed = hpke.seal(RECIPIENT.public, info, plaintext)
    assert hpke.open_sealed(RECIPIENT, info, sealed) == plaintext
    raw = bytearray(base64url.decode(sealed))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    # X25519 ignores the top bit of a coordinate (RFC 7748 section 5), but enc is bound into the
    # key schedule, so it must not open either.
    raw[at // 8] ^= 1 << at % 8
    with pytest.raises(EnvelopeError):
        hpke.open_sealed(RECIPIENT, info, base64url.encode(bytes(raw)))
