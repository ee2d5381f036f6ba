"""The token around a list: who signed it, for which address, for when."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import EncodingError, StatusUnavailable, TrustError
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.status import token as rooms
from identity.status.token import VerifiedStatusList, sign_status_list, verify_status_list
from tests.unit.identity.status.conftest import ONE, StatusCity, statuses
from tests.unit.identity.trust.conftest import NOW

SIGNER = SoftwareSigner.generate()
CITY = StatusCity()


def key_for(_: Mapping[str, Any], uri: str) -> PublicKey:
    assert uri == ONE
    return SIGNER.public_key


def read(token: str, now: int = NOW) -> VerifiedStatusList:
    return verify_status_list(token, uri=ONE, key_for=key_for, now=now)


def body(**changes: Any) -> dict[str, Any]:
    held = {"bits": 1, "lst": base64url.encode(statuses(5).compress())}
    claims = {"sub": ONE, "iat": NOW, "exp": NOW + 60, "ttl": 30, "status_list": held} | changes
    return {name: value for name, value in claims.items() if value is not None}


def made(claims: Any, *, header: dict[str, Any] | None = None, by: SoftwareSigner = SIGNER) -> str:
    head = {"typ": "statuslist+jwt", "alg": "ES256"} | (header or {})
    text = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{base64url.encode(json.dumps(head).encode())}.{base64url.encode(text.encode())}"
    return f"{signed}.{base64url.encode(by.sign(signed.encode()))}"


def test_signed_and_read() -> None:
    token = CITY.token(ONE, 5, aggregation_uri="https://town.example/all")
    found = verify_status_list(token, uri=ONE, key_for=lambda *_: CITY.status.signer.public_key, now=NOW)
    assert (found.uri, found.iat, found.exp, found.ttl) == (ONE, NOW, NOW + 3_600, 60)
    assert [found.get(index) for index in (4, 5, 6)] == [0, 1, 0]
    parsed = jws.parse(token)
    assert list(parsed.header) == ["typ", "alg", "x5c"] and len(parsed.header["x5c"]) == 2
    assert parsed.claims()["status_list"]["aggregation_uri"] == "https://town.example/all"


def test_index_outside_makes_no_statement() -> None:
    with pytest.raises(StatusUnavailable, match="outside"):
        read(made(body())).get(64)


def test_what_may_be_absent_and_what_more_may_be_there() -> None:
    found = read(made(body(exp=None, ttl=None, iss="https://town.example", nbf=NOW)))
    assert found.exp is None and found.ttl is None
    assert read(made(body(ttl=0.5))).ttl == 0.5
    assert read(made(body(ttl=1e300))).ttl == rooms.MAX_AGE_SECONDS


@pytest.mark.parametrize(
    "change",
    [
        {"sub": None},
        {"sub": ONE + "/"},
        {"sub": 1},
        {"iat": None},
        {"iat": "now"},
        {"iat": NOW + 61},
        {"iat": 1.5},
        {"nbf": NOW + 61},
        {"nbf": "x"},
        {"exp": NOW},
        {"exp": True},
        {"aud": ONE},
        {"iat": NOW - rooms.MAX_AGE_SECONDS - 1},
        {"iat": NOW - rooms.MAX_AGE_SECONDS - 1, "exp": None},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "60"},
        {"ttl": True},
        {"status_list": None},
        {"status_list": "x"},
        {"status_list": {"bits": 1}},
        {"status_list": {"lst": body()["status_list"]["lst"]}},
        {"status_list": body()["status_list"] | {"bits": 3}},
        {"status_list": body()["status_list"] | {"bits": "1"}},
        {"status_list": body()["status_list"] | {"lst": "eNrbuRgAAhcBXQ=="}},
        {"status_list": body()["status_list"] | {"lst": "AAAA"}},
    ],
    ids=str,
)
def test_claims_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatusUnavailable, match="status list"):
        read(made(body(**change)))


def test_times_at_their_edge() -> None:
    read(made(body(iat=NOW + 60, exp=NOW + 120)))
    read(made(body(iat=NOW - rooms.MAX_AGE_SECONDS, exp=NOW + 1)))
    found = read(made(body()))
    found.require_current(NOW + 59)
    with pytest.raises(StatusUnavailable, match="expired"):
        found.require_current(NOW + 60)


@pytest.mark.parametrize("header", [{"typ": "jwt"}, {"typ": None}, {"alg": "none"}, {"alg": "HS256"}, {"crit": []}])
def test_header_refused(header: dict[str, Any]) -> None:
    with pytest.raises(StatusUnavailable):
        read(made(body(), header=header))


@pytest.mark.parametrize("claims", ["[]", "", json.dumps(body())[:-1] + ',"sub":"x"}'])
def test_payload_refused(claims: str) -> None:
    with pytest.raises(StatusUnavailable):
        read(made(claims))


def test_signed_by_another_key() -> None:
    with pytest.raises(StatusUnavailable, match="does not belong"):
        read(made(body(), by=SoftwareSigner.generate()))


def test_signer_whom_nobody_trusts() -> None:
    def nobody(*_: object) -> PublicKey:
        raise TrustError("nobody")

    with pytest.raises(StatusUnavailable, match="nobody"):
        verify_status_list(made(body()), uri=ONE, key_for=nobody, now=NOW)


def test_too_large() -> None:
    with pytest.raises(StatusUnavailable, match="at most"):
        read("a" * (rooms.MAX_TOKEN_BYTES + 1))


def test_list_beyond_64_kib_is_read() -> None:
    large = statuses(*random.Random(1).sample(range(2**20), 2**18), size=2**20)
    token = CITY.token(ONE, of=large)
    assert len(token) > 65_536
    found = verify_status_list(token, uri=ONE, key_for=lambda *_: CITY.status.signer.public_key, now=NOW)
    assert found.statuses == large


@pytest.mark.parametrize(("exp", "ttl"), [(NOW, 1), (NOW + 1, 0)])
def test_nothing_is_signed_that_nobody_could_use(exp: int, ttl: int) -> None:
    with pytest.raises(EncodingError):
        sign_status_list(statuses(), uri=ONE, signer=SIGNER, x5c=[], iat=NOW, exp=exp, ttl=ttl)
