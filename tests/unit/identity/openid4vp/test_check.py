"""The whole check of a VP Token: each step refuses what breaks it."""

import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import (
    CredentialError,
    CredentialRevoked,
    IdentityError,
    ProtocolError,
    SdJwtError,
    StatusUnavailable,
    TrustError,
)
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.present import present
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import dcql
from identity.openid4vp.check import VerifiedPresentation, check_presentation
from identity.trust.chain import format_x5c
from identity.trust.issuers import IssuerTrust
from tests.unit.identity.trust.conftest import ISS, NOW, VCT, Certified, City

CITY = City()
REGISTRY = CITY.verified(CITY.issuer_entry())
TRUST = IssuerTrust(lambda: REGISTRY, [CITY.root.der], lambda: NOW)
HOLDER = SoftwareSigner.generate()
CLIENT = "x509_hash:me"
NONCE = "n-1"
STATUS = {"status_list": {"uri": f"{ISS}/status/1", "idx": 7}}
CLAIMS = {"district": "Gràcia", "municipality": "Barcelona", "age": {"18": True, "65": False}}
DISCLOSABLE = [("district",), ("municipality",), ("age", "18"), ("age", "65")]


def credential(by: Certified = CITY.issuer, holder: SoftwareSigner = HOLDER, **change: Any) -> str:
    arguments: dict[str, Any] = {
        "claims": CLAIMS,
        "disclosable": DISCLOSABLE,
        "vct": VCT,
        "issuer": ISS,
        "signer": by.signer,
        "x5c": CITY.chain(by),
        "holder_key": holder.public_key,
        "iat": NOW - 60,
        "exp": NOW + 3_600,
        "random": secrets.token_bytes,
        **change,
    }
    return issue(**arguments)


def presented(text: str | None = None, **change: Any) -> str:
    arguments: dict[str, Any] = {
        "disclose": [("district",)],
        "audience": CLIENT,
        "nonce": NONCE,
        "now": NOW,
        "holder": HOLDER,
        **change,
    }
    return present(text or credential(), **arguments)


def query(*claims: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "q",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [VCT]},
        "claims": list(claims) or [{"path": ["district"]}],
        **more,
    }


