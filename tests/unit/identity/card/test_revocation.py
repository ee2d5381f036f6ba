"""Good only where the issuer says so, now, to us: every other answer is a refusal."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from identity.card.path import VerifiedPath, read_leaf
from identity.card.profile import CardProfile, bundled
from identity.card.revocation import _finish, require_good
from identity.errors import CardError, CardStatusUnavailable, FetchError
from tests.unit.identity.card.mint import PERSONAL, RESPONDER_URL, Answer, Issued, Mint, rsa_key

SANDBOX = bundled("sandbox")
REVOKED, UNKNOWN = ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def check(
    mint: Mint, answer: Any, *, card: Issued | None = None, profile: CardProfile = SANDBOX, now: float | None = None
) -> None:
    path = VerifiedPath(read_leaf((card or mint.card()).der), mint.issuing.certificate)
    moment = mint.now if now is None else now
    require_good(path, profile, transport=answer, clock=lambda: moment, random=secrets.token_bytes)


def unavailable(mint: Mint, answer: Any, why: str, **how: Any) -> None:
    with pytest.raises(CardStatusUnavailable, match=why) as caught:
        check(mint, answer, **how)
    assert not any(value in str(caught.value) for value in PERSONAL)


def resigned(signer: Issued, change: Callable[[Any], None], *, sha1: bool = False) -> Callable[[bytes], bytes]:
    """Changes an answer's signed part and signs it again: what a responder of ours could have said."""

    def apply(answer: bytes) -> bytes:
        response = asn1_ocsp.OCSPResponse.load(answer)
        basic = response["response_bytes"]["response"].parsed
        change(basic["tbs_response_data"])
        assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
        if sha1:
            basic["signature_algorithm"] = {"algorithm": "sha1_ecdsa"}
        signed = signer.key.sign(
            basic["tbs_response_data"].dump(force=True), ec.ECDSA(hashes.SHA1() if sha1 else hashes.SHA256())
        )
        basic["signature"] = core.OctetBitString(signed)
        response["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
        changed: bytes = response.dump(force=True)
        return changed

    return apply


def test_good(mint: Mint) -> None:
    answer = Answer(mint)
    check(mint, answer)
    assert answer.asked == [RESPONDER_URL]


def test_the_authority_may_answer_itself(mint: Mint) -> None:
    check(mint, Answer(mint, signer=mint.issuing))
    check(mint, Answer(mint, signer=mint.issuing, certificates=False))


def test_an_answer_without_next_update(mint: Mint) -> None:
    check(mint, Answer(mint, next_update=None))


def test_revoked(mint: Mint) -> None:
    with pytest.raises(CardError, match="is revoked") as caught:
        check(mint, Answer(mint, status=REVOKED))
    assert not isinstance(caught.value, CardStatusUnavailable)


def test_unknown(mint: Mint) -> None:
    unavailable(mint, Answer(mint, status=UNKNOWN), "does not know this certificate")


def test_a_revocation_to_come(mint: Mint) -> None:
    """The library calls it neither good nor bad; it is not good."""

    def later(tbs: Any) -> None:
        revoked = tbs["responses"][0]["cert_status"].chosen
        revoked["revocation_time"] = revoked["revocation_time"].native + timedelta(days=1)

    unavailable(mint, Answer(mint, status=REVOKED, change=resigned(mint.responder, later)), "card status")


# Nobody answered


def test_the_responder_cannot_be_reached(mint: Mint) -> None:
    unavailable(mint, Answer(mint, fault=FetchError("OCSP: localhost:8105 cannot be reached")), "cannot be reached")


@pytest.mark.parametrize(
    "status", [status for status in ocsp.OCSPResponseStatus if status != ocsp.OCSPResponseStatus.SUCCESSFUL]
)
def test_the_responder_declines(mint: Mint, status: ocsp.OCSPResponseStatus) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    declined = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    unavailable(mint, Answer(mint, change=lambda _: declined), status.name)


def test_what_is_no_answer(mint: Mint) -> None:
    cuts: list[Callable[[bytes], bytes]] = [
        lambda _: b"",
        lambda _: b"\x30\x03\x0a\x01\x00",
        lambda answer: answer[:-1],
        lambda answer: answer[: len(answer) // 2],
        lambda answer: answer + b"\0",
        lambda _: b"<html>",
    ]
    for cut in cuts:
        unavailable(mint, Answer(mint, change=cut), "cannot be read")
    unavailable(mint, Answer(mint, change=lambda answer: answer + bytes(16_384)), "more than 16384")


# Whom we ask


@pytest.mark.parametrize(
    "url", ["http://ocsp.evil.example", "http://169.254.169.254/latest", "ldap://localhost", "file:///etc/passwd"]
)
def test_an_address_that_is_not_the_profile_s(mint: Mint, url: str) -> None:
    answer = Answer(mint)
    unavailable(mint, answer, "no responder of the profile", card=mint.card(responder=url))
    assert not answer.asked


def test_no_address(mint: Mint) -> None:
    answer = Answer(mint)
    unavailable(mint, answer, "names no responder", card=mint.card(responder=None))
    assert not answer.asked


def test_another_kind_of_address(mint: Mint) -> None:
    """caIssuers is where certificates lie, not who knows their status."""
    location = x509.UniformResourceIdentifier(RESPONDER_URL)
    access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
    card = mint.card(responder=None, more=((x509.AuthorityInformationAccess([access]), False),))
    answer = Answer(mint)
    unavailable(mint, answer, "no responder of the profile", card=card)
    assert not answer.asked


def test_the_permitted_one_of_two_is_asked(mint: Mint) -> None:
    found = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
        for url in ("http://ocsp.evil.example", RESPONDER_URL)
    ]
    answer = Answer(mint)
    check(mint, answer, card=mint.card(responder=None, more=((x509.AuthorityInformationAccess(found), False),)))
    assert answer.asked == [RESPONDER_URL]


# Which certificate it is about


def test_an_answer_about_another_card(mint: Mint) -> None:
    unavailable(mint, Answer(mint, serial=4711), "about another certificate")


def test_an_answer_about_another_authority_s_card(mint: Mint) -> None:
    unavailable(mint, Answer(mint, issuer=mint.root), "about another certificate")


def test_an_answer_about_two_cards(mint: Mint) -> None:
    def twice(tbs: Any) -> None:
        tbs["responses"].append(tbs["responses"][0].copy())

    unavailable(mint, Answer(mint, change=resigned(mint.responder, twice)), "about 2 certificates")


def test_an_answer_about_none(mint: Mint) -> None:
    def empty(tbs: Any) -> None:
        tbs["responses"] = []

    unavailable(mint, Answer(mint, change=resigned(mint.responder, empty)), "about 0 certificates")


# To whom, and when


def test_without_our_nonce(mint: Mint) -> None:
    unavailable(mint, Answer(mint, with_nonce=False), "does not repeat our nonce")


def test_with_another_nonce(mint: Mint) -> None:
    unavailable(mint, Answer(mint, nonce=bytes(32)), "another question")


def test_a_responder_that_knows_no_nonces(mint: Mint) -> None:
    profile = replace(SANDBOX, ocsp_nonce=False)
    check(mint, Answer(mint, with_nonce=False), profile=profile)
    unavailable(mint, Answer(mint, nonce=bytes(32)), "another question", profile=profile)


def test_each_question_has_its_own_nonce(mint: Mint) -> None:
    kept: list[bytes] = []

    class Replaying(Answer):
        def post(self, url: str, request: bytes) -> bytes:
            kept.append(super().post(url, request))
            return kept[0]

    answer, card = Replaying(mint), mint.card()
    check(mint, answer, card=card)
    unavailable(mint, answer, "another question", card=card)


def test_stale(mint: Mint) -> None:
    check(mint, Answer(mint, this_update=timedelta(minutes=-29)))
    unavailable(mint, Answer(mint, this_update=timedelta(minutes=-31)), "thisUpdate is older than 1800")
    day = Answer(mint, this_update=timedelta(hours=-20), next_update=timedelta(hours=4))
    unavailable(mint, day, "thisUpdate is older than 1800")


def test_made_long_ago(mint: Mint) -> None:
    """thisUpdate may be written anew each time; producedAt says when it was signed."""
    answer = Answer(mint, this_update=timedelta(minutes=40), next_update=timedelta(minutes=60))
    unavailable(mint, answer, "producedAt is older than 1800", now=mint.now + 2_400)


def test_outdated(mint: Mint) -> None:
    answer = Answer(mint, this_update=timedelta(minutes=-10), next_update=timedelta(minutes=-2))
    unavailable(mint, answer, "nextUpdate has passed")


def test_from_the_future(mint: Mint) -> None:
    check(mint, Answer(mint, this_update=timedelta(seconds=50)))
    unavailable(mint, Answer(mint, this_update=timedelta(seconds=90)), "thisUpdate is in the future")
    unavailable(
        mint, Answer(mint, this_update=timedelta(seconds=-120)), "producedAt is in the future", now=mint.now - 100
    )


# Who says so


def test_a_rogue_signer(mint: Mint) -> None:
    """The right purpose, the right name, from another authority of the same name."""
    unavailable(mint, Answer(mint, signer=Mint().responder), "not signed by who may sign it")


def test_a_signer_of_the_root(mint: Mint) -> None:
    rogue = mint.make_responder(issuer=mint.root)
    unavailable(mint, Answer(mint, signer=rogue), "not signed by who may sign it")


def test_a_signer_without_the_purpose(mint: Mint) -> None:
    unavailable(mint, Answer(mint, signer=mint.make_responder(signing=False)), "not signed by who may sign it")


def test_a_citizen_as_signer(mint: Mint) -> None:
    unavailable(mint, Answer(mint, signer=mint.card()), "not signed by who may sign it")


def test_an_expired_signer(mint: Mint) -> None:
    unavailable(mint, Answer(mint, signer=mint.make_responder(ends=timedelta(hours=-1))), "not signed by who may sign")


def test_a_signer_that_may_itself_be_revoked(mint: Mint) -> None:
    unavailable(mint, Answer(mint, signer=mint.make_responder(no_check=False)), "not signed by who may sign it")


def test_a_signer_below_a_citizen(mint: Mint) -> None:
    unavailable(mint, Answer(mint, signer=mint.make_responder(issuer=mint.card())), "not signed by who may sign it")


@pytest.mark.parametrize(("bits", "exponent"), [(1_024, 65_537), (2_048, 3)])
def test_a_signer_with_a_weak_key(mint: Mint, bits: int, exponent: int) -> None:
    signer = mint.make_responder(key=rsa_key(bits, exponent))
    unavailable(mint, Answer(mint, signer=signer), "card status: signer: RSA")


def test_sha1(mint: Mint) -> None:
    change = resigned(mint.responder, lambda _: None, sha1=True)
    unavailable(mint, Answer(mint, change=change), "another hash")


def test_a_signature_of_somebody_else(mint: Mint) -> None:
    """Our responder's name and certificate, another key."""
    change = resigned(Mint().responder, lambda _: None)
    unavailable(mint, Answer(mint, change=change), "not signed by who may sign it")


def test_revoked_into_good(mint: Mint) -> None:
    """One bit in a signed answer."""

    def good(answer: bytes) -> bytes:
        response = asn1_ocsp.OCSPResponse.load(answer)
        basic = response["response_bytes"]["response"].parsed
        basic["tbs_response_data"]["responses"][0]["cert_status"] = asn1_ocsp.CertStatus("good")
        response["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
        changed: bytes = response.dump(force=True)
        return changed

    unavailable(mint, Answer(mint, status=REVOKED, change=good), "not signed by who may sign it")


def test_revoked_is_not_good_whatever_the_library_says(mint: Mint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.card.revocation._require_entitled", lambda *_, **__: None)
    check(mint, Answer(mint))
    unavailable(mint, Answer(mint, status=REVOKED), "not good")


def test_a_check_that_wants_to_wait() -> None:
    """The library may not fetch; if it ever did, nothing would be good."""
    with pytest.raises(CardStatusUnavailable, match="wanted to fetch"):
        _finish(asyncio.sleep(0))


def respelled(signature: bytes) -> Callable[[bytes], bytes]:
    """One unused bit before a signature that ends with a zero bit: the same signature in another spelling."""

    def apply(answer: bytes) -> bytes:
        place = answer.index(b"\0" + signature)
        return answer[:place] + b"\1" + answer[place + 1 :]

    return apply


def test_an_answers_signature_has_one_spelling(mint: Mint) -> None:
    def change(answer: bytes) -> bytes:
        signature = ocsp.load_der_ocsp_response(answer).signature
        return answer if signature[-1] % 2 else respelled(signature)(answer)

    def check_many() -> None:
        # Half of the signatures end with a one bit: those answers stay as they must be, and are taken.
        for _ in range(64):
            check(mint, Answer(mint, change=change))

    with pytest.raises(CardStatusUnavailable, match="whole number of octets"):
        check_many()


def test_a_responders_certificate_has_one_spelling(mint: Mint) -> None:
    signer = next(
        made for made in (mint.make_responder() for _ in range(64)) if made.certificate.signature[-1] % 2 == 0
    )
    check(mint, Answer(mint, signer=signer))
    change = respelled(signer.certificate.signature)
    unavailable(mint, Answer(mint, signer=signer, change=change), "whole number of octets")
