"""A card login from token to person, and the attacks on it (reference: attack list of the card bridge)."""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from identity.card.profile import bundled
from identity.card.verify import CardVerifier, VerifiedCard
from identity.errors import CardError, CardStatusUnavailable, FetchError
from tests.unit.identity.card.mint import (
    COMMON_NAME,
    GIVEN_NAME,
    NIF,
    NONCE,
    ORIGIN,
    PERSONAL,
    Answer,
    Mint,
    ec_key,
    name,
    person_name,
    rsa_key,
    token,
    usage,
)
from tests.unit.identity.card.test_path import DNIE_POLICY, dnie_mint, sha1_signed

Message = dict[str, Any]


def verify(mint: Mint, message: object, answer: Answer | None = None, **expected: str) -> VerifiedCard:
    return mint.verifier(answer).verify(message, **{"origin": ORIGIN, "nonce": NONCE, **expected})


def refused(mint: Mint, message: object, why: str, answer: Answer | None = None, **expected: str) -> None:
    """Refused before anybody is asked, unless ``answer`` says what the responder answers."""
    asked = answer or Answer(mint)
    with pytest.raises(CardError, match=why) as caught:
        verify(mint, message, asked, **expected)
    assert not any(value in str(caught.value) for value in PERSONAL)
    assert caught.value.__cause__ is None
    assert bool(asked.asked) == (answer is not None)


@pytest.mark.parametrize("key", [rsa_key, ec_key, lambda: ec_key(ec.SECP384R1()), lambda: ec_key(ec.SECP521R1())])
def test_a_card_logs_in(mint: Mint, key: Any) -> None:
    found = verify(mint, token(mint.card(key=key())))
    assert found == VerifiedCard("sandbox", "high", True, NIF, GIVEN_NAME, "PUIG I NÚÑEZ", date(1980, 2, 3))


def test_the_text_form_hides_the_person(mint: Mint) -> None:
    found = repr(verify(mint, token(mint.card())))
    assert found == "VerifiedCard(profile='sandbox', assurance_level='high', sandbox=True)"


def test_a_card_of_the_real_family() -> None:
    mint = dnie_mint()
    card = mint.card(policies=(DNIE_POLICY,), responder="http://ocsp.dnie.es")
    found = mint.verifier(profile=bundled("dnie"), sandbox=False).verify(token(card), origin=ORIGIN, nonce=NONCE)
    assert (found.profile, found.sandbox, found.id_number) == ("dnie", False, NIF)


def test_the_family_is_found_by_the_issuer(mint: Mint) -> None:
    real = dnie_mint()
    families = [real.family(bundled("dnie")), mint.family()]
    assert mint.verifier(families=families).verify(token(mint.card()), origin=ORIGIN, nonce=NONCE).profile == "sandbox"


# Configuration


def test_no_sandbox_family_outside_the_sandbox(mint: Mint) -> None:
    with pytest.raises(CardError, match="a sandbox card family outside the sandbox"):
        mint.verifier(sandbox=False)


def test_no_family_at_all(mint: Mint) -> None:
    with pytest.raises(CardError, match="no card family"):
        CardVerifier([], transport=Answer(mint), clock=lambda: mint.now, random=bytes, sandbox=True)


# The token


def test_a_token_for_another_origin(mint: Mint) -> None:
    card = mint.card()
    refused(mint, token(card, origin="https://identitat.example.evil.org"), "origin and challenge")
    refused(mint, token(card), "origin is https", origin=f"{ORIGIN}/")
    refused(mint, token(card), "origin and challenge", origin="https://altra.example")


def test_a_token_for_another_challenge(mint: Mint) -> None:
    refused(mint, token(mint.card()), "origin and challenge", nonce="V" + NONCE[1:])


def test_a_certificate_of_somebody_else(mint: Mint) -> None:
    """Certificates are public: who has it has not got its key."""
    refused(mint, token(mint.card(), key=rsa_key(number=1)), "not by this key")


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"}, {"algorithm": "HS256"}, {"algorithm": "PS256"}, {"algorithm": "ES256"},
        {"format": "web-eid:2.0"}, {"signature": b64encode(bytes(256)).decode()}, {"signature": ""},
        {"unverifiedCertificate": ""}, {"unverifiedCertificate": "AAAA"}, {"more": "x"}, {"appVersion": "x" * 10_000},
    ],
)  # fmt: skip
def test_another_token(mint: Mint, changes: Message) -> None:
    refused(mint, {**token(mint.card()), **changes}, "card")


