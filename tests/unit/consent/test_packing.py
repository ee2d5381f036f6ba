"""A packed grant comes out as it went in; what cannot be packed stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scale_grants import bodies
from consent.ledger.packing import PACKED, pack, unpack
from identity.codec import base64url

BODY = bodies()[0]


def test_a_grant_takes_a_quarter() -> None:
    packed, beside = pack(BODY.grant_jws, BODY.details)
    assert beside == "" and packed[0] == PACKED
    assert len(packed) * 4 < len(BODY.grant_jws) + len(BODY.details)
    assert unpack(packed) == (BODY.grant_jws, BODY.details)


@pytest.mark.parametrize(
    "grant",
    [
        "grant",
        "",
        ".".join(base64url.encode(part) for part in (b"{}", b'{"no":"request"}', b"s")),
        BODY.grant_jws + "=",
        BODY.grant_jws + ".more",
        BODY.grant_jws.replace("e", "é", 1),
    ],
)
def test_what_is_no_such_grant_stays_as_it_is(grant: str) -> None:
    assert pack(grant, "{}") == (grant.encode(), "{}")
    assert unpack(grant.encode()) == (grant, "")


@given(payload=st.binary(max_size=200), details=st.text(max_size=50))
def test_any_text_comes_out_as_it_went_in(payload: bytes, details: str) -> None:
    request = ".".join(base64url.encode(part) for part in (b"{}", b"{}", b"s"))
    for claims in (payload, b'{"request":"' + request.encode() + b'"}' + payload, b'"request":""' + payload):
        grant = ".".join(base64url.encode(part) for part in (b"{}", claims, bytes(64)))
        packed, beside = pack(grant, details)
        found, inside = unpack(packed)
        assert (found, beside or inside) == (grant, details)


@pytest.mark.parametrize("damage", [b"", b"\1", b"\1nonsense", pack(BODY.grant_jws, BODY.details)[0][:-9]])
def test_a_damaged_row_is_noticed(damage: bytes) -> None:
    if damage:
        with pytest.raises(ValueError, match="damaged"):
            unpack(damage)
    else:
        assert unpack(damage) == ("", ""), "erased"
