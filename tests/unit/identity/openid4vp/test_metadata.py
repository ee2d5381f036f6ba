"""What verifier and wallet say about themselves."""

from typing import Any

import pytest

from identity.errors import ProtocolError
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import client_metadata, wallet_metadata

KEY = SoftwareSigner.generate().public_key
OTHER = SoftwareSigner.generate("P-384").public_key
JWK = {**KEY.jwk(), "kid": "k1", "use": "enc", "alg": "ECDH-ES"}


def metadata(*keys: Any, **more: Any) -> dict[str, Any]:
    return {"jwks": {"keys": list(keys)}, **more}


def test_ours_can_be_encrypted_to() -> None:
    made = client_metadata.make((KEY, "k1"))
    client_metadata.require_our_formats(made)
    read = client_metadata.encryption_key(made)
    assert (read.jwk, read.kid, read.enc) == (KEY.jwk(), "k1", "A256GCM")
    assert made["encrypted_response_enc_values_supported"] == ["A128GCM", "A256GCM"]


def test_without_encryption_no_key_is_named() -> None:
    assert set(client_metadata.make()) == {"vp_formats_supported"}


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(None, "A128GCM"), (["A128GCM"], "A128GCM"), (["A256GCM"], "A256GCM"), (["A128CBC-HS256", "A128GCM"], "A128GCM")],
)
def test_content_encryption(offered: list[str] | None, chosen: str) -> None:
    more = {} if offered is None else {"encrypted_response_enc_values_supported": offered}
    assert client_metadata.encryption_key(metadata(JWK, **more)).enc == chosen


def test_the_first_key_that_fits_is_taken() -> None:
    signing = {**JWK, "kid": "s", "use": "sig"}
    other_curve = {**OTHER.jwk(), "kid": "o", "use": "enc", "alg": "ECDH-ES"}
    other_alg = {**JWK, "kid": "a", "alg": "ECDH-ES+A128KW"}
    x25519 = {"kty": "OKP", "crv": "X25519", "x": "abc", "kid": "x", "alg": "ECDH-ES"}
    unused = {name: value for name, value in JWK.items() if name != "use"}
    read = client_metadata.encryption_key(metadata(signing, other_curve, other_alg, x25519, unused))
    assert read.kid == "k1"


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"jwks": []},
        {"jwks": {}},
        metadata(),
        metadata("x"),
        metadata(*[{**JWK, "kid": str(n)} for n in range(9)]),
        metadata({name: value for name, value in JWK.items() if name != "kid"}),
        metadata({name: value for name, value in JWK.items() if name != "alg"}),
        metadata(JWK, JWK),
        metadata({**JWK, "use": "sig"}),
        metadata({**JWK, "y": JWK["x"]}),
        metadata({**JWK, "d": "abc"}),
        metadata(JWK, encrypted_response_enc_values_supported=["A128CBC-HS256"]),
        metadata(JWK, encrypted_response_enc_values_supported=[]),
        metadata(JWK, encrypted_response_enc_values_supported="A128GCM"),
    ],
    ids=[
        "no jwks",
        "jwks no object",
        "no keys",
        "keys empty",
        "a key no object",
        "too many",
        "no kid",
        "no alg",
        "a kid twice",
        "for signatures",
        "not on the curve",
        "private",
        "no enc of ours",
        "enc empty",
        "enc no list",
    ],
)
def test_no_key_to_encrypt_to(obj: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        client_metadata.encryption_key(obj)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    "formats",
    [None, {"dc+sd-jwt": {}}, {"mso_mdoc": {}, "dc+sd-jwt": {"sd-jwt_alg_values": ["ES384", "ES256"]}}],
)
def test_formats_that_fit(formats: Any) -> None:
    client_metadata.require_our_formats({} if formats is None else {"vp_formats_supported": formats})


@pytest.mark.parametrize(
    ("formats", "code"),
    [
        ({}, "vp_formats_not_supported"),
        ({"mso_mdoc": {}}, "vp_formats_not_supported"),
        ({"dc+sd-jwt": {"sd-jwt_alg_values": ["ES384"]}}, "vp_formats_not_supported"),
        ({"dc+sd-jwt": {"kb-jwt_alg_values": ["ES384"]}}, "vp_formats_not_supported"),
        ([], "invalid_request"),
        ({"dc+sd-jwt": []}, "invalid_request"),
        ({"dc+sd-jwt": {"sd-jwt_alg_values": "ES256"}}, "invalid_request"),
    ],
)
def test_formats_that_do_not(formats: Any, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        client_metadata.require_our_formats({"vp_formats_supported": formats})
    assert caught.value.code == code


def test_wallet_metadata_round_trip() -> None:
    read = wallet_metadata.parse(wallet_metadata.format("n-1"))
    assert read.wallet_nonce == "n-1"
    assert read.wallet_metadata == wallet_metadata.WALLET_METADATA


def test_nothing_of_it_is_required_and_more_is_ignored() -> None:
    assert wallet_metadata.parse(b"") == wallet_metadata.RequestUriPost(None, None)
    assert wallet_metadata.parse(b"later=1").wallet_nonce is None


@pytest.mark.parametrize(
    "body",
    [
        b"wallet_nonce=",
        b"wallet_nonce=" + b"a" * 513,
        b"wallet_nonce=a&wallet_nonce=a",
        b"wallet_metadata=",
        b"wallet_metadata=%5B%5D",
        b"wallet_metadata=" + b"a" * 16_384,
    ],
    ids=lambda body: str(body[:40]),
)
def test_wallet_metadata_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        wallet_metadata.parse(body)
    assert caught.value.code == "invalid_request"
