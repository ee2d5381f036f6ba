"""The credential profile: what makes an SD-JWT a credential, and what refuses one."""

import json
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import CredentialError, EnvelopeError, SdJwtError, TrustError
from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt.present import bind
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.formats.sd_jwt_vc.verify import VerifiedSdJwtVc, verify, verify_issuer_signed
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

ISSUER = SoftwareSigner.generate()
HOLDER = SoftwareSigner.generate()
OTHER = SoftwareSigner.generate()
NOW = 1_800_000_000
ISS = "https://issuer.example"
VCT = "urn:example:residency:1"
STATUS = {"status_list": {"uri": "https://issuer.example/status/1", "idx": 7}}
CLAIMS = {"municipality": "Manresa", "district": "Centre", "age": {"18": True, "65": False}}
DISCLOSABLE = [("municipality",), ("district",), ("age", "18"), ("age", "65")]


def issued(**change: Any) -> str:
    arguments: dict[str, Any] = {
        "claims": CLAIMS,
        "disclosable": DISCLOSABLE,
        "vct": VCT,
        "issuer": ISS,
        "signer": ISSUER,
        "holder_key": HOLDER.public_key,
        "iat": NOW - 60,
        "exp": NOW + 3600,
        "status": STATUS,
        "random": secrets.token_bytes,
        **change,
    }
    return issue(**arguments)


def presented(credential: str | None = None, **change: Any) -> str:
    arguments: dict[str, Any] = {
        "disclose": [("district",), ("age", "18")],
        "audience": "x509_hash:abc",
        "nonce": "n-1",
        "now": NOW,
        "holder": HOLDER,
        **change,
    }
    return present(credential or issued(), **arguments)


def issuer_key(header: Mapping[str, Any], iss: str, vct: str) -> PublicKey:
    if (iss, vct) != (ISS, VCT):
        raise TrustError("not listed")
    return ISSUER.public_key


def checked(text: str, **change: Any) -> VerifiedSdJwtVc:
    return verify(text, **{"issuer_key": issuer_key, "audience": "x509_hash:abc", "nonce": "n-1", "now": NOW, **change})


def received(text: str, **change: Any) -> VerifiedSdJwtVc:
    return verify_issuer_signed(text, **{"issuer_key": issuer_key, "now": NOW, **change})


def crafted(payload: Mapping[str, Any], *disclosures: str, typ: str | None = "dc+sd-jwt") -> str:
    """A credential by an issuer that does not follow the rules."""
    full = {"iss": ISS, "vct": VCT, "exp": NOW + 3600, **payload}
    kept = {name: value for name, value in full.items() if value is not ...}
    return compact.format(jws.sign(kept, ISSUER, typ=typ), disclosures)


def test_from_issuer_to_verifier() -> None:
    credential = issued()
    whole = received(credential)
    assert {name: whole.claims[name] for name in CLAIMS} == CLAIMS
    assert whole.key_binding is None
    seen = checked(presented(credential))
    assert (seen.iss, seen.vct, seen.status, seen.exp, seen.iat) == (
        ISS,
        VCT,
        ("https://issuer.example/status/1", 7),
        NOW + 3600,
        NOW - 60,
    )
    assert seen.claims["district"] == "Centre"
    assert seen.claims["age"] == {"18": True}
    assert "municipality" not in seen.claims
    assert set(seen.disclosed_paths) == {("district",), ("age", "18")}
    assert seen.holder_key == HOLDER.public_key
    assert seen.key_binding is not None
    assert seen.key_binding.issued_at == NOW


def test_certificate_chain_and_kid_stand_in_the_header() -> None:
    header = received(issued(x5c=[b"leaf", b"issuing CA"], kid="k-1")).header
    assert header == {"typ": "dc+sd-jwt", "alg": "ES256", "kid": "k-1", "x5c": ["bGVhZg==", "aXNzdWluZyBDQQ=="]}


def test_the_least_credential() -> None:
    seen = received(issued(holder_key=None, iat=None, status=None, claims={}, disclosable=[]))
    assert (seen.holder_key, seen.iat, seen.status, seen.disclosed_paths) == (None, None, None, ())