def good(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
    assert issuer == ISS


def check(vp_token: Any, *credentials: dict[str, Any], **change: Any) -> VerifiedPresentation:
    arguments: dict[str, Any] = {
        "issuer_key": TRUST.issuer_key,
        "status_check": good,
        "client_id": CLIENT,
        "nonce": NONCE,
        "now": NOW,
        **change,
    }
    sets = arguments.pop("credential_sets", None)
    obj = {"credentials": list(credentials) or [query()]} | ({} if sets is None else {"credential_sets": sets})
    return check_presentation(vp_token, dcql.parse(obj), **arguments)


def test_what_was_asked_comes_out() -> None:
    found = check({"q": [presented()]})
    assert found.claims == {"q": [{"district": "Gràcia"}]}
    one = found.credentials["q"][0]
    assert (one.vct, one.extra, one.credential.iss) == (VCT, (), ISS)


def test_what_nobody_asked_for_is_named_and_left_out() -> None:
    found = check({"q": [presented(disclose=[("district",), ("age", "18")])]})
    assert found.claims == {"q": [{"district": "Gràcia"}]}
    assert found.credentials["q"][0].extra == (("age", "18"),)


def test_an_asked_object_comes_whole_and_is_no_extra() -> None:
    found = check({"q": [presented(disclose=[("age",)])]}, query({"path": ["age"]}))
    assert found.claims == {"q": [{"age": {"18": True, "65": False}}]}
    assert found.credentials["q"][0].extra == ()


def test_no_claims_asked_none_come_out() -> None:
    asked = query()
    del asked["claims"]
    found = check({"q": [presented()]}, asked)
    assert found.claims == {"q": [{}]}
    assert found.credentials["q"][0].extra == (("district",),)


@pytest.mark.parametrize(
    "vp_token",
    [
        None,
        [],
        "x",
        {},
        {"other": [presented()]},
        {"q": presented()},
        {"q": []},
        {"q": [7]},
        {"q": [{}]},
        {"q": [presented(), presented()]},
    ],
    ids=["null", "list", "text", "empty", "another id", "no list", "nothing", "a number", "an object", "two"],
)
def test_1_a_token_of_another_form(vp_token: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        check(vp_token)
    assert caught.value.code == "invalid_request"


def test_1_several_where_several_were_asked() -> None:
    second = SoftwareSigner.generate()
    two = [presented(), presented(credential(holder=second), holder=second)]
    assert len(check({"q": two}, query(multiple=True)).claims["q"]) == 2


def test_1_one_credential_does_not_count_twice() -> None:
    same = credential()
    with pytest.raises(ProtocolError, match="twice"):
        check(
            {"q": [presented(same), presented(same, disclose=[("district",), ("municipality",)])]}, query(multiple=True)
        )


def test_1_not_more_than_the_limit() -> None:
    many = [f"{n}~" for n in range(17)]
    with pytest.raises(ProtocolError, match="more than"):
        check({"q": many}, query(multiple=True))


OTHER_TENANT = Certified("other tenant", by=CITY.ca, uris=["https://town.example/other"])
UNLISTED = Certified("unlisted", by=CITY.ca, uris=[ISS])
FOREIGN_CA = Certified("foreign", ca=True)
FOREIGN = Certified("signer", by=FOREIGN_CA, uris=[ISS])


@pytest.mark.parametrize(
    "text",
    [
        credential(UNLISTED),
        credential(OTHER_TENANT, issuer="https://town.example/other"),
        credential(FOREIGN, x5c=[FOREIGN.der, FOREIGN_CA.der]),
        credential(issuer="https://town.example/other"),
        credential(vct="urn:other"),
        credential(x5c=[]),
        credential(CITY.issuer, x5c=[CITY.issuer.der, CITY.ca.der, CITY.root.der]),
    ],
    ids=["unlisted, right CA", "another tenant", "another CA", "another iss", "another type", "no chain", "root sent"],
)
def test_2_nobody_trusted_stands_behind_it(text: str) -> None:
    vct = "urn:other" if '"urn:other"' in base64url.decode(text.split(".")[1]).decode() else VCT
    with pytest.raises(TrustError):
        check({"q": [presented(text)]}, query(meta={"vct_values": [vct]}))


def test_2_signed_by_another_key() -> None:
    other = Certified("other key", by=CITY.ca, uris=[ISS])
    text = credential(other, x5c=CITY.chain(CITY.issuer))
    with pytest.raises(IdentityError, match="signature"):
        check({"q": [presented(text)]})


def tampered(text: str) -> str:
    head, *disclosures, binding = text.split("~")
    changed = base64url.encode(base64url.decode(disclosures[0]).replace("Gràcia".encode(), b"Sants"))
    return "~".join([head, changed, binding])


def rebound(parts: list[str], **change: Any) -> str:
    """A KB-JWT by the right key over these parts: only the disclosures are wrong."""
    from hashlib import sha256

    text = "~".join(parts) + "~"
    claims = {
        "iat": NOW,
        "aud": CLIENT,
        "nonce": NONCE,
        "sd_hash": base64url.encode(sha256(text.encode()).digest()),
        **change,
    }
    return text + jws.sign(claims, HOLDER, typ="kb+jwt")


def test_3_tampered_disclosure() -> None:
    with pytest.raises(IdentityError):
        check({"q": [tampered(presented())]})


def test_3_tampered_disclosure_with_its_own_key_binding() -> None:
    head, disclosure, _ = tampered(presented()).split("~")
    with pytest.raises(SdJwtError, match="belong to no digest"):
        check({"q": [rebound([head, disclosure])]})


def test_3_a_disclosure_twice() -> None:
    head, disclosure, _ = presented().split("~")
    with pytest.raises(SdJwtError, match="twice"):
        check({"q": [rebound([head, disclosure, disclosure])]})


def test_3_a_disclosure_of_another_credential() -> None:
    head, disclosure, _ = presented().split("~")
    foreign = presented(credential()).split("~")[1]
    with pytest.raises(SdJwtError, match="belong to no digest"):
        check({"q": [rebound([head, disclosure, foreign])]})


@pytest.mark.parametrize(
    "change",
    [{"exp": NOW - 61}, {"iat": NOW + 61}, {"nbf": NOW + 61}],
    ids=["expired", "from the future", "not yet"],
)
def test_4_outside_its_time(change: dict[str, Any]) -> None:
    with pytest.raises(CredentialError):
        check({"q": [presented(credential(**change))]})


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "n-2"},
        {"audience": "x509_hash:somebody"},
        {"audience": "me"},
        {"now": NOW - 361},
        {"now": NOW + 61},
    ],
    ids=["nonce", "aud", "aud without prefix", "iat long ago", "iat in the future"],
)
def test_5_made_for_something_else(change: dict[str, Any]) -> None:
    with pytest.raises(SdJwtError):
        check({"q": [presented(**change)]})


