"""What may be asked, given and done at most: the rules that no other party's check stands behind."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from consent import spec
from consent.errors import MessageError, StaleMessage
from consent.grant.act import verify_act
from consent.grant.detail import Term
from consent.grant.grant import REFUSED, sign_grant, verify_grant
from consent.grant.narrowing import check_not_wider
from consent.grant.need import check_needed
from consent.grant.opening import open_opening
from consent.grant.request import verify_request
from consent.grant.use import Allow, sign_use_answer, verify_use_answer
from consent.grant.withdrawal import MAX_WITHDRAWAL, verify_withdrawal
from consent.signed_message import sign_by_jwk, sign_by_kid
from identity.codec import base64url
from identity.envelope import hpke
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, HOLDER, NOW, OTHER_HOLDER, URL, Clock, Driver, Keys

IDENTIFIER = base64url.encode(bytes(16))
RESOLUTIONS = {"income.band": ("raw", "binned:eur-6", "binned:eur-3"), "household.size": ("raw",)}


@pytest.fixture(scope="module")
def parties() -> Driver:
    """Who signs what; nothing of it is sent anywhere."""
    return Driver(URL, Keys(), clock=Clock(), vkey="", transport=None)


def test_a_refusal_repeats_what_was_asked(parties: Driver) -> None:
    request = verify_request(parties.request(), key_of=parties.key_of, consent=CONSENT, now=NOW)
    asked = request.request.detail

    def verified(**changes: Any) -> str:
        signed = sign_grant(
            grant_id=IDENTIFIER, request=request, detail=replace(asked, **changes), decision=REFUSED, now=NOW,
            signer=SoftwareSigner.generate(),
        )  # fmt: skip
        return verify_grant(
            signed, key_of=parties.key_of, consent=CONSENT, resolutions=lambda _: RESOLUTIONS, fresh_at=NOW
        ).decision

    assert verified() == REFUSED
    for changes in ({"max_uses": 1}, {"terms": {"income.band": asked.terms["income.band"]}}):
        with pytest.raises(MessageError, match="repeats what was asked"):
            verified(**changes)


@pytest.mark.parametrize(("asked", "given"), [("raw", "coarse:none"), ("coarse:none", "raw"), ("coarse:none",) * 2])
def test_a_resolution_that_is_not_declared(parties: Driver, asked: str, given: str) -> None:
    before, after = (replace(parties.detail(), terms={"income.band": Term(name, False)}) for name in (asked, given))
    with pytest.raises(MessageError, match="not one that the data holder declares"):
        check_not_wider(before, after, RESOLUTIONS, what="grant")


def test_a_data_holder_that_the_procedure_does_not_name(parties: Driver) -> None:
    declared = parties.purpose_declaration()
    check_needed(parties.detail(), declared)
    with pytest.raises(MessageError, match="does not name"):
        check_needed(parties.detail(holder=OTHER_HOLDER), declared)


def test_the_length_of_a_withdrawal() -> None:
    with pytest.raises(MessageError, match=f"at most {MAX_WITHDRAWAL} are read"):
        verify_withdrawal("x" * (MAX_WITHDRAWAL + 1))


@pytest.mark.parametrize("verb", ["withdraw", "", None, 7, ["pause"]])
def test_a_verb_that_does_not_exist(verb: Any) -> None:
    claims = {"aud": CONSENT, "jti": IDENTIFIER, "grant_id": IDENTIFIER, "iat": NOW, "act": 1, "do": {"verb": verb}}
    with pytest.raises(MessageError, match="verb must be"):
        verify_act(sign_by_jwk(claims, SoftwareSigner.generate(), typ=spec.TYP_ACT), consent=CONSENT)


def test_an_opening_key_of_another_length() -> None:
    view_key = AgreementPrivateKey.generate()
    sealed = hpke.seal(view_key.public, spec.INFO_OPENING + IDENTIFIER.encode(), bytes(31))
    with pytest.raises(MessageError, match="31 bytes"):
        open_opening(view_key, sealed, grant_id=IDENTIFIER)


# Answers to a use (C4), as a data holder reads them.


def deny(**changes: Any) -> dict[str, Any]:
    value = {
        "decision": "deny",
        "grant_id": IDENTIFIER,
        "reasons": [{"code": "withdrawn", "attribute": None}],
        "iss": CONSENT,
        "aud": HOLDER,
        "iat": NOW,
    }
    return value | changes


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"decision": "maybe"}, "decision must be"),
        ({"decision": None}, "decision must be"),
        ({"reasons": None}, "must be a list"),
        ({"reasons": []}, "must be a list"),
        ({"reasons": [{"code": "withdrawn", "attribute": None}] * 129}, "must be a list"),
        ({"reasons": ["withdrawn"]}, "a reason is an object"),
        ({"reasons": [{"code": "because", "attribute": None}]}, "does not exist"),
        ({"reasons": [{"code": "withdrawn", "attribute": 7}]}, "does not exist"),
        ({"reasons": [{"code": "withdrawn"}]}, "'attribute' is missing"),
    ],
)
def test_a_deny_of_another_shape(parties: Driver, changes: dict[str, Any], says: str) -> None:
    request = parties.use_request(IDENTIFIER)

    def read(**claims: Any) -> None:
        signed = sign_by_kid(
            deny(**claims) | {"use_request_hash": request.digest}, parties.signer(CONSENT), typ=spec.TYP_USE_ANSWER
        )
        verify_use_answer(signed, consent_key=parties.key_of(CONSENT), consent=CONSENT, request=request, now=NOW)

    read()
    with pytest.raises(MessageError, match=says):
        read(**changes)


def test_an_allow_is_over_at_its_last_second_and_names_something(parties: Driver) -> None:
    request = parties.use_request(IDENTIFIER)
    allow = Allow(
        use_id=IDENTIFIER, grant_id=IDENTIFIER, counter=2, grant="a.b.c", resolutions={"income.band": "raw"},
        locator="x", salt=base64url.encode(secrets.token_bytes(32)), event={}, proof="x", release_before=NOW + 5,
        consent=CONSENT, holder=HOLDER, issued=NOW, use_request_hash=request.digest,
    )  # fmt: skip

    def read(answer: Allow, now: int) -> None:
        signed = sign_use_answer(answer, parties.signer(CONSENT))
        verify_use_answer(signed, consent_key=parties.key_of(CONSENT), consent=CONSENT, request=request, now=now)

    read(allow, NOW + 4)
    with pytest.raises(StaleMessage, match="release_before has passed"):
        read(allow, NOW + 5)
    with pytest.raises(MessageError, match="terms name no attribute"):
        read(replace(allow, resolutions={}), NOW)
