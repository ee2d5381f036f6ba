import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from identity.errors import KeyMaterialError, SignatureInvalid
from identity.keys import ed25519
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

CURVES = ("P-256", "P-384", "P-521", "Ed25519")


@pytest.mark.parametrize("curve", CURVES)
def test_sign_and_verify(curve: str) -> None:
    signer = SoftwareSigner.generate(curve)
    signature = signer.sign(b"text")
    key = PublicKey.from_jwk(signer.public_key.jwk())
    key.verify(signature, b"text", algorithm=signer.algorithm)
    for wrong in (signature[:-1], signature + b"\0", bytes([signature[0] ^ 1]) + signature[1:], b""):
        with pytest.raises(SignatureInvalid):
            key.verify(wrong, b"text", algorithm=signer.algorithm)
    with pytest.raises(SignatureInvalid):
        key.verify(signature, b"other", algorithm=signer.algorithm)


@pytest.mark.parametrize("curve", CURVES)
def test_private_forms_round_trip(curve: str) -> None:
    signer = SoftwareSigner.generate(curve)
    for again in (SoftwareSigner.from_jwk(signer.private_jwk()), SoftwareSigner.from_pem(signer.to_pem())):
        assert again.public_key == signer.public_key
        signer.public_key.verify(again.sign(b"x"), b"x", algorithm=signer.algorithm)


def test_algorithm_must_fit_the_key() -> None:
    signer = SoftwareSigner.generate("P-256")
    for algorithm in ("ES384", "EdDSA", "RS256", "none", "HS256"):
        with pytest.raises(KeyMaterialError):
            signer.public_key.verify(signer.sign(b"x"), b"x", algorithm=algorithm)


def _p256() -> dict[str, str]:
    return SoftwareSigner.generate().public_key.jwk()


@pytest.mark.parametrize(
    "change",
    [
        {"d": "AAAA"},
        {"alg": "ES256"},
        {"kty": "RSA"},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"x": "AAAA"},
        {"x": 7},
        {"y": "A" * 43},
    ],
)
def test_jwk_refused(change: dict[str, object]) -> None:
    with pytest.raises(KeyMaterialError):
        PublicKey.from_jwk({**_p256(), **change})


def test_foreign_members_only_where_asked() -> None:
    jwk = {**_p256(), "kid": "1", "use": "sig"}
    PublicKey.from_jwk_members(jwk)
    with pytest.raises(KeyMaterialError):
        PublicKey.from_jwk(jwk)


def test_private_jwk_must_match() -> None:
    one, other = SoftwareSigner.generate(), SoftwareSigner.generate()
    with pytest.raises(KeyMaterialError, match="do not belong together"):
        SoftwareSigner.from_jwk({**one.private_jwk(), "d": other.private_jwk()["d"]})


def test_unsupported_keys() -> None:
    for key in (ec.generate_private_key(ec.SECP256K1()), dsa.generate_private_key(2048)):
        with pytest.raises(KeyMaterialError):
            PublicKey.from_cryptography(key.public_key())


def test_rsa_has_no_jwk() -> None:
    key = PublicKey.from_cryptography(rsa.generate_private_key(65537, 2048).public_key())
    with pytest.raises(KeyMaterialError):
        key.jwk()
    assert {"RS256", "PS256"} <= key.algorithms


def test_thumbprint_of_rfc8037() -> None:
    # RFC 8037 appendix A.3
    key = PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_agreement_keys() -> None:
    key = AgreementPrivateKey.generate()
    assert AgreementPrivateKey.from_jwk(key.private_jwk()).public == key.public
    assert AgreementPublicKey.from_jwk(key.public.jwk()) == key.public
    for change in ({"d": "x"}, {"crv": "Ed25519"}, {"x": "AAAA"}, {"x": None}):
        with pytest.raises(KeyMaterialError):
            AgreementPublicKey.from_jwk({**key.public.jwk(), **change})
    with pytest.raises(KeyMaterialError):
        AgreementPrivateKey(b"short")


def test_ed25519() -> None:
    signer = ed25519.Ed25519Signer(bytes(32))
    signature = signer.sign(b"x")
    ed25519.verify(signer.public, signature, b"x")
    with pytest.raises(SignatureInvalid):
        ed25519.verify(signer.public, signature, b"y")
    with pytest.raises(SignatureInvalid):
        ed25519.verify(signer.public, signature[:-1], b"x")
    with pytest.raises(KeyMaterialError):
        ed25519.verify(b"", signature, b"x")
    with pytest.raises(KeyMaterialError):
        ed25519.Ed25519Signer(b"")


def test_repr_shows_no_key() -> None:
    signer = SoftwareSigner.generate()
    assert signer.private_jwk()["d"] not in repr(signer) + repr(AgreementPrivateKey.generate())