@pytest.mark.parametrize("name", ["iss", "vct", "cnf", "status", "exp", "nbf", "iat", "aka_vcts", "vct#integrity"])
def test_claims_of_the_profile_are_not_overwritten(name: str) -> None:
    with pytest.raises(CredentialError, match="set by the issuing itself"):
        issued(claims={name: "x"}, disclosable=[])


@pytest.mark.parametrize("path", [("iss",), ("status",), ("status", "status_list"), ("cnf",), ("exp",), ("vct",)])
def test_validity_is_never_made_disclosable(path: tuple[str, ...]) -> None:
    with pytest.raises(SdJwtError, match="names a claim that is not there"):
        issued(disclosable=[path])


def test_transaction_data_is_bound() -> None:
    text = presented(transaction_data_hashes=["h-1"], transaction_data_hashes_alg="sha-256")
    binding = checked(text).key_binding
    assert binding is not None
    assert binding.claims["transaction_data_hashes"] == ["h-1"]
    assert binding.claims["transaction_data_hashes_alg"] == "sha-256"


def test_holder_without_the_key_cannot_present() -> None:
    with pytest.raises(CredentialError, match="not bound to this holder key"):
        presented(holder=OTHER)
    with pytest.raises(CredentialError, match="not bound to this holder key"):
        presented(issued(holder_key=None))


def test_another_key_cannot_bind() -> None:
    parts = compact.parse(issued())
    text = bind(parts.without_key_binding, parts.payload, holder=OTHER, audience="x509_hash:abc", nonce="n-1", now=NOW)
    with pytest.raises(EnvelopeError, match="KB-JWT: signature"):
        checked(text)


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"audience": "x509_hash:abd"}, "aud is not"),
        ({"nonce": "n-2"}, "nonce is not"),
        ({"now": NOW + 301}, "made 301 s ago"),
        ({"now": NOW - 61}, "future"),
        ({"now": NOW + 11, "max_kb_age_seconds": 10}, "made 11 s ago"),
    ],
)
def test_presentation_for_another_transaction(expect: dict[str, Any], message: str) -> None:
    text = presented(issued(iat=None))
    with pytest.raises(SdJwtError, match=message):
        checked(text, **expect)


def test_key_binding_is_the_verifiers_choice() -> None:
    with pytest.raises(CredentialError, match="has no KB-JWT"):
        checked(issued())
    with pytest.raises(CredentialError, match="expected a credential as issued"):
        received(presented())
    unbound = crafted({})
    text = bind(unbound, {}, holder=HOLDER, audience="x509_hash:abc", nonce="n-1", now=NOW)
    with pytest.raises(CredentialError, match="has no cnf"):
        checked(text)


def test_the_caller_decides_about_the_issuer() -> None:
    with pytest.raises(TrustError):
        received(issued(issuer="https://other.example"))
    with pytest.raises(TrustError):
        received(issued(vct="urn:example:other"))
    with pytest.raises(EnvelopeError, match="signature"):
        received(issued(signer=OTHER))
    with pytest.raises(EnvelopeError, match="alg must be"):
        received(issued(), algorithms=frozenset({"ES384"}))


def _disclosure(name: str, value: Any) -> str:
    return base64url.encode(json.dumps(["salt", name, value]).encode())


def _digest(encoded: str) -> str:
    return base64url.encode(sha256(encoded.encode()).digest())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nbf", NOW),
        ("cnf", {"jwk": HOLDER.public_key.jwk()}),
        ("status", STATUS),
        ("aka_vcts", ["urn:other"]),
        ("vct#integrity", "sha256-x"),
    ],
)
def test_validity_claim_in_a_disclosure(name: str, value: Any) -> None:
    encoded = _disclosure(name, value)
    with pytest.raises(CredentialError, match="must not be selectively disclosed"):
        received(crafted({"_sd": [_digest(encoded)]}, encoded))


@pytest.mark.parametrize("name", ["iss", "vct"])
def test_name_of_issuer_or_type_in_a_disclosure(name: str) -> None:
    encoded = _disclosure(name, ISS if name == "iss" else VCT)
    with pytest.raises(CredentialError, match=f"'{name}' must be a text"):
        received(crafted({name: ..., "_sd": [_digest(encoded)]}, encoded))


