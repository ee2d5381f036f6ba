"""Key proofs (OpenID4VCI 1.0 appendices F.1 and F.4): each check has a test that fails without it."""

from typing import Any

import pytest

from identity.envelope import jws
from identity.errors import ProtocolError
from identity.keys.signer import SoftwareSigner
from identity.openid4vci import proof
from identity.openid4vci.nonces import Nonces

NOW = 1_795_315_010
ISSUER = "https://issuer.example/bcn"
KEY, OTHER = SoftwareSigner.generate(), SoftwareSigner.generate()


def nonces(now: float = NOW, purpose: str = "c_nonce") -> Nonces:
    return Nonces(bytes(32), purpose, seconds=300, clock=lambda: now, random=bytes)


def signed(
    key: SoftwareSigner = KEY,
    *,
    typ: str = "openid4vci-proof+jwt",
    header: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    claims = {"aud": ISSUER, "iat": NOW, "nonce": nonces().fresh(), "iss": "wallet"} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jws.sign(claims, key, typ=typ, header={"jwk": key.public_key.jwk()} if header is None else header)


def verify(*proofs: str, client_id: str | None = "wallet") -> proof.VerifiedProofs:
    return proof.verify(proofs, issuer=ISSUER, client_id=client_id, now=NOW, nonces=nonces())


def test_right_proofs() -> None:
    found = verify(signed(), signed(OTHER))
    assert found.keys == (KEY.public_key, OTHER.public_key)
    assert found.nonces == {nonces().fresh()}
    assert verify(signed(iss=None)).keys == (KEY.public_key,)
    assert verify(signed(iss=None), client_id=None).keys == (KEY.public_key,)
    assert verify(signed(header={"jwk": {**KEY.public_key.jwk(), "kid": "0", "use": "sig"}})).keys == (KEY.public_key,)


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"header": {}},
        {"header": {"kid": "did:key:z"}},
        {"header": {"x5c": ["AA=="]}},
        {"header": {"jwk": KEY.public_key.jwk(), "kid": "0"}},
        {"header": {"jwk": KEY.private_jwk()}},
        {"header": {"jwk": OTHER.public_key.jwk()}},
        {"header": {"jwk": {"kty": "oct", "k": "AA"}}},
        {"header": {"jwk": KEY.public_key.jwk(), "crit": ["x"], "x": 1}},
        {"key": SoftwareSigner.generate("P-384")},
        {"key": SoftwareSigner.generate("Ed25519")},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": [ISSUER]},
        {"aud": f"{ISSUER}/"},
        {"iss": "another"},
        {"iat": None},
        {"iat": "now"},
        {"iat": 10**400},
        {"iat": NOW - 301},
        {"iat": NOW + 301},
        {"nonce": None},
        {"nonce": ""},
        {"nonce": 7},
    ],
)
def test_wrong_proofs(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(signed(**changes))
    assert caught.value.code == "invalid_proof"


@pytest.mark.parametrize("compact", ["", "a.b", "a.b.c", signed() + "~", signed()[:-4] + "AAAA"])
def test_malformed_proofs(compact: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(compact)
    assert caught.value.code == "invalid_proof"


def test_anonymous_access_names_nobody() -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(signed(), client_id=None)
    assert caught.value.code == "invalid_proof"


@pytest.mark.parametrize("nonce", ["unknown", nonces(NOW - 300).fresh(), nonces(purpose="dpop").fresh()])
def test_wrong_nonces(nonce: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        verify(signed(), signed(OTHER, nonce=nonce))
    assert caught.value.code == "invalid_nonce"


def test_keys_are_distinct() -> None:
    with pytest.raises(ProtocolError, match="twice"):
        verify(signed(), signed())
