"""Encoded examples of RFC 9901 and OpenID4VP 1.0: what others signed, read by our code."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity.errors import EnvelopeError, SdJwtError
from identity.formats.sd_jwt import disclosure, json_serialization
from identity.formats.sd_jwt import verify as core
from identity.formats.sd_jwt_vc.verify import verify, verify_issuer_signed
from identity.keys.public_key import PublicKey

RFC = Path(__file__).parent / "rfc9901"
VCLD = Path(__file__).parent / "sd_jwt_vcld"
KEYS = [PublicKey.from_jwk(jwk) for jwk in json.loads((RFC / "keys.json").read_text()).values()]
TYP = "example+sd-jwt"
VERIFIER = "https://verifier.example.org"
NONCE = "1234567890"


def text(path: Path) -> str:
    return path.read_text().replace("\n", "")


def issuer(*_: Any) -> PublicKey:
    return KEYS[0]


def test_digest_of_section_4_2_3() -> None:
    encoded = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert disclosure.digest(encoded, "sha-256") == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


@pytest.mark.parametrize(
    "encoded",
    [
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNXHUwMGY2Yml1cyJd",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd",
        "WwoiXzI2YmM0TFQtYWM2cTJLSTZjQlc1ZXMiLAoiZmFtaWx5X25hbWUiLAoiTcO2Yml1cyIKXQ",
    ],
)
def test_spellings_of_section_4_2_1(encoded: str) -> None:
    assert disclosure.decode(encoded)[1:] == ("family_name", "Möbius")


def test_flattened_issuance() -> None:
    (parts,) = json_serialization.parse((RFC / "flattened_issuance.json").read_bytes())
    seen = core.verify(parts, KEYS[0], typ=TYP).claims
    assert (seen["sub"], seen["given_name"], seen["birthdate"]) == ("john_doe_42", "John", "1940-01-01")


@pytest.mark.parametrize("name", ["flattened_presentation", "general_presentation"])
def test_json_presentation(name: str) -> None:
    parts = json_serialization.parse((RFC / f"{name}.json").read_bytes())
    for part, key in zip(parts, KEYS, strict=False):
        seen = core.verify(part, key, typ=TYP)
        assert {path[0] for path in seen.disclosed} == {"family_name", "given_name"}
    first = core.verify(parts[0], KEYS[0], typ=TYP)
    holder_key = PublicKey.from_jwk(first.claims["cnf"]["jwk"])
    expected = {"audience": VERIFIER, "nonce": NONCE, "now": 1_748_537_244}
    assert core.verify_key_binding(first, holder_key, **expected).issued_at == 1_748_537_244  # type: ignore[arg-type]


def test_the_second_signature_does_not_carry_the_key_binding() -> None:
    parts = json_serialization.parse((RFC / "general_presentation.json").read_bytes())
    with pytest.raises(EnvelopeError, match="signature"):
        core.verify(parts[1], KEYS[0], typ=TYP)
    second = core.verify(parts[1], KEYS[1], typ=TYP)
    holder_key = PublicKey.from_jwk(second.claims["cnf"]["jwk"])
    with pytest.raises(SdJwtError, match="sd_hash"):
        core.verify_key_binding(second, holder_key, audience=VERIFIER, nonce=NONCE, now=1_748_537_244)


def test_person_credential_of_appendix_a3() -> None:
    seen = verify_issuer_signed(text(RFC / "a3_issuance.txt"), issuer_key=issuer, now=1_700_000_000)
    assert seen.vct == "urn:eudi:pid:de:1"
    assert seen.claims["age_equal_or_over"] == {"12": True, "14": True, "16": True, "18": True, "21": True, "65": False}
    assert seen.claims["address"]["locality"] == "Köln"
    assert ("place_of_birth", "country") in seen.disclosed_paths
    assert seen.holder_key is not None


def test_issued_credential_of_openid4vp() -> None:
    seen = verify_issuer_signed(text(VCLD / "sd_jwt_issuance.txt"), issuer_key=issuer, now=1_744_743_394)
    user = json.loads((VCLD / "user_claims.json").read_text())
    assert {name: seen.claims[name] for name in user} == user


def test_presented_credential_of_openid4vp() -> None:
    seen = verify(
        text(VCLD / "sd_jwt_presentation.txt"), issuer_key=issuer, audience=VERIFIER, nonce=NONCE, now=1_744_743_394
    )
    assert seen.claims == json.loads((VCLD / "verified_contents.json").read_text())
    assert seen.key_binding is not None
    assert seen.key_binding.claims == json.loads((VCLD / "kb_jwt_payload.json").read_text())


ISSUANCE = json.loads((RFC / "flattened_presentation.json").read_text())
GENERAL = json.loads((RFC / "general_presentation.json").read_text())
_FIRST, _SECOND = GENERAL["signatures"]


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        ({**ISSUANCE, "other": 1}, "unknown member"),
        ({"payload": ISSUANCE["payload"]}, "is missing"),
        ({**ISSUANCE, "signatures": []}, "unknown member"),
        ({"payload": GENERAL["payload"], "signatures": []}, "list of 1 to 4"),
        ({"payload": GENERAL["payload"], "signatures": [_FIRST] * 5}, "list of 1 to 4"),
        ({"payload": GENERAL["payload"], "signatures": ["x"]}, "must be objects"),
        ({"payload": GENERAL["payload"], "signatures": [_SECOND, _FIRST]}, "first unprotected header"),
        ({**ISSUANCE, "header": []}, "must be objects"),
        ({**ISSUANCE, "header": {"disclosures": "x"}}, "must be a list"),
        ({**ISSUANCE, "header": {"disclosures": ["a~b"]}}, "base64url texts"),
        ({**ISSUANCE, "header": {"disclosures": [""]}}, "base64url texts"),
        ({**ISSUANCE, "header": {"kb_jwt": "a~b"}}, "must be a JWT"),
        ({**ISSUANCE, "header": {"alg": "none"}}, "both protected and unprotected"),
        ({**ISSUANCE, "protected": 1}, "base64url texts"),
        ({**ISSUANCE, "payload": "a~b"}, "base64url texts"),
        ([], "JSON object was expected"),
    ],
)
def test_json_serialization_is_read_strictly(outer: Any, message: str) -> None:
    with pytest.raises(SdJwtError) as caught:
        json_serialization.parse(json.dumps(outer))
    assert message in str(caught.value)


def test_formatting_refuses_a_signature_over_another_payload() -> None:
    (parts,) = json_serialization.parse(json.dumps(ISSUANCE))
    with pytest.raises(SdJwtError, match="another payload"):
        json_serialization.format_general(parts.issuer_jwt.compact + "~", ["a.b.c"])