@pytest.mark.parametrize(
    "payload",
    [
        {"cnf": {"jwk": HOLDER.public_key.jwk(), "_sd": [_digest("undisclosed")]}},
        {"cnf": {"jwk": {**HOLDER.public_key.jwk(), "_sd": [_digest("undisclosed")]}}},
        {"status": {"status_list": {"uri": "https://x", "idx": 1, "_sd": []}}},
        {"aka_vcts": ["urn:other", {"...": _digest("undisclosed")}]},
    ],
)
def test_hidden_member_inside_a_validity_claim(payload: dict[str, Any]) -> None:
    with pytest.raises(CredentialError, match="must not hold digests"):
        received(crafted(payload))


@pytest.mark.parametrize("typ", ["vc+sd-jwt", "sd-jwt", "JWT", None])
def test_typ(typ: str | None) -> None:
    with pytest.raises(CredentialError, match="typ is not dc"):
        received(crafted({}, typ=typ))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"iss": ...}, "'iss' must be a text"),
        ({"iss": ["x"]}, "'iss' must be a text"),
        ({"vct": ...}, "'vct' must be a text"),
        ({"vct": ""}, "'vct' must be a text"),
        ({"exp": NOW - 61}, "has expired"),
        ({"exp": "never"}, "'exp' must be an integer"),
        ({"exp": None}, "'exp' must be an integer"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"iat": NOW + 61}, "issued in the future"),
        ({"aud": "x509_hash:abc"}, "has an aud"),
        ({"cnf": {"kid": "k"}}, "'jwk' must be an object"),
        ({"cnf": "key"}, "'cnf' must be an object"),
        ({"cnf": {"jwk": HOLDER.private_jwk()}}, "private key"),
        ({"cnf": {"jwk": {"kty": "oct", "k": "AA"}}}, "cnf cannot be used"),
        ({"status": {"other_list": {}}}, "'status_list' must be an object"),
        ({"status": {"status_list": {"uri": "https://x", "idx": -1}}}, "'idx' is outside"),
        ({"status": {"status_list": {"uri": "https://x", "idx": "1"}}}, "'idx' must be an integer"),
        ({"status": {"status_list": {"uri": 1, "idx": 1}}}, "'uri' must be a text"),
        ({"status": None}, "'status' must be an object"),
        ({"aka_vcts": []}, "'aka_vcts' must be a list"),
        ({"aka_vcts": VCT}, "'aka_vcts' must be a list"),
        ({"aka_vcts": [VCT]}, "names the vct again"),
    ],
)
def test_claims_of_the_profile(payload: dict[str, Any], message: str) -> None:
    with pytest.raises(CredentialError) as caught:
        received(crafted(payload))
    assert message in str(caught.value)


def test_dates_allow_for_clocks_that_differ() -> None:
    received(crafted({"exp": NOW - 59, "nbf": NOW + 60, "iat": NOW + 60}))
    with pytest.raises(CredentialError, match="has expired"):
        received(crafted({"exp": NOW - 1}), skew_seconds=0)


def test_credential_without_end_is_left_to_policy() -> None:
    assert received(crafted({"exp": ...})).exp is None


def test_other_types_are_told() -> None:
    assert received(crafted({"aka_vcts": ["urn:example:residency"]})).aka_vcts == ("urn:example:residency",)


def test_holder_key_with_further_members() -> None:
    """Foreign issuers put kid, use and alg there (RFC 7517 section 4)."""
    jwk = {**HOLDER.public_key.jwk(), "kid": "k", "use": "sig", "alg": "ES256"}
    assert received(crafted({"cnf": {"jwk": jwk}})).holder_key == HOLDER.public_key


def test_peek_reads_what_a_wallet_chooses_by() -> None:
    seen = peek(issued())
    assert (seen.iss, seen.vct, seen.exp, seen.nbf, seen.has_key_binding) == (ISS, VCT, NOW + 3600, None, False)
    assert set(seen.disclosable) == {("municipality",), ("district",), ("age", "18"), ("age", "65")}
    assert seen.claims["municipality"] == "Manresa"
    assert peek(presented()).has_key_binding
