"""SD-JWT VC, library: issue, and verify with key binding; 10 disclosable claims, all checks on.

Each contender issues its own credential with the same claims and verifies its own presentation,
all ten claims disclosed. Keys, and what can be made once for many credentials, are made before.
"""

import json
import secrets
import time
from typing import Any

from jwcrypto.jwk import JWK
from openvc.keys import P256SigningKey
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from bench.measure import Unit, cpu_us
from bench.row import FasterThan, Row, WithinFloor
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.present import present
from identity.formats.sd_jwt_vc.verify import verify
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

CLAIMS: dict[str, Any] = {
    "given_name": "Maria",
    "family_name": "Serra i Puig",
    "birthdate": "1980-02-29",
    "personal_administrative_number": "00000000T",
    "municipality": "08019",
    "district": "Sants-Montjuïc",
    "neighbourhood": "la Bordeta",
    "resident_since": "2004-09-11",
    "age_over_18": True,
    "household_size": 3,
}
DISCLOSABLE = tuple((name,) for name in CLAIMS)
ISS = "https://issuer.example/bcn"
VCT = "urn:example:residency:1"
AUDIENCE = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
NONCE = "n-0S6_WzA2Mj"
NOW = int(time.time())
LIFE_SECONDS = 7 * 86_400

ISSUER = SoftwareSigner.generate()
HOLDER = SoftwareSigner.generate()


def rows() -> list[Row]:
    return [
        Row(
            "SD-JWT VC issue, library (10 claims)",
            _issue,
            {"sd-jwt": _sd_jwt_issue, "openvc-core": _openvc_issue},
            (
                FasterThan("sd-jwt", gate=2.0, goal=3.0),
                FasterThan("openvc-core", gate=None, goal=2.0),
                WithinFloor("openssl: 1 signature", lambda unit: unit.sign_us, gate=None, goal=None),
            ),
            cpu_us,
        ),
        Row(
            "SD-JWT VC verify + key binding, all checks",
            _verification(),
            {"sd-jwt": _sd_jwt_verification(), "openvc-core": _openvc_verification()},
            (
                FasterThan("sd-jwt", gate=1.5, goal=2.0),
                FasterThan("openvc-core", gate=None, goal=1.3),
                WithinFloor("openssl: 2 verifications", _two_verifications, gate=None, goal=1.35),
            ),
            cpu_us,
        ),
    ]


def _two_verifications(unit: Unit) -> float:
    return 2 * unit.verify_us


def _issue() -> str:
    return issue(
        claims=CLAIMS,
        disclosable=DISCLOSABLE,
        vct=VCT,
        issuer=ISS,
        signer=ISSUER,
        holder_key=HOLDER.public_key,
        iat=NOW,
        exp=NOW + LIFE_SECONDS,
        random=secrets.token_bytes,
    )


def _verification() -> Any:
    text = present(_issue(), disclose=DISCLOSABLE, audience=AUDIENCE, nonce=NONCE, now=NOW, holder=HOLDER)

    def issuer_key(*_: Any) -> PublicKey:
        return ISSUER.public_key

    def run() -> None:
        seen = verify(text, issuer_key=issuer_key, audience=AUDIENCE, nonce=NONCE, now=NOW)
        assert seen.claims["district"] == CLAIMS["district"]

    return run


# sd-jwt, the reference implementation

_SD_ISSUER = JWK.from_json(json.dumps(ISSUER.private_jwk()))
_SD_HOLDER = JWK.from_json(json.dumps(HOLDER.private_jwk()))
_SD_FIXED = {"iss": ISS, "vct": VCT, "iat": NOW, "exp": NOW + LIFE_SECONDS}


def _sd_jwt_issue() -> str:
    claims = {**_SD_FIXED, **{SDObj(name): value for name, value in CLAIMS.items()}}
    text: str = SDJWTIssuer(claims, _SD_ISSUER, _SD_HOLDER).sd_jwt_issuance
    return text


def _sd_jwt_verification() -> Any:
    holder = SDJWTHolder(_sd_jwt_issue())
    holder.create_presentation(dict.fromkeys(CLAIMS, True), NONCE, AUDIENCE, _SD_HOLDER)
    text = holder.sd_jwt_presentation

    def run() -> None:
        seen = SDJWTVerifier(text, lambda *_: _SD_ISSUER, AUDIENCE, NONCE).get_verified_payload()
        assert seen["district"] == CLAIMS["district"]

    return run


# openvc-core

_OPENVC = SdJwtVcProofSuite()
_OPENVC_ISSUER = P256SigningKey.from_jwk(ISSUER.private_jwk(), "issuer-key")
_OPENVC_HOLDER = P256SigningKey.from_jwk(HOLDER.private_jwk(), "holder-key")
_HOLDER_JWK = HOLDER.public_key.jwk()
_ISSUER_JWK = ISSUER.public_key.jwk()


def _openvc_issue() -> str:
    text: str = _OPENVC.issue(
        {"iss": ISS, **CLAIMS},
        signing_key=_OPENVC_ISSUER,
        disclosable=CLAIMS,
        holder_jwk=_HOLDER_JWK,
        vct=VCT,
        expires_in_s=LIFE_SECONDS,
    )
    return text


def _openvc_verification() -> Any:
    text = _OPENVC.create_presentation(_openvc_issue(), holder_key=_OPENVC_HOLDER, audience=AUDIENCE, nonce=NONCE)

    def run() -> None:
        seen = _OPENVC.verify(
            text,
            public_key_jwk=_ISSUER_JWK,
            audience=AUDIENCE,
            nonce=NONCE,
            require_key_binding=True,
            expected_vct=VCT,
            kb_max_age_s=86_400,
        )
        assert seen.claims["district"] == CLAIMS["district"]

    return run