def test_a_truncated_token(mint: Mint) -> None:
    message = token(mint.card())
    short = b64encode(b64decode(message["unverifiedCertificate"])[:-30]).decode()
    refused(mint, {**message, "unverifiedCertificate": short}, "not one X")
    refused(mint, None, "JSON object")
    refused(mint, json.dumps(message), "JSON object")


# The certificate


def test_expired(mint: Mint) -> None:
    refused(mint, token(mint.card(ends=timedelta(seconds=-5))), "no valid path")


def test_not_yet_valid(mint: Mint) -> None:
    refused(mint, token(mint.card(begins=timedelta(seconds=30))), "no valid path")


def test_a_firma_key(mint: Mint) -> None:
    refused(mint, token(mint.card(usage=usage("content_commitment"))), "key usage is not exactly")


def test_another_policy(mint: Mint) -> None:
    refused(mint, token(mint.card(policies=(DNIE_POLICY,))), "not issued under a policy")


def test_the_sandbox_s_policy_under_the_real_authority() -> None:
    mint = dnie_mint()
    verifier = mint.verifier(profile=bundled("dnie"), sandbox=False)
    with pytest.raises(CardError, match="not issued under a policy of 'dnie'"):
        verifier.verify(token(mint.card()), origin=ORIGIN, nonce=NONCE)


def test_rsa_1024(mint: Mint) -> None:
    refused(mint, token(mint.card(key=rsa_key(1_024))), "1024 bits")


def test_sha1(mint: Mint) -> None:
    refused(mint, token(sha1_signed(mint.card(), mint.issuing)), "another hash")


def test_a_look_alike_issuer(mint: Mint) -> None:
    refused(mint, token(Mint().card()), "no valid path")


def test_an_issuer_nobody_configured(mint: Mint) -> None:
    refused(mint, token(dnie_mint().card()), "not issued by an authority that is configured here")


def test_a_citizen_who_issues(mint: Mint) -> None:
    citizen = mint.card(subject=mint.issuing.certificate.subject)
    refused(mint, token(mint.card(issuer=citizen)), "no valid path")


def test_an_authority_that_logs_in(mint: Mint) -> None:
    refused(mint, token(mint.issuing), "not issued by an authority|key usage|does not lead")


# The name


@pytest.mark.parametrize(
    "subject",
    [
        person_name(number="12345678A"),
        person_name(number="PASES-AAA123456"),
        person_name(given_name="M\u0410RIA"),
        person_name(surname="PUIG\0"),
        person_name(common_name="PUIG I NÚÑEZ, MARIA ÀNGELA (FIRMA)"),
        name((NameOID.COMMON_NAME, COMMON_NAME)),
    ],
)
def test_name_tricks(mint: Mint, subject: Any) -> None:
    refused(mint, token(mint.card(subject=subject)), "subject")


# The status


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": ocsp.OCSPCertStatus.UNKNOWN}, "does not know"),
        ({"this_update": timedelta(minutes=-31)}, "older than"),
        ({"with_nonce": False}, "nonce"),
        ({"nonce": bytes(32)}, "another question"),
        ({"serial": 1}, "another certificate"),
        ({"fault": FetchError("OCSP: localhost:8105 cannot be reached")}, "cannot be reached"),
    ],
)
def test_status_unavailable(mint: Mint, changes: Message, why: str) -> None:
    refused(mint, token(mint.card()), why, replace(Answer(mint), **changes))
    with pytest.raises(CardStatusUnavailable):
        verify(mint, token(mint.card()), replace(Answer(mint), **changes))


def test_a_rogue_responder(mint: Mint) -> None:
    refused(mint, token(mint.card()), "who may sign it", Answer(mint, signer=Mint().responder))
    refused(mint, token(mint.card()), "who may sign it", Answer(mint, signer=mint.card()))


def test_revoked(mint: Mint) -> None:
    answer = Answer(mint, status=ocsp.OCSPCertStatus.REVOKED)
    refused(mint, token(mint.card()), "is revoked", answer)
    with pytest.raises(CardError) as caught:
        verify(mint, token(mint.card()), answer)
    assert not isinstance(caught.value, CardStatusUnavailable)