def test_5_sd_hash() -> None:
    head, disclosure, _ = presented().split("~")
    with pytest.raises(SdJwtError, match="sd_hash"):
        check({"q": [rebound([head, disclosure], sd_hash=base64url.encode(bytes(32)))]})


def test_5_a_disclosure_taken_away_after_binding() -> None:
    head, first, _, binding = presented(disclose=[("district",), ("municipality",)]).split("~")
    with pytest.raises(SdJwtError, match="sd_hash"):
        check({"q": [f"{head}~{first}~{binding}"]})


def test_5_signed_by_another_holder() -> None:
    text = presented()
    stolen = jws.sign(jws.parse(text.split("~")[-1]).claims(), SoftwareSigner.generate(), typ="kb+jwt")
    with pytest.raises(IdentityError, match="signature"):
        check({"q": ["~".join([*text.split("~")[:-1], stolen])]})


def test_5_without_key_binding() -> None:
    bare = "~".join([*presented().split("~")[:-1], ""])
    with pytest.raises(CredentialError, match="key binding"):
        check({"q": [bare]})
    with pytest.raises(CredentialError, match="key binding"):
        check({"q": [bare]}, query(require_cryptographic_holder_binding=False))


def test_6_another_type_than_asked() -> None:
    registry = CITY.verified(CITY.issuer_entry(vcts=[VCT, "urn:other"]))
    trust = IssuerTrust(lambda: registry, [CITY.root.der], lambda: NOW)
    with pytest.raises(CredentialError, match="not the type"):
        check({"q": [presented(credential(vct="urn:other"))]}, issuer_key=trust.issuer_key)


def aka(vcts: list[str]) -> str:
    """A credential that says that it is of further types."""
    from identity.formats.sd_jwt.issue import conceal
    from identity.formats.sd_jwt.issue import sign as sign_core

    payload, disclosures = conceal(CLAIMS, DISCLOSABLE, random=secrets.token_bytes)
    payload |= {
        "iss": ISS,
        "vct": "urn:new",
        "aka_vcts": vcts,
        "exp": NOW + 60,
        "cnf": {"jwk": HOLDER.public_key.jwk()},
    }
    header = {"x5c": format_x5c(CITY.chain(CITY.issuer))}
    return sign_core(payload, disclosures, CITY.issuer.signer, typ="dc+sd-jwt", header=header)


def test_6_a_further_type_needs_the_issuer_to_be_listed_for_it() -> None:
    both = CITY.verified(CITY.issuer_entry(vcts=["urn:new", VCT]))
    trust = IssuerTrust(lambda: both, [CITY.root.der], lambda: NOW)
    found = check({"q": [presented(aka([VCT]))]}, issuer_key=trust.issuer_key)
    assert (found.credentials["q"][0].vct, found.credentials["q"][0].credential.vct) == (VCT, "urn:new")
    new_only = CITY.verified(CITY.issuer_entry(vcts=["urn:new"]))
    trust = IssuerTrust(lambda: new_only, [CITY.root.der], lambda: NOW)
    with pytest.raises(TrustError, match="not listed for this credential type"):
        check({"q": [presented(aka([VCT]))]}, issuer_key=trust.issuer_key)


