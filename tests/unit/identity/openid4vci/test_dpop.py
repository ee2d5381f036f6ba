"""DPoP proofs (RFC 9449 section 4.3): each check has a test that fails without it."""

from hashlib import sha256
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import ProtocolError
from identity.keys.signer import SoftwareSigner
from identity.openid4vci import dpop
from identity.openid4vci.nonces import Nonces

NOW = 1_795_315_010
URL = "https://issuer.example/bcn/token"
TOKEN = "a-token"
KEY = SoftwareSigner.generate()


def nonces(now: float = NOW, purpose: str = "dpop", secret: bytes = bytes(32)) -> Nonces:
    return Nonces(secret, purpose, seconds=300, clock=lambda: now, random=bytes)


def proof(
    *, key: SoftwareSigner = KEY, typ: str = "dpop+jwt", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    claims = {
        "jti": "one", "htm": "POST", "htu": URL, "iat": NOW, "nonce": nonces().fresh(),
        "ath": base64url.encode(sha256(TOKEN.encode()).digest()),
    } | changes  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    return jws.sign(claims, key, typ=typ, header={"jwk": key.public_key.jwk()} if header is None else header)


def verify(*fields: str, url: str = URL, access_token: str | None = TOKEN) -> dpop.VerifiedDpop:
    return dpop.verify(fields, method="POST", url=url, now=NOW, nonces=nonces(), access_token=access_token)


def test_right_proof() -> None:
    assert verify(proof()) == dpop.VerifiedDpop(KEY.public_key.thumbprint, "one")
    assert verify(proof(ath=None), access_token=None).jti == "one"
    assert verify(proof(iat=NOW + 0.5)).jti == "one"


def test_address_is_compared_as_addresses_are() -> None:
    for htu in (f"{URL}?x=1#y", "HTTPS://Issuer.Example:443/bcn/token"):
        assert verify(proof(htu=htu)).jti == "one"


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "jwt"},
        {"header": {}},
        {"header": {"jwk": "text"}},
        {"header": {"jwk": SoftwareSigner.generate().private_jwk()}},
        {"header": {"jwk": SoftwareSigner.generate().public_key.jwk()}},
        {"key": SoftwareSigner.generate("P-384")},
        {"htm": "GET"},
        {"htm": None},
        {"htu": "https://issuer.example/bcn/credential"},
        {"htu": "http://issuer.example/bcn/token"},
        {"htu": "https://issuer.example:8443/bcn/token"},
        {"htu": "https://issuer.example:port/bcn/token"},
        {"iat": NOW - 301},
        {"iat": NOW + 301},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": 10**400},
        {"iat": -1},
        {"jti": None},
        {"jti": "x" * 129},
        {"ath": None},
        {"ath": base64url.encode(sha256(b"another").digest())},
    ],
)
def test_wrong_proofs(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(proof(**changes))
    assert caught.value.code == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "nonce",
    [
        None,
        7,
        "",
        "unknown",
        nonces(NOW - 300).fresh(),
        nonces(NOW + 300).fresh(),
        nonces(purpose="c_nonce").fresh(),
        nonces(secret=bytes(31) + b"\1").fresh(),
    ],
)
def test_nonce_is_asked_for(nonce: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(proof(nonce=nonce))
    assert caught.value.code == "use_dpop_nonce"


@pytest.mark.parametrize(
    "fields", [(), (proof(), proof()), ("",), ("a.b.c",), (proof() + "x",), (proof()[:-4] + "AAAA",)]
)
def test_one_whole_header(fields: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(*fields)
    assert caught.value.code == "invalid_dpop_proof"


def test_a_proof_is_limited() -> None:
    with pytest.raises(ProtocolError, match="characters"):
        verify(proof(padding="x" * dpop.MAX_PROOF_BYTES))


def test_nonces_differ_and_need_their_secret() -> None:
    numbers = iter(range(9))
    made = Nonces(
        bytes(32), "c_nonce", seconds=10, clock=lambda: NOW, random=lambda size: next(numbers).to_bytes(size, "big")
    )
    first, second = made.fresh(), made.fresh()
    assert first != second and made.accepts(first) and made.accepts(second)
    for broken in ("", "A", first[:-1], first + "AA", base64url.encode(bytes(34)), "!" * 46):
        assert not made.accepts(broken)
    with pytest.raises(ValueError, match="32"):
        Nonces(b"short", "c_nonce", seconds=10, clock=lambda: NOW, random=bytes)