@pytest.mark.parametrize(
    "claim",
    [
        {"path": ["municipality"]},
        {"path": ["age", "18"]},
        {"path": ["district"], "values": ["Sants"]},
        {"path": ["district"], "values": [1]},
    ],
    ids=str,
)
def test_7_less_than_was_asked(claim: dict[str, Any]) -> None:
    with pytest.raises(CredentialError, match="not the type, issuer or claims"):
        check({"q": [presented()]}, query(claim))


def test_7_another_authority_than_asked() -> None:
    with pytest.raises(CredentialError):
        check({"q": [presented()]}, query(trusted_authorities=[{"type": "aki", "values": ["AQID"]}]))


def test_8_a_credential_is_missing() -> None:
    with pytest.raises(CredentialError, match="no presentation for 'second'"):
        check({"q": [presented()]}, query(), query(id="second"))


def test_8_a_credential_that_no_option_needs() -> None:
    second = SoftwareSigner.generate()
    both = {"q": [presented()], "second": [presented(credential(holder=second), holder=second)]}
    sets = [{"options": [["q"]]}]
    with pytest.raises(CredentialError, match="no option needs"):
        check(both, query(), query(id="second"), credential_sets=sets)
    assert check({"q": [presented()]}, query(), query(id="second"), credential_sets=sets).claims.keys() == {"q"}


def test_9_status_is_looked_up_last_and_refuses() -> None:
    asked: list[tuple[str, int] | None] = []

    def revoked(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        asked.append(status)
        raise CredentialRevoked("status: revoked")

    text = credential(status=STATUS)
    with pytest.raises(CredentialRevoked):
        check({"q": [presented(text)]}, status_check=revoked)
    assert asked == [(f"{ISS}/status/1", 7)]
    for vp_token, credentials in (
        ({"q": [presented(text, nonce="n-2")]}, [query()]),
        ({"q": [presented(text)]}, [query({"path": ["municipality"]})]),
        ({"q": [presented(text)]}, [query(), query(id="second")]),
    ):
        with pytest.raises(IdentityError):
            check(vp_token, *credentials, status_check=revoked)
    assert len(asked) == 1


def test_9_a_status_that_nobody_can_look_up_refuses() -> None:
    with pytest.raises(StatusUnavailable):
        check({"q": [presented(credential(status=STATUS))]}, status_check=None)
    assert check({"q": [presented()]}, status_check=None).claims


def test_9_every_credential_is_looked_up() -> None:
    second = SoftwareSigner.generate()
    two = [
        presented(),
        presented(credential(holder=second, status=STATUS), holder=second),
    ]

    def check_status(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        if status is not None:
            raise CredentialRevoked("status: revoked")

    with pytest.raises(CredentialRevoked):
        check({"q": two}, query(multiple=True), status_check=check_status)


def test_a_fault_in_any_step_never_ends_in_acceptance() -> None:
    """DECODE's D2: a verifier that starts at accepted. Here an exception is an exception."""

    class Broken(Exception):
        pass

    def broken(*_: Any, **__: Any) -> Any:
        raise Broken

    with pytest.raises(Broken):
        check({"q": [presented()]}, issuer_key=broken)
    with pytest.raises(Broken):
        check({"q": [presented()]}, status_check=broken)


def test_no_message_holds_a_value() -> None:
    for vp_token, asked in (
        ({"q": [tampered(presented())]}, query()),
        ({"q": [presented()]}, query({"path": ["district"], "values": ["Sants"]})),
        ({"q": [presented(nonce="n-2")]}, query()),
    ):
        with pytest.raises(IdentityError) as caught:
            check(vp_token, asked)
        assert not any(value in str(caught.value) for value in ("Gràcia", "Sants", "n-2"))


def test_issuer_key_is_asked_with_what_the_credential_says() -> None:
    seen: list[tuple[str, str]] = []

    def issuer_key(header: Mapping[str, Any], iss: str, vct: str) -> PublicKey:
        seen.append((iss, vct))
        return TRUST.issuer_key(header, iss, vct)

    check({"q": [presented()]}, issuer_key=issuer_key)
    assert seen == [(ISS, VCT)]
